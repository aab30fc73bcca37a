"""Answers about uptime as tables and sentences."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET

from cli_text import printed
from fleetpulse.cli.uptime import device_parts, figures_text, fleet_parts, worst_parts
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import Missing
from fleetpulse.query.uptime_answers import (
    FleetGroup,
    FleetPoint,
    FleetUptime,
    GapFigures,
    GroupFigures,
    Interval,
    ObservedTime,
    Uptime,
    WorstDevice,
    WorstDevices,
)

START, END = "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z"
FIGURES: dict[str, Any] = {
    "uptime": 75.0,
    "up_s": Decimal("10800.0"),
    "accountable_s": Decimal("14400.0"),
    "observed": ObservedTime(uptime=70.0, up_s=Decimal("10080.0"), accountable_s=Decimal("14400.0")),
    "availability": 50.0,
    "down_s": Decimal("90.4"),
    "availability_accountable_s": Decimal("240.0"),
}
SLOTS: dict[str, Any] = {
    "uptime": 75.0,
    "present": 180,
    "expected": 240,
    "observed": ObservedTime(uptime=70.0, present=168),
    "availability": 50.0,
    "down_s": Decimal("90.4"),
    "availability_accountable_s": Decimal("240.0"),
}
DECLARATIONS = DeclarationsUsed(7, None, 1, changed_after_window=False)


def uptime(**fields: Any) -> Uptime:
    values: dict[str, Any] = {
        "device_id": "press-2",
        "start": START,
        "end": END,
        "formula": "uptime/2",
        "declarations": DECLARATIONS,
        "missing": [],
    }
    return Uptime(**{**values, **FIGURES, **fields})


def test_figures_of_a_device_are_a_sentence_with_their_fractions() -> None:
    gaps = GapFigures(count=2, longest_s=Decimal("3000.0"), seconds=Decimal("3720.0"))
    assert figures_text(uptime(gaps=gaps, left_out_s={"before_first_seen": Decimal("3600.0")})) == (
        "uptime 75.00000 %, up 3h of 4h (formula uptime/2), 2 gaps, the longest 50m; observed in time 70.00000 %, "
        "2h48m of 4h; left out: 1h before first seen; availability 50.00000 %, 1m30s down in 4m."
    )


def test_figures_by_slots_are_those_of_the_formula_before() -> None:
    unset = Uptime(
        **{
            "device_id": "press-2",
            "start": START,
            "end": END,
            "formula": "uptime/1.1",
            "slot_s": 60,
            "left_out_slots": {"maintenance": 60},
            "declarations": DECLARATIONS,
            "missing": [],
            **SLOTS,
        }
    )
    assert figures_text(unset) == (
        "uptime 75.00000 %, 180 of 240 slots of 1m present (formula uptime/1.1); "
        "observed in time 70.00000 %, 168 slots; left out: 60 maintenance; availability 50.00000 %, 1m30s down in 4m."
    )


def test_a_device_without_uptime_is_told_from_one_whose_uptime_is_unknown() -> None:
    nothing = {"uptime": None, "availability": None, "down_s": None, "availability_accountable_s": None}
    zero = {"up_s": Decimal(0), "accountable_s": Decimal(0)}
    assert figures_text(uptime(**nothing, **zero)) == "no uptime, since no time counts (formula uptime/2)."
    unknown = uptime(**nothing, up_s=None, accountable_s=None, gaps=None)
    assert figures_text(unknown) == "uptime unknown, since gaps are missing (formula uptime/2)."
    slots = {**SLOTS, **nothing, "present": 0, "expected": 0}
    assert figures_text(uptime(**slots, up_s=UNSET, accountable_s=UNSET)).startswith("no uptime, since no time counts")


def test_intervals_and_what_is_missing_are_listed() -> None:
    intervals = [Interval(start=START, end=END, reason="backfilled", seconds=Decimal("14400.0"))]
    missing = [Missing(start=START, end=END, reason="block x is missing")]
    known = {"resolution": "minute", "exact_from": "2026-01-01T02:00:00Z"}
    text = printed(*device_parts(uptime(intervals=intervals, capped=True, missing=missing, **known)))
    assert "gaps before 2026-01-01T02:00:00Z are known by the minute only" in text
    assert "backfilled  14400.0" in text
    assert f"There are more intervals: ask again with --from {END}." in text
    assert f"missing from {START} to {END}: block x is missing" in text


def fleet(points: list[FleetPoint], *, formula: str, figures: dict[str, Any], **more: Any) -> list[str]:
    unknown = {**figures, "availability": None, "down_s": None, "availability_accountable_s": None}
    answer = FleetUptime(
        start=START,
        end=END,
        step_s=3600,
        formula=formula,
        group_by="site",
        fleet=GroupFigures(devices=2, **unknown, **more),
        groups=[FleetGroup(group="", devices=2, series=points, **figures, **more)],
        declarations=DECLARATIONS,
        missing=[],
    )
    return [" ".join(line.split()) for line in printed(*fleet_parts(answer)).splitlines()]


def test_a_fleet_has_a_line_a_group_and_a_graph_with_gaps_where_a_group_had_no_device() -> None:
    hour = Decimal("3600.0")
    points = [FleetPoint(at=START, uptime=0.0, up_s=Decimal(0), accountable_s=hour)]
    points += [FleetPoint(at="2026-01-01T01:00:00Z")]
    points.append(FleetPoint(at="2026-01-01T02:00:00Z", uptime=100.0, up_s=hour, accountable_s=hour))
    lines = fleet(points, formula="uptime/2", figures=FIGURES, mean_uptime=60.0)
    assert "(no label) 2 75.00000 3h 4h 70.00000 50.00000 1m30s 60.00000" in lines
    assert "all 2 75.00000 3h 4h 70.00000 – – 60.00000" in lines
    assert "(no label) 2026-01-01T01:00:00Z – – –" in lines
    assert "(no label) ▁ █" in lines


def test_a_fleet_by_slots_has_their_counts() -> None:
    lines = fleet([FleetPoint(at=START, uptime=0.0, present=0, expected=60)], formula="uptime/1.1", figures=SLOTS)
    assert "all 2 75.00000 180 240 70.00000 – –" in lines
    assert f"(no label) {START} 0.00000 0 60" in lines


@pytest.mark.parametrize(
    ("measure", "title"), [("settled", "uptime %"), ("observed", "observed %"), ("availability", "availability %")]
)
def test_the_worst_devices_are_a_table(measure: str, title: str) -> None:
    worst = WorstDevices(
        start=START,
        end=END,
        formula="uptime/2",
        on=measure,
        total=3,
        devices=[WorstDevice(id="press-2", uptime=75.0, up_s=Decimal("10800.0"), accountable_s=Decimal("14400.0"))],
        declarations=DECLARATIONS,
        missing=[],
        notes=["printed to standard error by the client"],
    )
    text = printed(*worst_parts(worst))
    assert "1 of 3 devices" in text
    assert f"device   {title}" in " ".join(text.split("\n"))
    assert text.split()[-4:] == ["press-2", "75.00000", "3h", "4h"]
