"""The options of mstl serve: what is not safe, or cannot be, is refused in one line."""

import importlib.util
import socket

import click
import pytest
from click.testing import CliRunner

from mstl.__main__ import main
from mstl.commands import serve_command


def serve(*arguments, **variables):
    """Exit code and message of ``mstl serve``, which does not come to serve anything."""
    done = CliRunner().invoke(main, ["serve", "no-such.onnx", *arguments], env=variables)
    return done.exit_code, done.stderr.strip()


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn", "python_multipart"])
def test_the_extra_is_named(monkeypatch, missing):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    assert serve() == (1, f'mstl: error: mstl serve needs {missing}: pip install "mstl[serve]"')


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::]"])
@pytest.mark.parametrize("given", [{}, {"MSTL_TOKEN": ""}])
def test_others_are_kept_out_without_a_token(host, given):
    pytest.importorskip("fastapi")
    expected = f"--host {host} lets others use this server: give --token (or MSTL_TOKEN), or --insecure if they may"
    assert serve("--host", host, **given) == (1, f"mstl: error: {expected}")


@pytest.mark.parametrize(("given", "is_said"), [(["--token", "a-token"], False), (["--insecure"], True)])
def test_others_may_use_it(given, is_said):
    pytest.importorskip("fastapi")
    code, message = serve("--host", "0.0.0.0", "--port", "0", *given)
    assert code == 1 and "no model at no-such.onnx" in message
    assert ("serve: whoever reaches 0.0.0.0 may use this server, as there is no --token" in message) == is_said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--token", "two words"], "--token has blanks, or characters that are not ASCII"),
        (["--token", "schlüssel"], "--token has blanks, or characters that are not ASCII"),
        (["--allow-origin", "example.org"], "--allow-origin example.org: give an origin such as https://example.org"),
        (["--allow-origin", "https://example.org/page"], "--allow-origin https://example.org/page: give an origin"),
        (["--allow-origin", "*"], "--allow-origin *: give an origin"),
        (["--allow-host", "*"], "--allow-host *: give a name such as example.org"),
        (["--allow-host", "http://example.org"], "--allow-host http://example.org: give a name"),
        (["--max-size", "50"], "--max-size 50: give a size such as 50MB"),
        (["--max-size", "0"], "--max-size 0: give a size such as 50MB"),
        (["--timeout", "30"], "--timeout 30: give a duration such as 30s or 2m"),
        (["--grace", "soon"], "--grace soon: give a duration such as 30s or 2m"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: "),
        (["--host", "192.0.2.1", "--insecure"], "cannot serve at http://192.0.2.1:8000/: "),
        ([], "no model at no-such.onnx"),
    ],
)
def test_one_line(arguments, message):
    pytest.importorskip("fastapi")
    code, found = serve(*arguments, *(["--port", "0"] if "--host" not in arguments else []))
    assert code == 1 and found.splitlines()[-1].startswith(f"mstl: error: {message}"), found


def test_a_port_that_is_taken():
    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, message = serve("--port", str(port))
    assert code == 1
    assert message.startswith(f"mstl: error: cannot serve at http://127.0.0.1:{port}/: Address already in use; choose")


def test_a_needless_option_is_said():
    pytest.importorskip("fastapi")
    assert "serve: --insecure is not needed here" in serve("--insecure", "--port", "0")[1]


def test_answers_in_two_parts_are_not_delayed():
    """asyncio turns Nagle's algorithm off only for sockets that name their protocol: 40 ms an answer."""
    pytest.importorskip("fastapi")
    from mstl.serving.web_server import bind

    with bind("localhost", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_help_leaves_the_server_alone():
    help_text = serve_command.main.get_help(click.Context(serve_command.main))
    assert "--allow-origin" in help_text and "127.0.0.1" in help_text
