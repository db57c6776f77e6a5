"""The API: what a model says of images, whatever way they come, and what is said of everything else."""

import io
import json
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from mstl.__main__ import main
from tests.serving.color_model import COLORS, UNKNOWN, probabilities
from tests.serving.requests import client_of, exchange, image_file, noise_file

RAW_TYPES = (None, "image/png", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain")


@pytest.fixture(scope="module")
def client(color_file):
    with client_of(color_file, max_files=3, max_bytes=1_000_000) as client:
        yield client


def is_problem(answer, status):
    """Whether an answer is a problem with all that belongs to one, and nothing of the server's inside."""
    record = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert record.keys() == {"type", "title", "status", "detail", "hint"} and record["detail"] and record["hint"]
    assert "Traceback" not in answer.text and "/" not in record["detail"].replace("GET /", "")
    assert (answer.status_code, record["status"]) == (status, status), record
    return record


@pytest.mark.parametrize("content_type", RAW_TYPES)
@pytest.mark.parametrize("name", COLORS)
def test_an_image_is_a_body(client, content_type, name):
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = client.post("/predict", params={"top": 2}, content=image_file(COLORS[name]), headers=headers)
    assert answer.status_code == 200
    (record,) = answer.json()["predictions"]
    expected = sorted(probabilities(COLORS[name]).items(), key=lambda pair: -pair[1])[:2]
    assert record["label"] == name == expected[0][0]
    assert [each["label"] for each in record["top"]] == [label for label, _ in expected]
    assert [each["probability"] for each in record["top"]] == pytest.approx([share for _, share in expected], abs=2e-6)
    assert record["probability"] == record["top"][0]["probability"]
    assert record["path"] is None and record["rejected"] is None


def test_none_of_these(client):
    for color, rejected in ((UNKNOWN, True), (COLORS["green"], False)):
        answer = client.post("/predict?reject=true", content=image_file(color))
        (record,) = answer.json()["predictions"]
        assert record["rejected"] is rejected and record["label"] == (None if rejected else "green")
        assert record["top"][0]["label"] == ("红" if rejected else "green")


def test_it_answers_as_mstl_predict_to_the_last_digit(color_file, tmp_path):
    """Many clients at a time, so that images are computed in batches of all sizes, one by one and in forms."""
    contents = {str(tmp_path / f"{seed}.jpg"): noise_file(seed) for seed in range(60)}
    for path, content in contents.items():
        with open(path, "wb") as file:
            file.write(content)
    done = CliRunner().invoke(main, ["predict", str(color_file), *contents, "--format", "jsonl", "--reject"])
    expected = [{**json.loads(line), "path": None} for line in done.stdout.splitlines()]
    assert len(expected) == 60 and len({record["probability"] for record in expected}) > 50

    with client_of(color_file) as client, ThreadPoolExecutor(16) as pool:

        def ask(content):
            return client.post("/predict", params={"reject": True}, content=content).json()["predictions"][0]

        assert list(pool.map(ask, contents.values())) == expected
        files = [("file", (None, content)) for content in contents.values()]
        assert len(files) == 60
        form = [("file", (f"{index}.jpg", content)) for index, content in enumerate(contents.values())][:30]
        found = client.post("/predict?reject=true", files=form).json()["predictions"]
        assert found == [{**record, "path": f"{index}.jpg"} for index, record in enumerate(expected[:30])]


def test_a_form_has_several_files(client):
    files = [
        ("file", ("red 1.png", image_file(COLORS["红"]))),
        ("other", ("notes.txt", b"hello")),
        ("file", ("照片.png", image_file(COLORS["blue"]))),
    ]
    answer = client.post("/predict", files=files, data={"field": "value"})
    assert answer.status_code == 200
    red, notes, blue = answer.json()["predictions"]
    assert [(each["path"], each["label"]) for each in (red, blue)] == [("red 1.png", "红"), ("照片.png", "blue")]
    assert notes.keys() == {"path", "problem"} and notes["path"] == "notes.txt"
    assert (notes["problem"]["status"], notes["problem"]["detail"]) == (422, "cannot read notes.txt: not an image")


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\passwd", "/etc/passwd", "C:\\x\\passwd", "a\0/passwd"])
def test_names_of_files_are_never_paths(client, name):
    body = b'--b\r\nContent-Disposition: form-data; name="f"; filename="' + name.encode() + b'"\r\n\r\n'
    body += image_file(COLORS["blue"]) + b"\r\n--b--\r\n"
    answer = client.post("/predict", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.json()["predictions"][0]["path"] == "passwd"


PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "content_type", "status", "detail"),
    [
        (PART + b"hello", "multipart/form-data; boundary=b", 400, "the form is cut off"),
        (PART + b"hello\r\n--b--\r\n", "multipart/form-data", 400, "the form cannot be read: no boundary"),
        (b"hello", "multipart/form-data; boundary=b", 400, "the form cannot be read"),
        (b"", "multipart/form-data; boundary=b", 400, "the form is cut off"),
        (b"--b--\r\n", "multipart/form-data; boundary=b", 422, "the form has no files"),
        (PART + b"hello\r\n--b--\r\n", "Multipart/Form-Data; boundary=b", 422, "cannot read a.png: not an image"),
        (
            (PART + b"x\r\n") * 4 + b"--b--\r\n",
            "multipart/form-data; boundary=b",
            413,
            "the form has more than 3 files",
        ),
        (PART[:45] + b"\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 422, "the form has no files"),
    ],
)
def test_forms_that_are_none(client, body, content_type, status, detail):
    answer = client.post("/predict", content=body, headers={"Content-Type": content_type})
    assert is_problem(answer, status)["detail"].startswith(detail)


def png_of(width, height):
    """A PNG that says that it is so large, with a single row of pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * (3 * width + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "empty file"),
        (b"hello", "not an image"),
        (b"\0" * 1000, "not an image"),
        (image_file((9, 9, 9), (400, 300), "JPEG")[:-300], "truncated"),
        (image_file((9, 9, 9))[:40], "cannot read the image"),
        (png_of(20_000, 20_000), "400000000 pixels, more than the limit"),
        (png_of(1, 60_000), "1 x 60000 pixels: one side is more than 100 times the other"),
        (png_of(6_000, 6_000)[:-30], "truncated"),  # so many that it is decoded on its own
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
    ],
)
def test_what_is_no_image(client, content, detail):
    assert detail in is_problem(client.post("/predict", content=content), 422)["detail"]


def test_large_images_are_answered_like_others(client):
    assert client.post("/predict", content=image_file(COLORS["blue"], (6000, 4500))).json()["predictions"][0][
        "probability"
    ] == pytest.approx(probabilities(COLORS["blue"])["blue"], abs=2e-6)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("top=0", "top is '0'"),
        ("top=" + "9" * 200, "top is '999"),
        ("top=x", "top is 'x'"),
        ("top=1.5", "top is '1.5'"),
        ("reject=" + "y" * 200, "reject is 'yyy"),
    ],
)
def test_values_that_cannot_be_used(client, query, detail):
    record = is_problem(client.post(f"/predict?{query}", content=image_file(COLORS["blue"])), 422)
    assert record["detail"].startswith(detail) and len(record["detail"]) < 200


def test_a_model_without_rejection(tmp_path):
    from tests.serving.color_model import write_model

    with client_of(write_model(tmp_path / "m.onnx", rejects=False)) as client:
        assert client.get("/model").json()["can_reject"] is False
        answer = client.post("/predict?reject=true", content=image_file(COLORS["blue"]))
        assert is_problem(answer, 422)["detail"] == "the model has no data to reject by"
        assert client.post("/predict", content=image_file(COLORS["blue"])).status_code == 200


def test_addresses_and_methods_that_are_none(client):
    assert is_problem(client.get("/nothing"), 404)["hint"] == "GET /openapi.json lists what there is"
    assert is_problem(client.get("/predict"), 405)["hint"] == "use POST"
    assert client.get("/predict").headers["allow"] == "POST"
    assert is_problem(client.delete("/model"), 405)
    assert is_problem(client.post("/predict/", content=b"x"), 404)
    assert is_problem(client.post("/explain", content=image_file(COLORS["blue"])), 501)["hint"].startswith("serve the")
    assert is_problem(client.post("/collect?label=blue", content=image_file(COLORS["blue"])), 404)


def test_the_model_is_described(client):
    model = client.get("/model").json()
    assert (model["name"], model["format"], model["architecture"]) == ("colors", "onnx", "resnet18")
    assert (model["classes"], model["image_size"]) == (["blue", "green", "红"], 32)
    assert (model["engine"], model["precision"], model["temperature"]) == ("onnxruntime", "fp32", 1.0)
    assert (model["can_reject"], model["can_explain"], model["collects"]) == (True, False, False)
    assert model["limits"] == {"bytes": 1_000_000, "files": 3}
    assert model["accuracy"] is None and model["data"] is None and len(model["date"]) == 10


def test_health_and_metrics(color_file):
    with client_of(color_file) as client:
        assert client.get("/healthz").text == "ok\n"
        client.post("/predict", content=image_file(COLORS["blue"]))
        client.post("/predict", content=b"hello")
        assert client.get("/readyz").text == "ready\n"  # what has answered is warm
        time.sleep(0.2)  # requests are counted once they are answered
        lines = client.get("/metrics").text.splitlines()
    assert 'mstl_requests_total{path="/predict",status="200"} 1' in lines
    assert 'mstl_requests_total{path="/predict",status="422"} 1' in lines
    assert 'mstl_images_total{outcome="answered"} 1' in lines
    assert 'mstl_images_total{outcome="unreadable"} 1' in lines
    assert "mstl_batched_images_total 1" in lines and "mstl_predict_seconds_count 1" in lines
    assert "mstl_ready 1" in lines and "mstl_images_waiting 0" in lines
    assert 'mstl_predict_seconds_bucket{le="+Inf"} 1' in lines


def test_openapi_describes_all_with_examples(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        *("/predict", "/explain", "/collect", "/model", "/healthz", "/readyz", "/metrics")
    }
    predict = described["paths"]["/predict"]["post"]
    assert {"multipart/form-data", "application/octet-stream"} <= predict["requestBody"]["content"].keys()
    assert [parameter["name"] for parameter in predict["parameters"]] == ["top", "reject"]
    example = predict["responses"]["200"]["content"]["application/json"]["example"]["predictions"][0]
    real = client.post("/predict", content=image_file(COLORS["blue"])).json()["predictions"][0]
    assert example.keys() == real.keys()
    example = described["paths"]["/model"]["get"]["responses"]["200"]["content"]["application/json"]["example"]
    assert example.keys() == client.get("/model").json().keys()
    problem = predict["responses"]["422"]["content"]["application/problem+json"]["example"]
    assert problem.keys() == client.get("/nothing").json().keys()


def test_the_page_and_its_files(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8" and "<!DOCTYPE html>" in page.text
    assert client.head("/").headers["content-length"] == page.headers["content-length"]
    style = client.get("/assets/page.css")
    assert style.status_code == 200 and style.headers["content-type"] == "text/css; charset=utf-8"
    for path in ("../page_files.py", "..%2Fpage_files.py", "%2e%2e/app.py", "/etc/passwd", "..\\app.py", "app.py", ""):
        answer = exchange(
            client, f"GET /assets/{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 404 "), path


def test_pillow_reads_what_browsers_send(client):
    """The formats that phones and browsers make."""
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"):
        content = image_file(COLORS["green"], kind=kind)
        assert Image.open(io.BytesIO(content)).format == kind
        assert client.post("/predict", content=content).json()["predictions"][0]["label"] == "green"
