"""A service level report: the same figures and the same method in every format."""

import csv
import io
import json
from decimal import Decimal
from fractions import Fraction

import pytest

from fleetpulse.cli.report_figures import Accounted, Downtime, Line, Report, Step
from fleetpulse.cli.report_formats import as_csv, as_json, as_markdown, as_table
from fleetpulse.model.uptime import Measure
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import Missing
from fleetpulse.query.uptime_answers import GapFigures, ObservedTime, UptimeFigures

START, END = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
NOON = "2026-01-01T12:00:00Z"
DAY = 86_400
SHARES = {"settled": "uptime", "observed": "observed uptime", "availability": "availability"}


def line(name: str, up_s: float, accountable_s: float = DAY, *, gaps: int = 1, **fields: object) -> Line:
    """Settled is up for `up_s`, observed an hour less, and half of the rest is status down."""
    up, accountable = Decimal(str(up_s)), Decimal(str(accountable_s))
    percent = float(100 * up / accountable) if accountable else None
    observed = max(Decimal(0), up - 3600)
    figures = UptimeFigures(
        uptime=percent,
        up_s=up,
        accountable_s=accountable,
        gaps=GapFigures(count=gaps, longest_s=Decimal(900), seconds=Decimal(1800)),
        observed=ObservedTime(
            uptime=float(100 * observed / accountable) if accountable else None,
            up_s=observed,
            accountable_s=accountable,
        ),
        availability=percent,
        down_s=(accountable - up) / 2,
        availability_accountable_s=accountable,
    )
    return Line(name=name, devices=1, figures=figures, reproduce=f"fleetpulse {name}", **fields)  # type: ignore[arg-type]  # fields of one struct


def seconds(lines: list[Line], name: str) -> float:
    return float(sum(getattr(one.figures, name) for one in lines))


def report(*devices: Line, sla: str = "99.9", is_listed: bool = True, measure: Measure = "settled") -> Report:
    in_lyon = [one for one in devices if one.group == "ly|on"]
    for one in devices:
        one.measure = measure
    made = Report(
        start=START,
        end=END,
        formula="uptime/2",
        group_by="site",
        labels=["hall:7"],
        sla=Fraction(sla),
        measure=measure,
        fleet=line("", seconds(list(devices), "up_s"), seconds(list(devices), "accountable_s"), measure=measure),
        groups=[line("ly|on", seconds(in_lyon, "up_s"), seconds(in_lyon, "accountable_s"), measure=measure)],
        missing=[],
        declarations=DeclarationsUsed(7, END, 3, changed_after_window=True),
        example="fleetpulse uptime device ID",
    )
    made.take_devices(list(devices), is_listed=is_listed)
    return made


def devices() -> tuple[Line, Line, Line]:
    return (
        line("good", DAY, group="ly|on", gaps=0, left_out={}),
        line("=odd", 0, 0, group="", gaps=0, left_out={"before_first_seen": Decimal(DAY)}),
        line("bad", 43_200.5, group="ly|on", gaps=4, left_out={"paused": Decimal(120)}),
    )


def csv_rows(made: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(as_csv(made))))


def test_every_format_names_the_declarations_and_whether_they_changed_after_the_window() -> None:
    made = report(*devices())
    for text in (as_table(made), as_markdown(made)):
        assert "version 7" in text
        assert "after the end of the window" in text
    assert json.loads(as_json(made))["declarations"]["version"] == 7
    assert (csv_rows(made)[0]["declarations_version"], csv_rows(made)[0]["declarations_changed_at"]) == ("7", END)


def test_the_worst_device_comes_first_and_one_of_which_nothing_counts_last() -> None:
    assert [one.name for one in report(*devices()).devices or ()] == ["bad", "good", "=odd"]


def test_a_promise_is_judged_by_the_exact_fraction() -> None:
    almost = line("almost", 998.999, 1_000)
    assert (almost.has_met(Fraction("99.9")), almost.has_met(Fraction("99.8999"))) == (False, True)
    assert line("nothing", 0, 0).has_met(Fraction(50)) is None


