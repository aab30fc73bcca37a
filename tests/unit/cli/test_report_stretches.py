"""Steps and downtimes, out of the answers of the service."""

from decimal import Decimal

from fleetpulse.cli import report_figures
from fleetpulse.cli.report_figures import Accounted, Step
from fleetpulse.cli.report_stretches import added_steps, downtimes_of, steps_of
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.uptime_answers import Downtime, DowntimeList, Downtimes, FleetPoint, ObservedTime, Uptime

START, END = "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z"


def at(minute: int) -> str:
    return f"2026-01-01T{minute // 60:02}:{minute % 60:02}:00Z"


def down(*spans: tuple[int, int], next_from: str | None = None) -> DowntimeList:
    stretches = [Downtime(at(start), at(end), seconds=Decimal(60 * (end - start))) for start, end in spans]
    return DowntimeList(stretches=stretches, next_from=next_from)


def explained(downtimes: Downtimes) -> Uptime:
    return Uptime(
        device_id="a",
        start=START,
        end=END,
        formula="uptime/2",
        uptime=None,
        observed=ObservedTime(uptime=None),
        availability=None,
        down_s=None,
        availability_accountable_s=None,
        downtimes=downtimes,
        declarations=DeclarationsUsed(0, None, 1, changed_after_window=None),
        missing=[],
    )


def test_downtimes_are_those_of_the_measure_and_say_what_they_lack() -> None:
    answer = explained(
        Downtimes(settled=down((10, 30), (50, 60)), observed=down((0, 9), next_from=at(20)), availability=None)
    )
    settled, lacks = downtimes_of(answer, "settled")
    assert settled == [
        report_figures.Downtime(at(10), at(30), Decimal(1200), "down"),
        report_figures.Downtime(at(50), at(60), Decimal(600), "down"),
    ]
    assert lacks is None
    observed, lacks = downtimes_of(answer, "observed")
    assert [(one.start, one.seconds) for one in observed] == [(at(0), 540)]
    assert lacks == f"the downtimes of a from {at(20)} on are not listed: ask for a shorter window"
    assert downtimes_of(answer, "availability") == ([], "when a was down is unknown, since gaps are missing")


def test_steps_of_groups_add_up_to_those_of_the_fleet() -> None:
    points = [FleetPoint(at=at(0), up_s=Decimal(5), accountable_s=Decimal(10)), FleetPoint(at=at(60))]
    steps = steps_of(points, "settled", end=at(90))
    assert steps_of([], "settled", end=at(90)) == []
    empty = Step(at(60), at(90), None)
    assert steps == [Step(at(0), at(60), Accounted(Decimal(5), Decimal(10))), empty]
    assert added_steps([steps, steps]) == [Step(at(0), at(60), Accounted(Decimal(10), Decimal(20))), empty]
