"""What `fleetpulse watch` shows of events: lines, and a picture."""

import io
from typing import Any

import pytest
from msgspec.json import encode

from fleetpulse.cli.event_source import FeedEvent
from fleetpulse.cli.watch_picture import ALERTS_SHOWN, Picture, line_of

AT = "2026-11-24T08:30:00.123456789Z"
COUNTS = {"at": AT, "total": 3, "by_status": {"new": 0, "up": 2, "down": 1}}
DOWN = {"at": AT, "device_id": "press-07", "from": "late", "to": "down", "since": AT}
ALERT = {
    "at": AT, "number": 17, "rule": "device-offline", "severity": "critical", "state": "firing",
    "subject": "press-07", "since": AT, "resolution": "",
}  # fmt: skip
OMITTED = {
    "at": AT, "what": "transition", "events": 1200,
    "changes": [{"from": "up", "to": "late", "devices": 1200}], "labels": [{"label": "site:paris", "devices": 1100}],
}  # fmt: skip
MISSED = {"events": 17, "reason": "slow", "todo": "read the state anew"}


def event(kind: str, body: Any) -> FeedEvent:
    return FeedEvent(kind, encode(body))


@pytest.mark.parametrize(
    ("kind", "body", "line"),
    [
        ("counts", COUNTS, "2026-11-24T08:30:00Z 3 devices: 2 up, 1 down"),
        ("counts", {"at": AT, "total": 0, "by_status": {"up": 0}}, "2026-11-24T08:30:00Z 0 devices"),
        ("transition", DOWN, "2026-11-24T08:30:00Z press-07 late -> down"),
        ("transition", {**DOWN, "from": None}, "2026-11-24T08:30:00Z press-07 none -> down"),
        ("alert", ALERT, "2026-11-24T08:30:00Z alert 17 critical device-offline press-07 firing"),
        (
            "alert",
            {**ALERT, "state": "resolved", "resolution": "ran"},
            "2026-11-24T08:30:00Z alert 17 critical device-offline press-07 resolved (ran)",
        ),
        ("omitted", OMITTED, "2026-11-24T08:30:00Z and 1200 devices more: 1200 up -> late (of these site:paris 1100)"),
        ("omitted", {"at": AT, "what": "alert", "events": 2}, "2026-11-24T08:30:00Z and 2 alerts more"),
        ("missed", MISSED, "missed 17 events (slow): what was shown may be wrong; read the state anew"),
        (
            "missed",
            {**MISSED, "events": None, "reason": "unknown_id"},
            "missed events (unknown_id): what was shown may be wrong; read the state anew",
        ),
        ("end", {"reason": "stopping"}, "the service ends the stream (stopping)"),
        ("something new", {}, ""),
    ],
)
def test_an_event_is_a_line(kind: str, body: Any, line: str) -> None:
    assert line_of(event(kind, body)) == line


def drawn(picture: Picture, *, rows: int = 40) -> str:
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=100).print(picture.drawn(rows=rows))
    return file.getvalue()


def test_the_picture_has_counts_alerts_and_the_latest_changes_first() -> None:
    picture = Picture("http://127.0.0.1:6733")
    assert picture.is_unread
    picture.take_alerts([{**ALERT, "number": 2}, {**ALERT, "number": 1, "subject": "press-01"}])
    for kind, body in (("counts", COUNTS), ("transition", DOWN), ("alert", ALERT), ("omitted", OMITTED)):
        picture.take(event(kind, body))
    picture.take(event("alert", {**ALERT, "number": 2, "state": "resolved"}))
    text = drawn(picture)
    assert "3 devices   up 2   down 1" in text
    order = [text.index(part) for part in ("critical", "press-01", "resolved", "1200 devices more", "late -> down")]
    assert order == sorted(order)
    assert not picture.is_unread


def test_the_picture_says_when_the_connection_has_ended_and_what_was_missed() -> None:
    picture = Picture("http://127.0.0.1:6733")
    picture.take_alerts(None)
    picture.take(FeedEvent("lost", b"the service is away"))
    assert "trying again: the service is away" in drawn(picture)
    picture.take(FeedEvent("back", b""))
    picture.take(event("missed", MISSED))
    picture.take(event("alert", ALERT))
    text = drawn(picture)
    assert "missed 17 events (slow)" in text
    assert "Ctrl-C ends" in text
    assert picture.is_unread


def test_the_picture_fits_the_terminal() -> None:
    picture = Picture("http://127.0.0.1:6733")
    picture.take_alerts([{**ALERT, "number": number} for number in range(1, 30)])
    picture.take(event("counts", COUNTS))
    for _ in range(200):
        picture.take(event("transition", DOWN))
    for rows in (24, 50):
        text = drawn(picture, rows=rows)
        assert len(text.splitlines()) <= max(rows, 24)
    assert f"and {29 - ALERTS_SHOWN} more" in text


def test_what_would_steer_the_terminal_is_not_shown() -> None:
    body = {**DOWN, "device_id": "a\x1b[2Jb"}
    picture = Picture("http://127.0.0.1:6733")
    picture.take(event("transition", body))
    assert "\x1b" not in drawn(picture)
    assert "\x1b" not in line_of(event("transition", body))
