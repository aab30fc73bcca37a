"""Maintenance windows as a table: of which devices, when, and when next."""

from cli_text import printed
from fleetpulse.cli.maintenance import windows_table
from fleetpulse.ingest.window_declarations import WeeklyBody
from fleetpulse.query.answers import Span
from fleetpulse.query.declaration_answers import MaintenanceWindow

START, END = "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z"


def window(**fields: object) -> MaintenanceWindow:
    values = {"id": "0123", "title": "move", "labels": {}, "devices": [], "all": False, "start": START, "end": None}
    more = {"recurrence": None, "next": None, "is_on": False, "notes": []}
    return MaintenanceWindow(**{**values, **more, **fields})  # type: ignore[arg-type]  # fields of one struct


def test_a_window_once_and_one_again_and_again() -> None:
    weekly = WeeklyBody(at="02:30", duration="1h", timezone="Europe/Paris", weekdays=["sunday"])
    windows = [
        window(all=True, end=END, is_on=True),
        window(labels={"site": "paris"}, recurrence=weekly, end=END, next=Span(start=START, end=END)),
        window(devices=["a", "b", "c", "d", "e"], recurrence=WeeklyBody(at="00:00", duration="5m")),
    ]
    text = " ".join(printed(windows_table(windows)).split())
    assert f"0123 move all {START} to {END} on 0123" in text
    assert f"0123 move site:paris sunday at 02:30 Europe/Paris for 1h until {END} {START} to {END}" in text
    assert "0123 move a b c and 2 more devices every day at 00:00 UTC for 5m" in text