@pytest.mark.parametrize(
    ("measure", "down_s", "is_met"),
    [("settled", 86.4, True), ("observed", 3_686.4, False), ("availability", 43.2, True)],
)
def test_downtime_and_promise_are_of_the_measure_that_the_sla_is_on(
    measure: Measure, down_s: float, *, is_met: bool
) -> None:
    made = report(line("one", DAY - 86.4, left_out={}), measure=measure)
    assert made.devices is not None
    (one,) = made.devices
    accounted = one.accounted
    assert accounted is not None
    assert (float(accounted.down_s), one.has_met(Fraction("99.9"))) == (down_s, is_met)
    fields = json.loads(as_json(made))
    assert (fields["sla_on"], fields["fleet"]["downtime_s"], fields["fleet"]["sla_met"]) == (measure, down_s, is_met)
    assert dict(made.method())["SLA"].startswith(f"{SHARES[measure]} of at least 99.9 %")


def test_what_was_left_out_adds_up_by_group_and_over_all() -> None:
    made = report(*devices())
    assert made.groups[0].left_out == {"paused": 120}
    assert made.fleet.left_out == {"before_first_seen": DAY, "paused": 120}
    method = dict(made.method())
    assert method["left out"].startswith("2m paused, 1d before first seen. ")
    assert method["devices"] == "1, with hall:7"


def test_time_to_repair_and_between_failures_are_for_each_gap() -> None:
    bad = line("bad", 43_200.5, gaps=4)
    assert (bad.mean_repair_s(), bad.mean_between_failures_s()) == (Decimal("10799.875"), Decimal("10800.125"))
    assert line("good", DAY, gaps=0).mean_repair_s() is None


def test_a_report_tells_when_the_devices_do_not_add_up_to_the_fleet() -> None:
    made = report(*devices())
    assert "add up to those of the fleet" in dict(made.method())["check"]
    made.take_devices([*devices(), line("new", 1, 2.5)], is_listed=False)
    assert "add up to +1.0 s up and +2.5 s accountable" in dict(made.method())["check"]


@pytest.mark.parametrize("measure", ["settled", "observed", "availability"])
def test_devices_are_compared_by_the_measure_of_the_report(measure: Measure) -> None:
    made = report(line("one", DAY - 86.4, left_out={}), measure=measure)
    assert "add up to those of the fleet" in dict(made.method())["check"]
    figures = made.fleet.figures
    figures.observed = ObservedTime(uptime=1.0, up_s=Decimal(1), accountable_s=Decimal(DAY))
    made.take_devices(list(made.devices or ()), is_listed=True)
    assert ("add up to those of the fleet" in dict(made.method())["check"]) == (measure != "observed")


@pytest.mark.parametrize("measure", ["settled", "observed", "availability"])
@pytest.mark.parametrize("is_fleet", [True, False])
def test_nothing_is_checked_where_figures_are_unknown(measure: Measure, *, is_fleet: bool) -> None:
    made = report(line("one", DAY - 86.4, left_out={}), line("two", DAY, left_out={}), measure=measure)
    assert made.devices is not None
    figures = (made.fleet if is_fleet else made.devices[0]).figures
    figures.up_s = figures.down_s = figures.availability_accountable_s = None
    figures.observed = ObservedTime(uptime=None, up_s=None, accountable_s=None)
    made.take_devices(made.devices, is_listed=True)
    assert "check" not in dict(made.method())


