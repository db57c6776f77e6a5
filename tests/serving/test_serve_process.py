"""``mstl serve`` as a process: what it prints, what its options do, and how it ends."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("onnx")
from tests.conftest import environment
from tests.serving.color_model import COLORS
from tests.serving.requests import image_file

GOOD = image_file(COLORS["blue"])
CLIENTS = 12


@contextlib.contextmanager
def serving(model, *options, **variables):
    """``mstl serve`` on a free port; gives the process and its address."""
    command = [sys.executable, "-m", "mstl", "serve", str(model), "--port", "0", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=environment(**variables), **pipes) as process:
        try:
            line = process.stdout.readline()
            found = re.fullmatch(r".* is served at (http://\S+/) \(Ctrl-C ends it\)\n", line)
            assert found, line + process.stderr.read()
            yield process, found[1]
        finally:
            process.kill()


def port_of(address):
    return int(address.rpartition(":")[2].strip("/"))


def is_free(port):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def test_term_under_load(color_file):
    """What is accepted is answered, also what is on its way on an open connection; then it ends in peace."""
    answers, refused, begun = [], [], threading.Event()

    def ask(address):
        with httpx.Client(base_url=address, timeout=30, trust_env=False) as client:
            while True:
                try:
                    answers.append(client.post("/predict", content=GOOD).json()["predictions"][0]["label"])
                except httpx.ConnectError as error:
                    refused.append(error)
                    return
                if len(answers) > 5 * CLIENTS:
                    begun.set()

    with serving(color_file) as (process, address):
        clients = [threading.Thread(target=ask, args=[address]) for _ in range(CLIENTS)]
        failures = []
        hook, threading.excepthook = threading.excepthook, failures.append
        for client in clients:
            client.start()
        assert begun.wait(30)
        slow = socket.create_connection(("127.0.0.1", port_of(address)))
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD[:-20]
        )
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        slow.sendall(GOOD[-20:])
        assert slow.recv(1 << 16).startswith(b"HTTP/1.1 200 ")  # it had been accepted
        slow.close()
        for client in clients:
            client.join()
        threading.excepthook = hook
        assert process.wait(20) == 0 and process.stderr.read() == ""
    assert [failure.exc_value for failure in failures] == []
    assert set(answers) == {"blue"} and len(refused) == CLIENTS
    assert is_free(port_of(address))


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is a signal")
def test_ctrl_c_and_what_never_ends(color_file):
    """A body that does not come is waited for, for as long as --grace says."""
    with serving(color_file, "--grace", "1s", "--timeout", "20s") as (process, address):
        with socket.create_connection(("127.0.0.1", port_of(address)), timeout=20) as stuck:
            stuck.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n")
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            start = time.monotonic()
            answer = stuck.recv(1 << 16)
            assert answer.startswith(b"HTTP/1.1 503 ") and b"the server ends" in answer + stuck.recv(1 << 16)
        assert process.wait(20) == 0 and time.monotonic() - start < 10
        assert "Traceback" not in process.stderr.read()


def test_options(color_file, tmp_path):
    """Each has its effect."""
    options = ("--max-size", "20KB", "--max-files", "2", "--collect", str(tmp_path / "new"), "--timeout", "0.3s")
    options += ("--allow-host", "name.example", "--allow-origin", "https://page.example/", "--queue", "1")
    with serving(color_file, *options, MSTL_TOKEN="a-token") as (_, address):
        headers = {"Authorization": "Bearer a-token", "Origin": "https://page.example", "Host": "name.example"}
        assert httpx.get(f"{address}model").status_code == 401
        with httpx.Client(base_url=address, headers=headers, trust_env=False) as client:
            model = client.get("/model").json()
            assert model["limits"] == {"bytes": 20_000, "files": 2} and model["collects"]
            answer = client.post("/collect?label=blue", content=GOOD)
            assert answer.headers["access-control-allow-origin"] == "https://page.example"
            assert (tmp_path / "new" / answer.json()["file"]).read_bytes() == GOOD
            two = client.post("/predict", files=[("file", ("a.png", GOOD))] * 2)
            assert two.status_code == 503 and two.headers["retry-after"] == "1"
            slow = client.post("/predict", content=slowly())
            assert slow.status_code == 408 and "0.3 s" in slow.json()["detail"]


def slowly():
    for _ in range(4):
        yield b"x"
        time.sleep(0.2)


def test_the_page_is_opened(color_file, tmp_path):
    """In the browser, with the token behind the address, which is not sent to any server and not printed."""
    (tmp_path / "browser").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/opened\n')
    (tmp_path / "browser").chmod(0o755)
    variables = {"BROWSER": str(tmp_path / "browser"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    os.symlink(tmp_path / "browser", tmp_path / "xdg-open")
    with serving(color_file, "--open", "--token", "a+b/c", **variables) as (_, address):
        for _ in range(100):
            if (tmp_path / "opened").exists() and (tmp_path / "opened").read_text():
                break
            time.sleep(0.1)
        assert (tmp_path / "opened").read_text().strip() == f"{address}#token=a%2Bb%2Fc"


def test_no_mindspore_for_an_exported_model(color_file):
    """The server, its page and its answers need neither it nor matplotlib."""
    code = f"""
import sys
from tests.serving.requests import client_of, image_file
with client_of({str(color_file)!r}) as client:
    assert client.post("/predict", content=image_file((0, 0, 255))).status_code == 200
    assert client.get("/model").status_code == client.get("/").status_code == 200
print(sorted({{"mindspore", "matplotlib", "scipy"}} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert json.loads(done.stdout or "0") == [], done.stderr
