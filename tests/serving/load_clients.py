"""Clients of a server under load: honest ones, and such as send what no honest one does. Each checks its answers."""

import contextlib
import itertools
import select
import threading
import time

import numpy as np

from tests.serving.load_talk import CHUNKED, CLOSED, LAST_CHUNK, PATIENCE, Talk, chunked, head, problem_of, same, whole

IDLE = 5.0  # seconds after which a connection is not used again: the server may be about to close it
BOUNDARY = "a-line-between-files"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


class Client:
    """A client.

    Args:
        port: Of the server.
        bodies: Contents by kind, see :func:`tests.serving.load_bodies.bodies`.
        expected: What ``mstl predict`` says of them.
        tally: Gets what becomes of its requests.
        seed: Of its choices.
        pause: Seconds that a slow one takes, about.
    """

    def __init__(self, port, bodies, expected, tally, seed, pause):
        self.port, self.bodies, self.expected, self.tally, self.pause = port, bodies, expected, tally, pause
        self.rng = np.random.default_rng(seed)
        self.kept = None

    def work(self, until, weights):
        """Send requests of all kinds until a point in time, as often as the weights say."""
        names = list(weights)
        shares = np.array([weights[name] for name in names], float)
        while time.monotonic() < until:
            kind = str(self.rng.choice(names, p=shares / shares.sum()))
            try:
                self.tally.count(kind, getattr(self, kind)())
            except Exception as error:  # whatever is raised is wrong
                self.tally.fail(kind, error)
                self.kept = None

    def ask(self, parts):
        """The answer to a request on a connection of its own."""
        talk = Talk(self.port)
        try:
            talk.send(parts)
            return talk.answer()
        finally:
            talk.close()

    def one_of(self, kind):
        """A content of a kind, and what is said of it."""
        index = int(self.rng.integers(len(self.bodies[kind])))
        return self.bodies[kind][index], self.expected[kind][index]

    def good(self):
        """An image, on a connection that is kept; it must be answered, so it is sent again as often as it takes."""
        content, record = self.one_of("good")
        began = time.monotonic()
        while True:
            if self.kept is None or self.kept.is_over() or time.monotonic() > self.kept.last + IDLE:
                self.kept = Talk(self.port)
            self.kept.send(whole(content))
            answer = self.kept.answer()
            if answer.status != 503 or time.monotonic() > began + PATIENCE:
                break
            problem_of(answer, 503)
            self.tally.count("good", "503")
            time.sleep(float(answer.headers["retry-after"]))
        same(answer, [record])
        self.tally.seconds.append(time.monotonic() - began)
        return "200"

    def form(self):
        """A form with good images, and files that are none."""
        kinds = ["good", *self.rng.choice(["good", "text", "truncated", "flipped"], int(self.rng.integers(4)))]
        files = [self.one_of(str(kind)) for kind in kinds]
        body = b""
        for index, (content, _) in enumerate(files):
            name = f'Content-Disposition: form-data; name="file"; filename="../../{index}.jpg"'
            body += f"--{BOUNDARY}\r\n{name}\r\n\r\n".encode() + content + b"\r\n"
        body += f"--{BOUNDARY}--\r\n".encode()
        answer = self.ask(whole(body, "/predict", f"Content-Type: {FORM}"))
        if answer.status == 503:
            return problem_of(answer, 503)
        return same(answer, [record for _, record in files], [f"{index}.jpg" for index in range(len(files))])

    def broken_form(self):
        """A form that is cut off, or whose lines between the files are wrong."""
        content, _ = self.one_of("good")
        part = b'--%b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' % BOUNDARY.encode()
        kinds = (part + content, part + content + b"\r\n--another--\r\n", part[3:] + content, part.replace(b":", b"\0"))
        body = kinds[self.rng.integers(len(kinds))]
        return problem_of(self.ask(whole(body, "/predict", f"Content-Type: {FORM}")), 400, 422, 503)

    def damaged(self):
        """Something that is no sound image."""
        content, record = self.one_of(str(self.rng.choice(["text", "truncated", "flipped", "bomb", "narrow"])))
        return self.right(self.ask(whole(content)), record)

    def large(self):
        """As many bytes as are allowed."""
        content, record = self.one_of(str(self.rng.choice(["largest", "noise"])))
        answer = self.ask(whole(content))
        return problem_of(answer, 408) if answer.status == 408 else self.right(answer, record)  # on a slow machine

    def too_large(self):
        """More bytes than are allowed, by what the request says, or by what comes."""
        content, _ = self.one_of("noise")
        longer = content + b"more"
        kinds = (whole(longer), [head("/predict", f"Content-Length: {10**15}")], [CHUNKED, *chunked([longer])])
        return problem_of(self.ask(kinds[self.rng.integers(3)]), 413, 503)

    def endless(self):
        """A body in chunks that never ends."""
        size = int(self.rng.choice([100, 4_000, 65_536, 1_000_000]))
        piece = self.bodies["noise"][0][:size]
        try:
            return problem_of(
                self.ask(itertools.chain([CHUNKED], chunked(itertools.repeat(piece)))), 400, 408, 413, 503
            )
        except CLOSED:  # it has sent so much more that the server would not wait for the end of it
            return "closed"

    def tiny_chunks(self):
        """An image in chunks of one byte."""
        content, _ = self.one_of("good")
        body = b"".join(chunked(content[index : index + 1] for index in range(len(content)))) + LAST_CHUNK
        try:
            return problem_of(self.ask([CHUNKED, body]), 400)
        except CLOSED:  # while it was still sending
            return "closed"

    def in_chunks(self):
        """An image in chunks as usual."""
        content, record = self.one_of("good")
        parts = [content[start : start + 8192] for start in range(0, len(content), 8192)]
        return self.right(self.ask([CHUNKED, *chunked(parts), LAST_CHUNK]), record)

    def empty(self):
        """No body at all."""
        kinds = ([head("/predict", "Content-Length: 0")], [CHUNKED, LAST_CHUNK], [head("/predict")])
        return problem_of(self.ask(kinds[self.rng.integers(3)]), 422)

    def slow(self):
        """A good image, a little at a time."""
        content, record = self.one_of("good")
        return self.right(self.ask(self.slowly(content)), record)

    def slowly(self, content, steps=12):
        """A request, in parts that take their time."""
        yield head("/predict", f"Content-Length: {len(content)}")
        size = -(-len(content) // steps)
        for start in range(0, len(content), size):
            time.sleep(self.pause / steps)
            yield content[start : start + size]

    def stuck_body(self):
        """A body that does not come to its end."""
        return problem_of(self.trickle(head("/predict", "Content-Length: 1000")), 408, 503)

    def stuck_head(self):
        """Headers that do not come to their end: nobody is told why they are not read for ever."""
        with contextlib.suppress(*CLOSED):
            return problem_of(self.trickle(head("/predict", "X-Long: ")[:-4]), 400, 408)
        return "closed"

    def trickle(self, start):
        """The answer to a request that goes on, a byte at a time."""
        talk = Talk(self.port)
        try:
            talk.send([start])
            while not select.select([talk.socket], [], [], self.pause / 10)[0]:
                talk.send([b"x"])
            return talk.answer()
        finally:
            talk.close()

    def hang_up(self):
        """A request whose client goes away, before its end or before the answer."""
        content, _ = self.one_of(str(self.rng.choice(["good", "largest", "bomb"])))
        parts = whole(content)
        if self.rng.random() < 0.5:
            parts[1] = content[: len(content) // 2]
        talk = Talk(self.port)
        talk.send(parts)
        talk.close(reset=bool(self.rng.random() < 0.5))
        return "hung up"

    def digits(self):
        """Values in the address that are 200 digits long."""
        number = "".join(map(str, self.rng.integers(0, 10, 200)))
        name = str(
            self.rng.choice(["predict?top=", "predict?top=-", "predict?reject=", "explain?label=", "collect?label="])
        )
        content, _ = self.one_of("good")
        answer = self.ask(whole(content, f"/{name}{number}"))
        return problem_of(answer, 404, 422, 501, 503)

    def foreign(self):
        """A page of another server."""
        content, _ = self.one_of("good")
        return problem_of(self.ask(whole(content, "/predict", "Origin: https://elsewhere.example")), 403)

    def stay(self):
        """Send good images until the server is gone: each that it has accepted is answered."""
        while True:
            try:
                talk = Talk(self.port)
            except ConnectionRefusedError:
                return
            while not talk.is_over():
                content, record = self.one_of("good")
                try:
                    talk.send(self.slowly(content) if self.rng.random() < 0.1 else whole(content))
                    self.tally.count("at the end", self.right(talk.answer(), record))
                except CLOSED:
                    assert not talk.is_used, "the answer before did not say that it is the last one"
                    self.tally.count("at the end", "never accepted")
                    talk.close()

    def right(self, answer, record):
        """What became of an image that may be refused for want of room."""
        if answer.status == 503:
            return problem_of(answer, 503)
        return problem_of(answer, 422) if record is None else same(answer, [record])


def together(clients, work):
    """Let each client work, in a thread of its own, to its end."""
    threads = [threading.Thread(target=work, args=[client]) for client in clients]
    for thread in threads:
        thread.start()
    return threads
