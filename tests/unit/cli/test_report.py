"""A service level report: the same figures and the same method in every format."""

import csv
import io
import json
from fractions import Fraction

from fleetpulse.cli.report_figures import Line, Report
from fleetpulse.cli.report_formats import as_csv, as_json, as_markdown, as_table
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import AvailableFigures, Missing

START, END = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def line(name: str, present: int, expected: int, **fields: object) -> Line:
    percent = 100 * present / expected if expected else None
    figures = AvailableFigures(
        uptime=percent, present=present, expected=expected, availability=percent, down_s=0.0, accountable_s=60.0
    )
    return Line(name=name, devices=1, figures=figures, reproduce=f"fleetpulse {name}", **fields)  # type: ignore[arg-type]  # fields of one struct


def report(*devices: Line, sla: str = "99.9", is_listed: bool = True) -> Report:
    present, expected = (sum(getattr(one.figures, name) for one in devices) for name in ("present", "expected"))
    groups = [
        line(
            "ly|on",
            *(
                sum(getattr(one.figures, name) for one in devices if one.group == "ly|on")
                for name in ("present", "expected")
            ),
        )
    ]
    made = Report(
        start=START,
        end=END,
        formula="uptime/1.1",
        group_by="site",
        labels=["hall:7"],
        sla=Fraction(sla),
        fleet=line("", present, expected),
        groups=groups,
        missing=[],
        declarations=DeclarationsUsed(7, END, 3, changed_after_window=True),
        example="fleetpulse uptime device ID",
    )
    made.take_devices(list(devices), is_listed=is_listed)
    return made


DEVICES = (
    line("good", 1440, 1440, group="ly|on", slot_s=60, left_out={}),
    line("=odd", 0, 0, group="", slot_s=60, left_out={"before first seen": 1440}),
    line("bad", 700, 1440, group="ly|on", slot_s=300, left_out={"paused": 2}),
)


def test_every_format_names_the_declarations_and_whether_they_changed_after_the_window() -> None:
    made = report(*DEVICES)
    for text in (as_table(made), as_markdown(made)):
        assert "version 7" in text
        assert "after the end of the window" in text
    assert json.loads(as_json(made))["declarations"]["version"] == 7
    row = next(csv.DictReader(io.StringIO(as_csv(made))))
    assert (row["declarations_version"], row["declarations_changed_at"]) == ("7", END)


def test_the_worst_device_comes_first_and_one_of_which_nothing_was_expected_last() -> None:
    assert [one.name for one in report(*DEVICES).devices or ()] == ["bad", "good", "=odd"]


def test_a_promise_is_judged_by_the_exact_fraction() -> None:
    almost = line("almost", 998_999, 1_000_000)
    assert (almost.has_met(Fraction("99.9")), almost.has_met(Fraction("99.8999"))) == (False, True)
    assert line("nothing", 0, 0).has_met(Fraction(50)) is None


def test_what_was_left_out_adds_up_by_group_and_over_all() -> None:
    made = report(*DEVICES)
    assert made.groups[0].left_out == {"paused": 2}
    assert made.fleet.left_out == {"before first seen": 1440, "paused": 2}
    method = dict(made.method())
    assert method["left out"].startswith("2 slots paused, 1440 slots before first seen. ")
    assert method["slots"].endswith("; here 1m, 5m")
    assert method["devices"] == "1, with hall:7"


def test_a_report_tells_when_the_devices_do_not_add_up_to_the_fleet() -> None:
    made = report(*DEVICES)
    assert "add up to those of the fleet" in dict(made.method())["check"]
    made.take_devices([*DEVICES, line("new", 1, 2)], is_listed=False)
    assert "add up to +1 slots present and +2 expected" in dict(made.method())["check"]


def test_what_is_missing_is_named() -> None:
    made = report(*DEVICES)
    made.missing.append(Missing(start=START, end=END, reason="block x is missing"))
    assert dict(made.method())["missing"] == f"{START} to {END}: block x is missing"
    assert "false" in as_csv(made)


def test_every_format_has_the_same_figures() -> None:
    made = report(*DEVICES)
    table = [" ".join(one.split()) for one in as_table(made).splitlines()]
    assert "bad ly|on 48.61111 700 1440 MISSED 48.61111 0s 1m 2 paused" in table
    assert "=odd (no label) – 0 0 – – 0s 1m 1440 before first seen" in table
    page = as_markdown(made)
    assert "| bad | ly\\|on | 48.61111 | 700 | 1440 | MISSED | 48.61111 | 0s | 1m | 2 paused |" in page
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(as_csv(made)))}
    assert (rows["bad"]["present_slots"], rows["bad"]["sla_met"], rows["bad"]["left_out_paused"]) == (
        "700",
        "false",
        "2",
    )
    assert rows["'=odd"]["uptime_percent"] == ""
    fields = json.loads(as_json(made))
    assert [one["id"] for one in fields["devices"]] == ["bad", "good", "=odd"]
    assert (fields["sla"], fields["devices"][0]["sla_met"], fields["devices"][0]["left_out"]) == (
        99.9,
        False,
        {"paused": 2},
    )
    assert "devices" not in json.loads(as_json(report(*DEVICES, is_listed=False)))
