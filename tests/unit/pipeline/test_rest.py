"""Memory is given back when questions have ended and none runs, and not more often than it is worth."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

from fleetpulse.pipeline import rest as module
from fleetpulse.pipeline.rest import REST_S, Rest
from fleetpulse.telemetry.counters import Counters


class Service:
    """The parts that a rest looks at, and a thread that counts instead of working."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.working = 0
        self.given_back = 0
        self.counters = Counters()
        self.rest = Rest(
            questions=cast("Any", SimpleNamespace(lanes=self)),
            counters=self.counters,
            threads=cast("Any", SimpleNamespace(files=self)),
            monotonic_s=lambda: self.now_s,
        )

    def running(self) -> dict[str, float]:
        return {"small": 0, "big": self.working}

    def submit(self, work: Any) -> "Future[None]":
        assert work is module.give_back
        self.given_back += 1
        return Future()


def test_memory_is_given_back_once_after_questions_when_none_runs() -> None:
    service = Service()
    service.rest.tick()
    service.counters.questions_answered["small"] = 100
    service.rest.tick()
    assert service.given_back == 0
    service.counters.questions_stopped["client_gone"] += 1
    service.working = 1
    service.rest.tick()
    assert service.given_back == 0
    service.working = 0
    for _ in range(3):
        service.rest.tick()
    assert service.given_back == 1
    service.counters.questions_answered["big"] += 1
    service.rest.tick()
    assert service.given_back == 1
    service.now_s += REST_S
    service.rest.tick()
    assert service.given_back == 2
