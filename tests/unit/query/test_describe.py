"""What is declared, as answers give it."""

import pytest
from msgspec import UNSET

from fleetpulse.catalog.catalog import DeviceRecord, Pause
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.maintenance import MaintenanceWindow, Recurrence
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.retention import ComingDeletion
from fleetpulse.query.describe import deletion_text, describe_device, describe_metric, describe_window

S = 1_000_000_000
NOW = 1_779_969_600 * S
"""2026-05-28, a Thursday, at noon."""


def test_a_device_has_its_policy_and_says_whether_it_is_its_own() -> None:
    record = DeviceRecord(0, Device("a", {"site": "paris"}, interval_s=90), created_at_ns=NOW)
    described = describe_device(
        record, status="new", since_ns=0, last_received_ns=0, policy=HeartbeatPolicy(90, 240), pauses=[], now_ns=NOW
    )
    assert (described.interval, described.grace) == ("1m30s", "4m")
    assert (described.has_own_interval, described.has_own_grace) == (True, False)
    assert (described.since, described.last_seen, described.created_at) == (None, None, "2026-05-28T12:00:00Z")
    assert described.paused_until is UNSET


def test_a_paused_device_says_until_when_and_one_that_is_paused_for_good_says_null() -> None:
    for end_ns, text in ((NOW + 60 * S, "2026-05-28T12:01:00Z"), (None, None)):
        described = describe_device(
            DeviceRecord(0, Device("a"), created_at_ns=NOW), status="paused", since_ns=NOW, last_received_ns=NOW,
            policy=HeartbeatPolicy(60, 240), pauses=[Pause(0, NOW - S, end_ns)], now_ns=NOW,
        )  # fmt: skip
        assert described.paused_until == text


def test_a_metric_has_its_bounds_as_a_pair() -> None:
    assert describe_metric(MetricDefinition(name="cpu", lowest=0)).bounds == [0, None]


def test_a_window_that_comes_again_says_when_next_and_whether_it_is_now() -> None:
    weekly = Recurrence(start_minute=150, duration_s=3_600, timezone="Europe/Paris", weekdays=(4,))
    window = MaintenanceWindow("0123", "updates", {}, (), is_for_all=True, start_ns=NOW, end_ns=None, recurrence=weekly)
    described = describe_window(window, now_ns=NOW, known=(), roster=Roster())
    assert described.recurrence is not None
    assert (described.recurrence.at, described.recurrence.weekdays) == ("02:30", ["friday"])
    assert described.next is not None
    assert (described.next.start, described.is_on) == ("2026-05-29T00:30:00Z", False)
    assert describe_window(window, now_ns=NOW + 13 * 3_600 * S, known=(), roster=Roster()).is_on


def test_a_window_that_is_over_has_no_next_one() -> None:
    window = MaintenanceWindow("0123", "move", {}, ("a",), is_for_all=False, start_ns=NOW, end_ns=NOW + S)
    described = describe_window(window, now_ns=NOW + S, known=(), roster=Roster())
    assert described.notes == ["there is no device a"]
    assert (described.next, described.is_on, described.devices) == (None, False, ["a"])


@pytest.mark.parametrize(
    ("days", "text"), [(1, "kept for 1 day instead of 365;"), (2, "kept for 2 days instead of 365;")]
)
def test_a_coming_deletion_says_for_how_long_samples_are_kept(days: int, text: str) -> None:
    deletion = ComingDeletion(what="samples", at_ns=0, before_ns=0, days_before=365, days_after=days)
    assert text in deletion_text("cpu", deletion)
