"""Answers about uptime as tables and sentences."""

from cli_text import printed
from fleetpulse.cli.uptime import device_parts, figures_text, fleet_parts
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import (
    FleetFigures,
    FleetGroup,
    FleetPoint,
    FleetUptime,
    Interval,
    Missing,
    Observed,
    Uptime,
)

START, END = "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z"
FIGURES = {
    "uptime": 75.0,
    "present": 180,
    "expected": 240,
    "availability": 50.0,
    "down_s": 90.4,
    "accountable_s": 240.0,
}
DECLARATIONS = DeclarationsUsed(7, None, 1, changed_after_window=False)


def uptime(**fields: object) -> Uptime:
    values: dict[str, object] = {
        "device_id": "press-2",
        "start": START,
        "end": END,
        "formula": "uptime/1.1",
        "slot_s": 60,
        "observed": Observed(uptime=70.0, present=168),
        "left_out": {},
        "declarations": DECLARATIONS,
        "missing": [],
    }
    return Uptime(**{**values, **FIGURES, **fields})  # type: ignore[arg-type]  # fields of one struct


def test_figures_of_a_device_are_a_sentence_with_their_fractions() -> None:
    assert figures_text(uptime(left_out={"maintenance": 60})) == (
        "uptime 75.00000 %, 180 of 240 slots of 1m present (formula uptime/1.1); "
        "observed in time 70.00000 %, 168 slots; left out: 60 maintenance; availability 50.00000 %, 1m30s down in 4m."
    )


def test_a_device_of_which_nothing_was_expected_has_no_uptime() -> None:
    nothing = uptime(uptime=None, present=0, expected=0, availability=None, down_s=None, accountable_s=None)
    assert figures_text(nothing) == "no uptime, since nothing was expected of it (formula uptime/1.1, slots of 1m)."


def test_intervals_and_what_is_missing_are_listed() -> None:
    intervals = [Interval(start=START, end=END, reason="backfilled", slots=240)]
    missing = [Missing(start=START, end=END, reason="block x is missing")]
    text = printed(*device_parts(uptime(intervals=intervals, capped=True, missing=missing)))
    assert "backfilled    240" in text
    assert f"There are more intervals: ask again with --from {END}." in text
    assert f"missing from {START} to {END}: block x is missing" in text


def test_a_fleet_has_a_line_a_group_and_a_graph_with_gaps_where_a_group_had_no_device() -> None:
    points = [FleetPoint(at=START, uptime=0.0, present=0, expected=60), FleetPoint(at="2026-01-01T01:00:00Z")]
    points.append(FleetPoint(at="2026-01-01T02:00:00Z", uptime=100.0, present=60, expected=60))
    unknown = {**FIGURES, "availability": None, "down_s": None, "accountable_s": None}
    answer = FleetUptime(
        start=START,
        end=END,
        step_s=3600,
        formula="uptime/1.1",
        group_by="site",
        fleet=FleetFigures(devices=2, **unknown),  # type: ignore[arg-type]  # fields of one struct
        groups=[FleetGroup(group="", devices=2, series=points, **FIGURES)],  # type: ignore[arg-type]  # as above
        declarations=DECLARATIONS,
        missing=[],
    )
    lines = [" ".join(line.split()) for line in printed(*fleet_parts(answer)).splitlines()]
    assert "(no label) 2 75.00000 180 240 50.00000 1m30s 4m" in lines
    assert "all 2 75.00000 180 240 – – –" in lines
    assert "(no label) 2026-01-01T01:00:00Z – 0 0" in lines
    assert "(no label) ▁ █" in lines
