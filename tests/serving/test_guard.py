"""Who may use a server: pages of other servers, names that lead here, and clients without the token may not."""

import re

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from tests.serving.color_model import COLORS
from tests.serving.requests import client_of, exchange, image_file

TOKEN = "correct-horse"
GOOD = image_file(COLORS["blue"])


@pytest.fixture(scope="module")
def client(color_file):
    with client_of(color_file, hosts=("localhost", "[::1]", "name.example", "other.example:8443")) as client:
        yield client


@pytest.fixture(scope="module")
def locked(color_file, tmp_path_factory):
    """A server that asks for a token, and lets pages of one other server use it."""
    collect = tmp_path_factory.mktemp("collected")
    with client_of(color_file, token=TOKEN, origins=("https://page.example",), collect=collect) as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("[::1]:8000", 200),
        ("name.example:1234", 200),
        ("other.example:8443", 200),
        ("other.example", 421),
        ("other.example:8000", 421),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.2", 421),
        ("192.168.1.5:8000", 421),
        ("", 421),
        ("localhost, evil.example", 421),
        ("localhost@evil.example", 421),
        ("[::1", 421),
    ],
)
def test_foreign_hosts_are_refused(client, host, status):
    """On every address, or a page whose name leads here could read the model."""
    for path in ("/model", "/healthz", "/"):
        assert client.get(path, headers={"Host": host}).status_code == status


def test_one_host_is_named(client):
    for hosts in ("Host: localhost\r\nHost: evil.example\r\n", ""):
        assert exchange(client, f"GET /model HTTP/1.1\r\n{hosts}\r\n".encode()).startswith(b"HTTP/1.1 400 ")
    assert exchange(client, b"GET /model HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_addresses_are_known_to_a_server_that_listens_everywhere(color_file):
    with client_of(color_file, any_address=True) as client:
        for host, status in (("192.168.1.5:80", 200), ("[fe80::1]:80", 200), ("a.example", 421), ("1.2.3.4.5", 421)):
            assert client.get("/model", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://localhost"}, 403),  # port 443 of this machine is another server
        ({"Origin": "http://localhost:8000"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost/path"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Origin": "file://"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_pages_of_other_servers_are_refused(client, headers, status):
    answer = client.post("/predict", content=GOOD, headers={"Host": "localhost:80", **headers})
    assert answer.status_code == status and "access-control-allow-origin" not in answer.headers
    if status == 403:
        assert answer.json()["title"] == "Forbidden" and "--allow-origin" in answer.json()["hint"]


def test_an_encrypting_proxy_in_between(client):
    headers = {"Host": "name.example", "Origin": "https://name.example"}
    assert client.post("/predict", content=GOOD, headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/predict", "/explain", "/collect?label=blue"])
@pytest.mark.parametrize(
    ("given", "status"),
    [
        (None, "missing"),
        (f"Bearer {TOKEN}", None),
        (f"bearer   {TOKEN}", None),
        ("Bearer wrong", "wrong"),
        (f"Bearer {TOKEN}x", "wrong"),
        (f"Bearer {TOKEN[:-1]}", "wrong"),
        (f"Basic {TOKEN}", "wrong"),
        (TOKEN, "wrong"),
        ("Bearer", "wrong"),
        ("Bearer \xe9".encode("latin-1"), "wrong"),
    ],
)
def test_the_token_is_asked_for(locked, path, given, status):
    answer = locked.post(path, content=GOOD, headers={} if given is None else {"Authorization": given})
    if status is None:
        assert answer.status_code in (200, 201, 501)
    else:
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["detail"] == f"the token is {status}" and TOKEN not in answer.text


def test_what_needs_no_token(locked):
    for path in ("/", "/healthz", "/readyz", "/assets/page.css", "/assets/page.js"):
        assert locked.get(path).status_code in (200, 503)
    for path in ("/model", "/metrics", "/openapi.json", "/nothing", "/assets", "/healthz/", "/predict"):
        assert locked.get(path).status_code == 401


def test_a_page_that_was_named_may_use_it(locked):
    """It asks first, without the token (CORS); its answers can be read there, also those that refuse."""
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    asked["Access-Control-Request-Headers"] = "authorization,content-type"
    answer = locked.options("/predict", headers=asked)
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://page.example"
    headers = {"Origin": "https://page.example"}
    for more, status in (({"Authorization": f"Bearer {TOKEN}"}, 200), ({}, 401)):
        answer = locked.post("/predict", content=GOOD, headers={**headers, **more})
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == "https://page.example"
        assert "access-control-allow-credentials" not in answer.headers
    answer = locked.options("/predict", headers={**asked, "Origin": "https://evil.example"})
    assert answer.status_code == 400 and "access-control-allow-origin" not in answer.headers


def test_every_answer_has_safe_headers(client, locked):
    answers = [
        *[client.get(path) for path in ("/", "/model", "/assets/page.js", "/nothing", "/predict")],
        client.post("/predict", content=b"hello"),
        client.post("/predict?top=x", content=b"hello"),
        client.get("/", headers={"Host": "evil.example"}),
        client.post("/predict", content=GOOD, headers={"Origin": "http://evil.example"}),
        locked.get("/model"),
    ]
    assert {answer.status_code for answer in answers} == {200, 401, 403, 404, 405, 421, 422}
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';") and "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy and answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer" and "server" not in answer.headers
        assert answer.headers["cache-control"] in ("no-store", "no-cache")


def test_addresses_that_are_too_long(client):
    answer = client.get("/model", params={"x": "y" * 20_000})
    assert answer.status_code == 431 and answer.headers["connection"] == "close"


# what is no HTTP, or only looks like it


@pytest.mark.parametrize(
    "lines",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length: -1",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding : chunked",
        "Content-Length: 5\r\n Transfer-Encoding: chunked",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
        "X: " + "x" * 20_000,
        "X: " + "x" * 70_000,
        "".join(f"X-{number}: {'x' * 50}\r\n" for number in range(1000)) + "Y: y",
        "X: a\0b",
    ],
)
def test_requests_in_two_minds_are_refused_and_the_connection_closed(client, lines):
    """Smuggled requests, upgrades, and headers that are too long: whatever follows is not taken for a request."""
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n"
    answer = exchange(client, head.encode(), b"0\r\n\r\nGET /model HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    assert 400 <= status < 500 or status == 501, answer
    assert b"application/problem+json" in head and b"Content-Security-Policy".lower() in head.lower()
    assert not re.search(rb"HTTP/1.1 \d", body), "a second answer"


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\0\x01\0\n\n", b"hello\r\n\r\n", b"GET /\r\n\r\n", b"\0" * 20_000])
def test_what_is_no_http(client, data):
    assert b" 400 " in exchange(client, data)[:20]
    assert client.get("/healthz").status_code == 200
