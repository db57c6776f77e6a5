"""Counters: what a server tells Prometheus of itself, in its text format."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Literal

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # seconds
PATHS = ("/", "/predict", "/explain", "/collect", "/model", "/healthz", "/readyz", "/metrics", "/openapi.json")
Outcome = Literal["answered", "unreadable", "failed", "cancelled"]


class Counters:
    """Counts since the start of a server; all are changed by its event loop alone, which needs no locks."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()  # by address and status
        self.images: Counter[Outcome] = Counter()
        self.batches = self.batched = 0
        self.seconds = 0.0
        self.below = [0] * len(BOUNDS)  # predictions that took no longer than each bound
        self.predictions = 0

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request; one without an answer has the status 0."""
        place = path if path in PATHS else "/assets" if path.startswith("/assets/") else "other"
        self.requests[place, status] += 1
        if place == "/predict" and status == 200:
            self.predictions += 1
            self.seconds += seconds
            self.below = [count + (seconds <= bound) for count, bound in zip(self.below, BOUNDS, strict=True)]

    def text(self, now: Mapping[str, tuple[str, float]]) -> str:
        """All counts.

        Args:
            now: Help and value of more metrics, by their names, which go up and down.
        """
        return "\n".join((*self.counts(), *self.histogram(), *gauges(now))) + "\n"

    def counts(self) -> Iterator[str]:
        """The counters."""
        yield from head("mstl_requests_total", "counter", "Requests, by address and status; 0: without an answer.")
        for (path, status), count in sorted(self.requests.items()):
            yield f'mstl_requests_total{{path="{path}",status="{status}"}} {count}'
        yield from head("mstl_images_total", "counter", "Images, by what became of them.")
        for outcome in ("answered", "unreadable", "failed", "cancelled"):
            yield f'mstl_images_total{{outcome="{outcome}"}} {self.images[outcome]}'
        yield from head("mstl_batches_total", "counter", "Batches that went through the model.")
        yield f"mstl_batches_total {self.batches}"
        yield from head("mstl_batched_images_total", "counter", "Images in these batches.")
        yield f"mstl_batched_images_total {self.batched}"

    def histogram(self) -> Iterator[str]:
        """The time that predictions took, from the request's headers to the end of its answer."""
        yield from head("mstl_predict_seconds", "histogram", "Seconds from a request to the end of its answer.")
        for bound, count in zip(BOUNDS, self.below, strict=True):
            yield f'mstl_predict_seconds_bucket{{le="{bound}"}} {count}'
        yield f'mstl_predict_seconds_bucket{{le="+Inf"}} {self.predictions}'
        yield f"mstl_predict_seconds_sum {self.seconds:.6f}"
        yield f"mstl_predict_seconds_count {self.predictions}"


def gauges(now: Mapping[str, tuple[str, float]]) -> Iterator[str]:
    """Metrics that go up and down."""
    for name, (text, value) in now.items():
        yield from head(name, "gauge", text)
        yield f"{name} {value:g}"


def head(name: str, kind: str, text: str) -> tuple[str, str]:
    """The two lines above a metric."""
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"
