"""The fleet at a glance, of answers as the service gives them."""

import msgspec
from rich.table import Table

from cli_text import printed
from fleetpulse.cli.client import Answer
from fleetpulse.cli.flags import DOWN_STATUS, down_status
from fleetpulse.cli.status import counts_only, glance
from fleetpulse.cli.tables import csv_of
from fleetpulse.query.uptime_answers import FleetStats

FIGURES = {
    "uptime": 99.5,
    "observed": {"uptime": 99.5},
    "availability": None,
    "down_s": None,
    "availability_accountable_s": None,
}
STATS = {
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-01-02T00:00:00Z",
    "formula": "uptime/1",
    "devices": {"total": 13, "by_status": dict.fromkeys(("new", "late", "maintenance", "paused", "unknown"), 0)},
    "uptime": FIGURES,
    "worst": [],
    "upload_time": {"unit": "ns", "count": 0} | dict.fromkeys(("avg", "p50", "p95", "p99")),
    "missing": [],
    "declarations": {"version": 3, "changed_at": None, "devices": 13, "changed_after_window": None},
}
STATS["upload_time"] |= dict.fromkeys(("avg_text", "p50_text", "p95_text", "p99_text"))
DOWN = {
    "id": "pump-7", "status": "down", "since": "2026-01-01T19:50:00Z", "last_seen": "2026-01-01T19:45:00Z",
    "labels": {}, "interval": "1m", "grace": "4m", "has_own_interval": False, "has_own_grace": False, "note": "",
    "created_at": None,
}  # fmt: skip
NOW_S = 1_767_312_000


def test_it_counts_by_status_and_lists_what_is_down_longest_first() -> None:
    STATS["devices"]["by_status"] |= {"up": 1, "down": 12}
    listed = Answer.of({"devices": [DOWN], "total": 12, "next": "x", "missing": []}, server_s=NOW_S)
    text = printed(*glance(msgspec.convert(STATS, FleetStats), listed))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0].startswith("13 devices; uptime 99.50000 %, availability – %, from 2026-01-01T00:00:00Z")
    assert "down 12" in lines
    assert "late 0" not in lines
    assert "down, longest first, and 11 more (`fleetpulse devices list --status down`):" in lines
    assert "pump-7 down for 4 h 10 m 2026-01-01T19:50:00Z 2026-01-01T19:45:00Z" in lines


def test_as_csv_it_has_the_same_rows_whether_something_is_down_or_not() -> None:
    for down in (0, 12):
        STATS["devices"]["by_status"] |= {"up": 1, "down": down}
        line, table = counts_only(msgspec.convert(STATS, FleetStats))
        assert str(line).startswith("13 devices; uptime 99.50000 %")
        assert isinstance(table, Table)
        assert csv_of(table).splitlines() == [
            "status,devices", "new,0", "late,0", "maintenance,0", "paused,0", "unknown,0", "up,1", f"down,{down}"
        ]  # fmt: skip


def test_the_exit_status_tells_that_something_is_down_only_where_asked() -> None:
    assert (down_status(True), down_status(False)) == (DOWN_STATUS, 0)
