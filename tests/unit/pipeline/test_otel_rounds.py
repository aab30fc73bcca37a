"""When metrics are sent to OpenTelemetry, and that nothing is done while it is off."""

from collections import Counter
from typing import Any

from fleetpulse.pipeline.otel_rounds import OtelRounds
from fleetpulse.telemetry.counters import Counters
from fleetpulse.telemetry.requests import Target


class Sender:
    def __init__(self) -> None:
        self.exports: Counter[str] = Counter(sent=1)
        self.calls: list[Any] = []

    def metrics(self, complete: Any) -> None:
        self.calls.append(("metrics", complete()))

    def request(self, target: Target, code: int | None, _took_s: float, _headers: Any, /) -> None:
        self.calls.append((target.route, code))

    def work(self, name: str, _took_s: float, attributes: Any, /) -> None:
        self.calls.append((name, attributes))

    def close(self) -> None:
        self.calls.append("close")


def test_metrics_are_sent_when_they_are_due_and_work_when_it_ends() -> None:
    sender, counters, now_s = Sender(), Counters(), [100.0]
    rounds = OtelRounds(sender=sender, every_s=60.0, monotonic_s=lambda: now_s[0])
    rounds.tick()
    rounds.begin(counters, lambda: lambda: {"a": 1})
    for now_s[0] in (101.0, 130.0, 161.0):
        rounds.tick()
    counters.note_commit(0.1, events=3)
    counters.note_checkpoint(0.2)
    counters.note_compaction(0.3)
    assert counters.requests.observer is not None
    counters.requests.observer(Target("GET", "/"), 200, 0.1, [])
    rounds.close()
    metrics = ("metrics", {"a": 1})
    work = [("commit", {"events": 3}), ("checkpoint", {}), ("compaction", {})]
    assert sender.calls == [metrics, metrics, *work, ("/", 200), "close"]
    assert rounds.exports == {"sent": 1}


def test_nothing_is_done_where_it_is_off() -> None:
    counters = Counters()
    rounds = OtelRounds(sender=None, every_s=60.0)
    rounds.begin(counters, lambda: dict)
    rounds.tick()
    rounds.close()
    assert (counters.requests.observer, counters.on_work, rounds.exports) == (None, None, {})
