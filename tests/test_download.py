"""A download ends with the right file or with one clear line, never with half a file under the final name."""

import errno
import fcntl
import hashlib
import io
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from filelock import FileLock

from mstl.download import fetch as fetching
from mstl.download import opener, transfer
from mstl.download.failures import Refused, root_cause
from mstl.download.fetch import fetch
from mstl.download.opener import NoDowngrade
from mstl.errors import MstlError, OfflineError
from tests.server import Page, Server, wait_until

BODY = random.Random(0).randbytes(200_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
ONE_TRY = 4  # requests that one try makes, of which the last reads the body
SCRIPT = """
import sys
from mstl.download import fetch, opener
opener.TIMEOUT, fetch.PAUSE = 20, 0.01
fetch.fetch(*sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No proxy, no setting of the user's, no long waits."""
    for name in ("MSTL_MIRROR", "MSTL_OFFLINE", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "PAUSE", 0.01)
    monkeypatch.setattr(opener, "TIMEOUT", 5.0)


@pytest.fixture
def server():
    with Server() as running:
        running.pages["/w.ckpt"] = Page(BODY)
        yield running


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "w.ckpt"


def left(target):
    """What lies in the folder, the lock file aside."""
    return sorted(path.name for path in target.parent.iterdir() if path.suffix != ".lock")


def refusal(url, target, sha256=None, error=MstlError, **more):
    """The one line that a download in vain ends with; no file has the final name."""
    with pytest.raises(error) as caught:
        fetch(url, target, sha256, **more)
    line = str(caught.value)
    assert "\n" not in line
    assert not target.is_file()
    return line


def start(url, target):
    """Fetch in a process of its own."""
    arguments = [sys.executable, "-c", SCRIPT, url, str(target)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_good_file(server, target, capfd):
    assert fetch(server.url + "/w.ckpt", target, SHA256, size=len(BODY)) == target
    assert target.read_bytes() == BODY
    assert left(target) == ["w.ckpt"]
    assert len(server.requests) == ONE_TRY
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("length", [0, 1, 2])
def test_a_tiny_file(server, target, length):
    server.pages["/tiny"] = Page(BODY[:length])
    assert fetch(server.url + "/tiny", target).read_bytes() == BODY[:length]


def test_a_file_that_is_there_needs_no_network(server, target, monkeypatch):
    target.parent.mkdir()
    target.write_bytes(b"the user's own")
    for offline in ("", "1"):
        monkeypatch.setenv("MSTL_OFFLINE", offline)
        assert fetch(server.url + "/w.ckpt", target, SHA256) == target
    assert target.read_bytes() == b"the user's own"
    assert not server.requests


def test_a_prefix_of_the_hash_is_enough(server, target):
    assert fetch(server.url + "/w.ckpt", target, SHA256[:8].upper()).read_bytes() == BODY


def test_a_wrong_hash_is_deleted_and_named(server, target):
    line = refusal(server.url + "/w.ckpt", target, "0123abcd")
    assert "0123abcd" in line and SHA256 in line and server.url + "/w.ckpt" in line and str(target) in line
    assert left(target) == []
    assert len(server.requests) == ONE_TRY, "it was tried again"


def test_a_wrong_size_is_refused_before_the_transfer(server, target):
    line = refusal(server.url + "/w.ckpt", target, size=12345)
    assert "200000" in line and "12345" in line
    assert len(server.requests) == 1


def test_404_ends_at_once(server, target):
    line = refusal(server.url + "/other", target)
    assert "404" in line and server.url + "/other" in line and str(target) in line
    assert len(server.requests) == 1


def test_500_then_good(server, target):
    server.pages["/w.ckpt"].errors = 2
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY


def test_500_in_the_middle_of_a_try(server, target, monkeypatch):
    ask = transfer.ask

    def then_fail(*args):
        answer = ask(*args)
        if len(server.requests) == 1:
            server.pages["/w.ckpt"].errors = 1
        return answer

    monkeypatch.setattr(transfer, "ask", then_fail)
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY


def test_500_for_ever(server, target):
    server.pages["/w.ckpt"].errors = 99
    assert "500" in refusal(server.url + "/w.ckpt", target)
    assert len(server.requests) == fetching.TRIES


def test_a_cut_connection_is_resumed(server, target, capfd):
    server.pages["/w.ckpt"].cuts = ONE_TRY
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert server.ranges_of("/w.ckpt") == ["bytes=100000-"]
    assert left(target) == ["w.ckpt"]
    assert capfd.readouterr().out == ""


def test_a_server_that_ignores_range(server, target, capfd):
    server.pages["/w.ckpt"].cuts = ONE_TRY
    server.pages["/w.ckpt"].ranges = False
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert server.ranges_of("/w.ckpt")
    assert capfd.readouterr().out == ""


def test_a_connection_that_is_always_cut(server, target):
    server.pages["/w.ckpt"].cuts = 99
    server.pages["/w.ckpt"].ranges = False
    line = refusal(server.url + "/w.ckpt", target, error=OfflineError)
    assert "broke off" in line and str(target) in line


def test_tries_that_bring_something_are_not_counted(server, target, monkeypatch):
    monkeypatch.setattr(fetching, "TRIES", 2)
    server.pages["/w.ckpt"].cuts = ONE_TRY
    real, calls = fetching.transfer, []

    def fail_at_first(*args):
        calls.append(1)
        if len(calls) in (1, 3):
            raise ConnectionResetError("again")
        return real(*args)

    monkeypatch.setattr(fetching, "transfer", fail_at_first)
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert len(calls) == 4


def test_a_change_of_the_remote_file_starts_anew(server, target, monkeypatch):
    server.pages["/w.ckpt"].cuts = ONE_TRY
    server.pages["/w.ckpt"].ranges = False
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "is_final", lambda reason: True)  # leave the half
        refusal(server.url + "/w.ckpt", target)
    assert ".w.ckpt.incoming.part" in left(target)
    newer = bytes(reversed(BODY))
    server.pages["/w.ckpt"] = Page(newer)
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == newer
    assert not server.ranges_of("/w.ckpt")


def test_a_file_without_any_version_is_resumed_only_with_a_hash(server, target):
    for name, sha256, resumed in (("/a", None, False), ("/b", SHA256, True)):
        server.pages[name] = Page(BODY, cuts=ONE_TRY, version=None)
        path = target.with_name(name[1:])
        assert fetch(server.url + name, path, sha256).read_bytes() == BODY
        assert bool(server.ranges_of(name)) == resumed


def test_a_mirror_goes_on_where_the_hash_is_known(server, target, monkeypatch):
    server.pages["/w.ckpt"] = Page(BODY, cuts=ONE_TRY)
    server.pages["/mirror/w.ckpt"] = Page(BODY, version="another")
    with monkeypatch.context() as patch:
        patch.setattr(fetching, "is_final", lambda reason: True)
        refusal(server.url + "/w.ckpt", target, SHA256)
    monkeypatch.setenv("MSTL_MIRROR", server.url + "/mirror/")
    assert fetch("https://unknown.invalid/w.ckpt", target, SHA256).read_bytes() == BODY
    assert server.ranges_of("/mirror/w.ckpt") == ["bytes=100000-"]


def test_a_part_that_is_whole_already(server, target, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.move", interrupt)  # which ends the package's work
        with pytest.raises(KeyboardInterrupt):
            fetch(server.url + "/w.ckpt", target)
    assert not target.exists()
    server.requests.clear()
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert len(server.requests) == 1, "the body was asked for again"
    assert left(target) == ["w.ckpt"]


def test_a_part_that_is_too_long(server, target):
    target.parent.mkdir()
    origin, part = (target.with_name(f".w.ckpt.incoming.{end}") for end in ("origin", "part"))
    origin.write_bytes(f"{len(BODY)} {SHA256} ".encode())
    part.write_bytes(BODY + b"more")
    assert fetch(server.url + "/w.ckpt", target, SHA256).read_bytes() == BODY


@pytest.mark.parametrize("length", ["chunked", "none"])
def test_a_length_that_is_not_said(server, target, length):
    server.pages["/w.ckpt"].length = length
    assert fetch(server.url + "/w.ckpt", target, SHA256).read_bytes() == BODY
    other = target.with_name("other")
    if length == "chunked":  # which says where it ends
        assert fetch(server.url + "/w.ckpt", other).read_bytes() == BODY
    else:
        assert "how long" in refusal(server.url + "/w.ckpt", other)


def test_a_cut_of_unsaid_length_is_noticed(server, target):
    server.pages["/w.ckpt"].length = "none"
    server.pages["/w.ckpt"].cuts = 99
    assert "expected" in refusal(server.url + "/w.ckpt", target, SHA256)
    assert "100000 bytes" in refusal(server.url + "/w.ckpt", target, SHA256, size=len(BODY))
    assert left(target) == [".w.ckpt.incoming.origin"]


def test_a_redirect(server, target):
    server.pages["/old"] = Page(redirects_to="/w.ckpt")
    assert fetch(server.url + "/old", target, SHA256).read_bytes() == BODY


def test_a_redirect_in_circles(server, target):
    server.pages["/old"] = Page(redirects_to="/old")
    assert "redirect" in refusal(server.url + "/old", target)


def test_no_redirect_leaves_https():
    handler = NoDowngrade()
    request = urllib.request.Request("https://a.example/w.ckpt")
    for wrong in ("http://a.example/w.ckpt", "HTTP://a.example/w", "ftp://a.example/w.ckpt", "file:///etc/passwd"):
        with pytest.raises(Refused, match="from https to"):
            handler.redirect_request(request, None, 302, "Found", {}, wrong)
    further = handler.redirect_request(request, None, 302, "Found", {}, "https://b.example/w.ckpt")
    assert further.full_url == "https://b.example/w.ckpt"
    with pytest.raises(Refused):
        handler.redirect_request(urllib.request.Request("http://a/"), None, 302, "Found", {}, "ftp://a/")


@pytest.mark.parametrize("number", range(ONE_TRY))
def test_every_request_refuses_a_downgrade(server, target, number):
    server.pages["/w.ckpt"].redirects_to = "ftp://127.0.0.1/w.ckpt"
    server.pages["/w.ckpt"].redirects_after = number
    line = refusal(server.url + "/w.ckpt", target)
    assert "ftp://127.0.0.1" in line and "refused" in line
    assert urllib.request._opener is None or NoDowngrade not in map(type, urllib.request._opener.handlers)


def test_a_server_that_says_nothing(server, target, monkeypatch):
    monkeypatch.setattr(opener, "TIMEOUT", 0.1)
    server.pages["/w.ckpt"].late = 20
    line = refusal(server.url + "/w.ckpt", target, error=OfflineError)
    assert "timed out" in line and f"tries: {fetching.TRIES}" in line and str(target) in line


def test_a_server_that_falls_silent_in_the_middle(server, target, monkeypatch):
    monkeypatch.setattr(opener, "TIMEOUT", 0.3)
    server.pages["/w.ckpt"].silence = 20
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert server.ranges_of("/w.ckpt")


def test_a_slow_server_within_the_timeout(server, target, monkeypatch):
    monkeypatch.setattr(opener, "TIMEOUT", 2.0)
    server.pages["/w.ckpt"].silence = 0.3
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert not server.ranges_of("/w.ckpt")


def test_no_connection(target, monkeypatch):
    monkeypatch.setattr(fetching, "PAUSE", 1.0)
    monkeypatch.setattr(opener, "TIMEOUT", 10.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # without listen(): nobody answers there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/w.ckpt"
        began = time.monotonic()
        line = refusal(url, target, error=OfflineError, hint=f"copy it to {target}")
    assert time.monotonic() - began < 15
    assert url in line and "refused" in line and f"copy it to {target}" in line


def test_an_unknown_host(target, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    line = refusal("https://unknown.invalid/w.ckpt", target, error=OfflineError)
    assert "Name or service not known" in line and "unknown.invalid" in line


def test_a_name_server_that_does_not_answer(target, monkeypatch):
    forever = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: forever.wait(20))
    monkeypatch.setattr(fetching, "PATIENCE", 0.3)
    began = time.monotonic()
    assert "no answer" in refusal("https://unknown.invalid/w.ckpt", target, error=OfflineError)
    assert time.monotonic() - began < 2
    forever.set()


def test_patience_stays_below_15_seconds():
    assert fetching.PATIENCE < 15


def test_a_certificate_that_cannot_be_trusted_is_not_tried_again(target, monkeypatch):
    calls = []

    def fail(*args):
        calls.append(1)
        raise urllib.error.URLError(ssl.SSLCertVerificationError(1, "certificate verify failed"))

    monkeypatch.setattr(transfer, "ask", fail)
    assert "certificate verify failed" in refusal("https://unknown.invalid/w.ckpt", target)
    assert len(calls) == 1


def test_offline_asks_nobody(server, target, monkeypatch):
    monkeypatch.setenv("MSTL_OFFLINE", "1")
    line = refusal(server.url + "/w.ckpt", target, error=OfflineError)
    assert "MSTL_OFFLINE" in line and server.url + "/w.ckpt" in line and f"copy the file to {target}" in line
    assert not server.requests
    assert not target.parent.exists()


def test_a_mirror(server, target, monkeypatch):
    server.pages["/base/some/w.ckpt?x=1"] = Page(BODY)
    for base in ("/base", "/base/"):
        monkeypatch.setenv("MSTL_MIRROR", server.url + base)
        path = target.with_name(f"{len(base)}.ckpt")
        assert fetch("https://unknown.invalid/some/w.ckpt?x=1", path, SHA256).read_bytes() == BODY
    monkeypatch.setenv("MSTL_MIRROR", "mirror.example")
    assert "MSTL_MIRROR=mirror.example" in refusal("https://unknown.invalid/w.ckpt", target)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_text("")
    line = refusal(server.url + "/w.ckpt", tmp_path / "file" / "w.ckpt")
    assert str(tmp_path / "file") in line
    assert not server.requests


def test_a_folder_that_cannot_be_written(server, target, monkeypatch):
    def deny(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied", str(target.parent))

    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", deny)
        assert "Permission denied" in refusal(server.url + "/w.ckpt", target)
    monkeypatch.setattr(FileLock, "acquire", deny)
    assert "cannot lock" in refusal(server.url + "/w.ckpt", target)
    assert not server.requests


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_that_cannot_lock(server, target, monkeypatch, number):
    def fail(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    line = refusal(server.url + "/w.ckpt", target)
    assert "cannot lock" in line and os.strerror(number) in line and "MSTL_HOME" in line
    assert not server.requests


def test_a_folder_under_the_final_name(server, target):
    target.mkdir(parents=True)
    assert "in the way" in refusal(server.url + "/w.ckpt", target)


def test_a_dangling_link_under_the_final_name(server, target):
    target.parent.mkdir()
    target.symlink_to("on a disk that is not there")
    assert "in the way" in refusal(server.url + "/w.ckpt", target)
    assert target.is_symlink()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(server, target, monkeypatch, number):
    class Full(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > 50_000:
                raise OSError(number, os.strerror(number))
            return super().write(data)

    def package_of_a_full_disk(private_package=transfer.private_package):
        package = private_package()
        package.open = Full
        return package

    monkeypatch.setattr(transfer, "private_package", package_of_a_full_disk)
    line = refusal(server.url + "/w.ckpt", target)
    assert os.strerror(number) in line and str(target) in line
    assert left(target) == []
    assert len(server.requests) == ONE_TRY, "it was tried again"


def test_a_disk_that_fills_up_at_the_end(server, target, monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    assert os.strerror(errno.ENOSPC) in refusal(server.url + "/w.ckpt", target)
    assert left(target) == []


def test_a_file_that_the_user_copies_there_meanwhile_stays(server, target, monkeypatch):
    monkeypatch.setattr(fetching, "flush", lambda incoming: target.write_bytes(b"the user's own"))
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == b"the user's own"
    assert left(target) == ["w.ckpt"]


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_download_is_resumed(server, target, kind):
    server.pages["/w.ckpt"].silence = 30
    part = target.with_name(".w.ckpt.incoming.part")
    process = start(server.url + "/w.ckpt", target)
    wait_until(lambda: part.is_file() and part.stat().st_size)
    process.send_signal(kind)
    output, errors = process.communicate(timeout=10)
    assert process.returncode != 0 and output == ""
    assert ("KeyboardInterrupt" in errors) == (kind == signal.SIGINT)
    assert not target.exists()
    had = part.stat().st_size
    assert 0 < had < len(BODY)
    server.pages["/w.ckpt"].silence = 0
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert server.ranges_of("/w.ckpt") == [f"bytes={had}-"]
    assert left(target) == ["w.ckpt"]


def test_two_processes_at_once(server, target):
    server.pages["/w.ckpt"].silence = 1.0
    processes = [start(server.url + "/w.ckpt", target) for _ in range(2)]
    for process in processes:
        output, errors = process.communicate(timeout=20)
        assert (process.returncode, output, errors) == (0, "", "")
    assert target.read_bytes() == BODY
    assert left(target) == ["w.ckpt"]
    assert len(server.requests) == ONE_TRY, "both have downloaded it"


def test_the_second_waits_for_the_first(server, target, caplog):
    caplog.set_level("INFO", logger="mstl")
    server.pages["/w.ckpt"].silence = 1.0
    first = start(server.url + "/w.ckpt", target)
    wait_until(lambda: server.requests)
    assert fetch(server.url + "/w.ckpt", target).read_bytes() == BODY
    assert first.wait(10) == 0
    assert "waiting" in caplog.text
    assert len(server.requests) == ONE_TRY


def test_threads_of_one_process_share_nothing(server, tmp_path, monkeypatch):
    import download

    package = sys.modules[download.download.__module__]

    def shared():
        return urllib.request._opener, urllib.request.urlopen, sys.stdout, package.urllib, package.sys

    before, during = shared(), []
    answer = server.answer
    monkeypatch.setattr(server, "answer", lambda request: (during.append(shared()), answer(request)))
    threads = []
    for name in "abab":
        server.pages["/" + name] = Page(BODY)
        threads.append(threading.Thread(target=fetch, args=(server.url + "/" + name, tmp_path / name, SHA256)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared() == before and during == [before] * len(server.requests)
    assert left(tmp_path / "a") == ["a", "b"]
    assert len(server.requests) == 2 * ONE_TRY


def test_the_bar_is_on_stderr_and_for_terminals_only(server, target, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    server.pages["/w.ckpt"].cuts = ONE_TRY
    server.pages["/w.ckpt"].ranges = False
    fetch(server.url + "/w.ckpt", target)
    written = capsys.readouterr()
    assert written.out == ""
    assert "100%" in written.err


def test_the_root_cause_is_found_in_every_envelope():
    inner = ConnectionRefusedError(111, "Connection refused")
    assert root_cause(inner) is inner
    assert root_cause(urllib.error.URLError(inner)) is inner
    try:
        try:
            raise urllib.error.URLError(inner)
        except OSError:
            raise RuntimeError("of the package")  # noqa: B904
    except RuntimeError as error:
        assert root_cause(error) is inner
    alone = urllib.error.URLError("no host given")
    assert root_cause(alone) is alone
