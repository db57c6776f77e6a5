"""What becomes of the requests under load."""

import collections
import threading


class Tally:
    """What became of the requests of all clients."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = collections.Counter()  # by kind and outcome
        self.wrong = []
        self.seconds = []  # that good images took

    def count(self, kind, outcome):
        with self.lock:
            self.counts[kind, outcome] += 1

    def fail(self, kind, error):
        with self.lock:
            self.counts[kind, "WRONG"] += 1
            self.wrong.append(f"{kind}: {error!r}"[:600])
