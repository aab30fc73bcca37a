"""What `fleetpulse alerts rehearse` sends and shows."""

from pathlib import Path
from typing import Any

import pytest

from fleetpulse.cli.alert_rehearsal import proposed, rehearsal_parts
from fleetpulse.errors import SettingsError
from fleetpulse.query.rehearsal_answers import Rehearsal, RehearsedAlert, RehearsedDay

ANSWER: dict[str, Any] = {
    "rule": "offline",
    "start": "2026-11-01T00:00:00Z",
    "end": "2026-11-03T00:00:00Z",
    "interval_s": 1,
    "alerts": 3,
    "again": 0,
    "open_at_start": 0,
    "subjects": 2,
    "incidents": 0,
    "messages": 4,
    "receivers": {"ops": 4},
    "kinds": {"firing": 2, "resolved": 2},
    "days": [RehearsedDay("2026-11-01", 1, 2), RehearsedDay("2026-11-02", 2, 2)],
    "first": [],
    "missing": [],
    "notes": [],
}
ALERT = RehearsedAlert(
    subject="d1", since="2026-11-01T10:00:00Z", fired_at="2026-11-01T10:05:00Z", resolved_at=None, value=93.25
)
TWO = '[[rule]]\nname = "a"\nkind = "device_down"\n[[rule]]\nname = "b"\nkind = "fleet"\ncondition = "down > 3"\n'


def cells(part: Any) -> list[str]:
    return [str(cell) for column in part.columns for cell in column.cells]


def test_days_have_bars_in_proportion() -> None:
    _, days = rehearsal_parts(Rehearsal(**ANSWER))
    assert [cell.count("█") for cell in cells(days) if "█" in cell] == [20, 40]


def test_the_first_alerts_are_listed() -> None:
    *_, alerts = rehearsal_parts(Rehearsal(**{**ANSWER, "first": [ALERT]}))
    assert {"d1", "firing", "93.25"} <= set(cells(alerts))


def test_a_rule_of_a_file_is_proposed(tmp_path: Path) -> None:
    path = tmp_path / "alerts.toml"
    path.write_text(TWO, encoding="utf-8")
    assert proposed(path, "b") == {"name": "b", "rule": {"kind": "fleet", "condition": "down > 3"}}
    for name in (None, "c"):
        with pytest.raises(SettingsError, match=r"there are: a, b"):
            proposed(path, name)
    path.write_text("[[rule", encoding="utf-8")
    with pytest.raises(SettingsError, match="Expected TOML"):
        proposed(path, None)
    with pytest.raises(SettingsError, match="does not exist"):
        proposed(tmp_path / "none.toml", None)
