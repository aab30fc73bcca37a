import math
from dataclasses import replace

import pytest

from fleetpulse.errors import RequestTimeout
from fleetpulse.ingest.connections import Connections, Phase
from fleetpulse.limits import IngestLimits
from fleetpulse.telemetry.counters import Counters

LIMITS = replace(
    IngestLimits(), first_byte_s=1, header_s=2, body_s=3, idle_s=4, write_s=5, connections_max=3,
    connections_per_address_max=2,
)  # fmt: skip


class Connection:
    """A connection that records how it was ended."""

    def __init__(self, phase: Phase = Phase.HEADER, *, blocked_since_s: float = math.inf) -> None:
        self.phase = phase
        self.since_s = 0.0
        self.blocked_since_s = blocked_since_s
        self.end: list[str] = []

    def time_out(self, error: RequestTimeout | None) -> None:
        self.end.append("silently" if error is None else error.reason)

    def cut(self) -> None:
        self.end.append("cut")


def test_connections_are_limited_in_all_and_for_each_address() -> None:
    counters = Counters()
    connections = Connections(LIMITS, counters)
    first = [Connection() for _ in range(3)]
    assert [connections.admit(connection, "a") for connection in first] == [True, True, False]
    other = Connection()
    assert connections.admit(other, "b")
    assert not connections.admit(Connection(), "c")
    assert counters.connections_refused == {"connections_per_address": 1, "connections": 1}
    connections.leave(first[2], "a")
    assert len(connections) == 3
    connections.leave(first[0], "a")
    connections.leave(other, "b")
    assert [connections.admit(Connection(), "a"), connections.admit(Connection(), "a")] == [True, False]


def test_a_connection_that_changes_hands_stays_one() -> None:
    connections = Connections(LIMITS, Counters())
    old, new = Connection(), Connection()
    connections.admit(old, "a")
    connections.replace(old, new)
    connections.sweep(100)
    assert (len(connections), old.end, new.end) == (1, [], ["header_timeout"])


@pytest.mark.parametrize(
    ("phase", "limit_s", "end"),
    [
        (Phase.FIRST_BYTE, 1, "silently"),
        (Phase.HEADER, 2, "header_timeout"),
        (Phase.BODY, 3, "body_timeout"),
        (Phase.IDLE, 4, "silently"),
    ],
)
def test_each_phase_has_its_deadline_and_only_a_request_that_has_begun_gets_an_answer(
    phase: Phase, limit_s: float, end: str
) -> None:
    counters = Counters()
    connections = Connections(LIMITS, counters)
    connection = Connection(phase)
    connections.admit(connection, "a")
    connections.sweep(limit_s)
    assert connection.end == []
    connections.sweep(limit_s + 0.1)
    assert (connection.end, counters.requests_refused) == ([end], {f"{phase.name.lower()}_timeout": 1})


def test_a_connection_that_waits_for_our_answer_has_no_deadline_but_one_that_does_not_read_is_cut() -> None:
    connections = Connections(LIMITS, Counters())
    waiting, blocked = Connection(Phase.ANSWER), Connection(Phase.ANSWER, blocked_since_s=10)
    connections.admit(waiting, "a")
    connections.admit(blocked, "a")
    connections.sweep(15)
    assert blocked.end == []
    connections.sweep(15.1)
    assert (waiting.end, blocked.end) == ([], ["cut"])


def test_sweeps_are_a_fraction_of_the_shortest_deadline_apart() -> None:
    assert Connections(LIMITS, Counters()).sweep_interval_s == 0.25
    assert Connections(IngestLimits(), Counters()).sweep_interval_s == 0.5
