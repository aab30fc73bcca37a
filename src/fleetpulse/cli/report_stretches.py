"""The stretches of time that a report lists: the steps of its window, and when devices were down."""

from collections.abc import Sequence
from decimal import Decimal

from fleetpulse.cli.report_figures import Accounted, Downtime, Step
from fleetpulse.cli.tables import known
from fleetpulse.model.uptime import Measure
from fleetpulse.query.uptime_answers import DowntimeList, FleetPoint, Uptime, UptimePoint


def steps_of(points: Sequence[FleetPoint | UptimePoint], measure: Measure, *, end: str) -> list[Step]:
    """The points of a series by the measure of the report. Args: end: of the window."""
    ends = [*(point.at for point in points[1:]), end]
    return [Step(point.at, until, Accounted.of(point, measure)) for point, until in zip(points, ends, strict=False)]


def added_steps(groups: Sequence[Sequence[Step]]) -> list[Step]:
    """The steps of several groups together; groups without devices in a step add nothing to it."""
    found: dict[tuple[str, str], list[Accounted]] = {}
    for steps in groups:
        for step in steps:
            known_steps = found.setdefault((step.start, step.end), [])
            known_steps += [] if step.accounted is None else [step.accounted]
    zero = Accounted(Decimal(0), Decimal(0))
    return [Step(*span, sum(found[span], zero) if found[span] else None) for span in sorted(found)]


def downtimes_of(uptime: Uptime, measure: Measure) -> tuple[list[Downtime], str | None]:
    """When a device was down by a measure, out of an answer with `explain`; and what the list lacks, if anything."""
    answer = known(uptime.downtimes)
    listed: DowntimeList | None = None if answer is None else getattr(answer, measure)
    if listed is None:
        return [], f"when {uptime.device_id} was down is unknown, since gaps are missing"
    lacks = None
    if listed.next_from is not None:
        lacks = (
            f"the downtimes of {uptime.device_id} from {listed.next_from} on are not listed: ask for a shorter window"
        )
    return [Downtime(one.start, one.end, one.seconds, "down") for one in listed.stretches], lacks