@pytest.mark.parametrize("measure", ["observed", "availability"])
def test_gaps_are_of_settled_uptime_and_no_other(measure: Measure) -> None:
    made = report(line("one", DAY - 86.4, left_out={}), measure=measure)
    assert dict(made.method())["gaps"].startswith("counted with --sla-on settled only")
    fleet = json.loads(as_json(made))["fleet"]
    assert (fleet["gaps"], fleet["mean_repair_s"]) == ({"count": None, "longest_s": None}, None)
    (row,) = [row for row in csv_rows(made) if row["id"] == "one"]
    names = ("gaps", "longest_gap_s", "mean_repair_s", "mean_between_failures_s")
    assert [row[name] for name in names] == [""] * 4
    assert any(
        "MISSED – – – –" in " ".join(text.split()) or "met – – – –" in " ".join(text.split())
        for text in as_table(made).splitlines()
    )


def test_what_is_missing_is_named() -> None:
    made = report(*devices())
    made.missing.append(Missing(start=START, end=END, reason="block x is missing"))
    made.exact_from = END
    assert dict(made.method())["missing"] == f"{START} to {END}: block x is missing"
    assert dict(made.method())["resolution"] == f"gaps before {END} are known by minutes only"
    assert csv_rows(made)[0]["is_whole"] == "false"


def test_every_format_has_the_same_figures() -> None:
    made = report(*devices())
    table = [" ".join(one.split()) for one in as_table(made).splitlines()]
    bad = "50.00058 12h 1d MISSED 4 15m 3h 3h 45.83391 50.00058 2m paused"
    assert f"bad ly|on {bad}" in table
    assert "=odd (no label) – 0s 0s – 0 15m – – – – 1d before first seen" in table
    assert f"| bad | ly\\|on | {' | '.join(bad.replace('2m paused', '').split())} | 2m paused |" in as_markdown(made)
    rows = {row["id"]: row for row in csv_rows(made)}
    names = ("up_s", "downtime_s", "gaps", "longest_gap_s", "mean_repair_s", "sla_met", "left_out_paused_s")
    assert [rows["bad"][name] for name in names] == [
        "43200.5", "43199.5", "4", "900", "10799.875", "false", "120",
    ]  # fmt: skip
    assert rows["'=odd"]["uptime_percent"] == ""
    fields = json.loads(as_json(made))
    assert [one["id"] for one in fields["devices"]] == ["bad", "good", "=odd"]
    first = fields["devices"][0]
    assert (fields["sla"], first["sla_met"], first["left_out_s"], first["gaps"]["count"]) == (
        99.9,
        False,
        {"paused": 120},
        4,
    )
    assert "devices" not in json.loads(as_json(report(*devices(), is_listed=False)))


def test_steps_and_downtimes_are_in_every_format() -> None:
    one = line("bad", DAY - 3_600, group="ly|on", left_out={})
    one.downtimes = [Downtime("2026-01-01T03:00:00Z", "2026-01-01T04:00:00Z", Decimal(3_600), "down")]
    made = report(one)
    made.groups[0].steps = [Step(START, NOON, Accounted(Decimal(9), Decimal(10))), Step(NOON, END, None)]
    assert "downtimes" not in json.loads(as_json(made))
    made.are_downtimes_listed = True
    table = [" ".join(row.split()) for row in as_table(made).splitlines()]
    assert "ly|on 2026-01-01T00:00:00Z 90.00000 1s 10s MISSED" in table
    assert "bad 2026-01-01T03:00:00Z 2026-01-01T04:00:00Z 1h down" in table
    assert "## Downtimes" in as_markdown(made)
    rows = csv_rows(made)
    assert [(row["kind"], row["from"], row["downtime_s"]) for row in rows[-3:]] == [
        ("step", START, "1"),
        ("step", NOON, ""),
        ("downtime", "2026-01-01T03:00:00Z", "3600"),
    ]
    for measure, column in (("observed", "observed_percent"), ("availability", "availability_percent")):
        made.measure = measure
        assert [row[column] for row in csv_rows(made) if row["kind"] == "step"] == ["90.0", ""]
    fields = json.loads(as_json(made))
    assert [step["percent"] for step in fields["groups"][0]["steps"]] == [90.0, None]
    assert fields["downtimes"][0]["seconds"] == 3_600
