"""What a report contains: the figures of devices, groups and the fleet, and the method by which they were made."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from fleetpulse.cli.tables import known, seconds_cell, time_cell
from fleetpulse.cli.uptime import group_name
from fleetpulse.model.uptime import LEFT_OUT, Measure
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import Missing
from fleetpulse.query.uptime_answers import FleetPoint, GapFigures, UptimeFigures, UptimePoint

Figures = UptimeFigures | FleetPoint | UptimePoint
NO_SECONDS = Decimal(0)


@dataclass(frozen=True, slots=True)
class Accounted:
    """Seconds up and seconds accountable by one measure."""

    up_s: Decimal
    accountable_s: Decimal

    @classmethod
    def of(cls, figures: Figures, measure: Measure) -> "Accounted | None":
        """Those of figures; None where they are not known."""
        observed = known(figures.observed)
        if measure == "availability":
            accountable_s, down_s = known(figures.availability_accountable_s), known(figures.down_s)
            return None if accountable_s is None or down_s is None else cls(accountable_s - down_s, accountable_s)
        source = figures if measure == "settled" else observed
        up_s, accountable_s = (None, None) if source is None else (known(source.up_s), known(source.accountable_s))
        return None if up_s is None or accountable_s is None else cls(up_s, accountable_s)

    @property
    def down_s(self) -> Decimal:
        """Seconds that count and are not up."""
        return self.accountable_s - self.up_s

    @property
    def share(self) -> Fraction | None:
        """The exact share that is up; None where nothing counts."""
        return Fraction(self.up_s) / Fraction(self.accountable_s) if self.accountable_s else None

    def has_met(self, sla: Fraction) -> bool | None:
        """Whether the share is as promised, by the exact fraction; None where nothing counts."""
        share = self.share
        return None if share is None else 100 * share >= sla

    def __add__(self, other: "Accounted") -> "Accounted":
        return Accounted(self.up_s + other.up_s, self.accountable_s + other.accountable_s)


@dataclass(frozen=True, slots=True)
class Downtime:
    """A stretch in which a device was down by the measure of a report."""

    start: str
    end: str
    seconds: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a window, of a group or a device."""

    start: str
    end: str
    accounted: Accounted | None


@dataclass(kw_only=True)
class Line:
    """The figures of a device, a group or the fleet; `left_out`, seconds by reason, is None where it was not asked."""

    name: str
    devices: int
    figures: UptimeFigures
    reproduce: str
    measure: Measure = "settled"
    left_out: Mapping[str, Decimal] | None = None
    group: str = ""
    steps: Sequence[Step] = ()
    downtimes: Sequence[Downtime] = ()

    @property
    def accounted(self) -> Accounted | None:
        """Seconds by the measure of the report; None where they are not known."""
        return Accounted.of(self.figures, self.measure)

    def has_met(self, sla: Fraction) -> bool | None:
        """Whether it is as promised; None where nothing counts, or it is not known."""
        accounted = self.accounted
        return None if accounted is None else accounted.has_met(sla)

    @property
    def gap_count(self) -> int | None:
        """How many gaps between beats cost time; None where it is not known, as of measures other than settled."""
        gaps = self._gaps
        return None if gaps is None else gaps.count

    @property
    def longest_gap_s(self) -> Decimal | None:
        """The longest of them, as far as it lies in the window."""
        gaps = self._gaps
        return None if gaps is None else gaps.longest_s

    @property
    def _gaps(self) -> GapFigures | None:
        """Gaps are counted of settled uptime alone; beside the downtime of another measure they would mislead."""
        return known(self.figures.gaps) if self.measure == "settled" else None

    def mean_repair_s(self) -> Decimal | None:
        """Settled seconds down for each gap; None without gaps."""
        return self._for_each_gap("down_s")

    def mean_between_failures_s(self) -> Decimal | None:
        """Settled seconds up for each gap; None without gaps."""
        return self._for_each_gap("up_s")

    def _for_each_gap(self, name: str) -> Decimal | None:
        settled, count = Accounted.of(self.figures, "settled"), self.gap_count
        if settled is None or not count:
            return None
        seconds: Decimal = getattr(settled, name)
        return (seconds / count).quantize(Decimal("0.001"))

    def badness(self) -> tuple[bool, Fraction, str]:
        """Orders the worst first, and those of which nothing counts last."""
        share = None if self.accounted is None else self.accounted.share
        return share is None, share or Fraction(0), self.name


@dataclass(kw_only=True)
class Report:
    """The content of a report. `devices` is None where no line for each was asked for."""

    start: str
    end: str
    formula: str
    group_by: str | None
    labels: list[str]
    sla: Fraction | None
    measure: Measure = "settled"
    fleet: Line
    groups: list[Line]
    missing: list[Missing]
    declarations: DeclarationsUsed
    example: str
    exact_from: str | None = None
    """Gaps before it are known by minutes only."""
    are_downtimes_listed: bool = False
    devices: list[Line] | None = None
    differs_by: Accounted | None = None
    """By how many seconds the devices differ from the fleet, which was asked before them; None: not compared."""
    downtimes: list[tuple[str, Downtime]] = field(default_factory=list)
    """Those of all devices that were asked, by id and time."""
    notes: list[str] = field(default_factory=list)

    def take_devices(self, lines: list[Line], *, is_listed: bool) -> None:
        """Add the answers of devices: what was left out, their downtimes, and perhaps their lines."""
        for total in (self.fleet, *self.groups):
            own = [line for line in lines if total is self.fleet or line.group == total.name]
            total.left_out = _sums(line.left_out or {} for line in own)
        fleet, known_seconds = self.fleet.accounted, [one for line in lines if (one := line.accounted) is not None]
        self.differs_by = None
        if fleet is not None and len(known_seconds) == len(lines):
            whole = sum(known_seconds, Accounted(NO_SECONDS, NO_SECONDS))
            self.differs_by = Accounted(whole.up_s - fleet.up_s, whole.accountable_s - fleet.accountable_s)
        self.downtimes = [(line.name, one) for line in sorted(lines, key=_by_name) for one in line.downtimes]
        if is_listed:
            self.devices = sorted(lines, key=Line.badness)

    @property
    def totals(self) -> list[Line]:
        """The groups, and all devices."""
        return [*self.groups, self.fleet]

    @property
    def sla_text(self) -> str:
        """The promised uptime in per cent, as it was given."""
        return "" if self.sla is None else f"{float(self.sla):.12g}"

    def name_of(self, line: Line) -> str:
        """What a group, or the fleet, is called."""
        return "all" if line is self.fleet else group_name(line.name)

    def method(self) -> list[tuple[str, str]]:
        """How the figures were made, each part with its title."""
        devices = f"with {', '.join(self.labels)}" if self.labels else "all there are"
        missing = "; ".join(f"{span.start} to {span.end}: {span.reason}" for span in self.missing) or "nothing"
        return [
            ("window", f"from {_exact_time(self.start)} (included) to {_exact_time(self.end)} (not included)"),
            ("devices", f"{self.fleet.devices}, {devices}"),
            ("formula", f"{self.formula}: 100 × seconds up ÷ seconds accountable, {_CLOCKS}"),
            ("gaps", _GAPS if self.measure == "settled" else _NO_GAPS),
            ("availability", "100 × (1 − seconds down ÷ seconds accountable), on the service's clock"),
            ("downtime", f"of {self.measure}: {_MEASURES[self.measure]}"),
            ("left out", f"{self._left_out()}. {_RULES}"),
            ("missing", missing),
            *self._resolution(),
            *([("notes", "; ".join(self.notes))] if self.notes else []),
            ("declarations", self._declarations()),
            *(
                []
                if self.sla is None
                else [("SLA", f"{_SHARES[self.measure]} of at least {self.sla_text} %, {_EXACT}")]
            ),
            *self._check(),
            ("again", self.example),
        ]

    def _resolution(self) -> list[tuple[str, str]]:
        if self.exact_from is None:
            return []
        return [("resolution", f"gaps before {_exact_time(self.exact_from)} are known by minutes only")]

    def _declarations(self) -> str:
        declared = self.declarations
        when = "unknown" if declared.changed_at is None else _exact_time(declared.changed_at)
        place = ", after the end of the window" if declared.changed_after_window else ""
        return (
            f"version {declared.version} of devices, pauses and maintenance windows, last changed {when}{place}; "
            "a report with another version may differ"
        )

    def _check(self) -> list[tuple[str, str]]:
        if self.differs_by is None:
            return []
        if self.differs_by != Accounted(NO_SECONDS, NO_SECONDS):
            up_s, accountable_s = self.differs_by.up_s, self.differs_by.accountable_s
            text = f"the devices add up to {up_s:+f} s up and {accountable_s:+f} s accountable"
            return [("check", f"{text}, since something was heard or declared meanwhile: make it again")]
        return [("check", "the seconds of the devices, asked one by one, add up to those of the fleet")]

    def _left_out(self) -> str:
        counted = self.fleet.left_out
        if counted is None:
            return "not counted for so many devices without --devices"
        return left_out_text(counted) or "nothing"


def left_out_text(counted: Mapping[str, Decimal]) -> str:
    """How much was left out, by reason; empty: nothing."""
    parts = [
        f"{seconds_cell(counted[reason])} {reason.replace('_', ' ')}" for reason in LEFT_OUT if counted.get(reason)
    ]
    return ", ".join(parts)


def _sums(parts: Iterable[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for part in parts:
        for reason, seconds in part.items():
            sums[reason] = sums.get(reason, NO_SECONDS) + seconds
    return sums


def _by_name(line: Line) -> str:
    return line.name


def _exact_time(at: str) -> str:
    """A time in the zone in which times are printed, and in UTC where it has parts of a second."""
    return time_cell(at) if len(at) == len("2026-11-24T08:30:00Z") else at


_CLOCKS = "on the devices' clocks, heartbeats and reports sent later included"
_EXACT = "judged by the exact fraction, not by rounded digits"
_GAPS = (
    "stretches between two heartbeats or reports that cost time, each down from one interval after the first on; mean "
    "time to repair is seconds down, mean time between failures seconds up, for each gap"
)
_NO_GAPS = "counted with --sla-on settled only, and so are mean time to repair and between failures"
_MEASURES: dict[Measure, str] = {
    "settled": "accountable less up seconds, of all heartbeats that have arrived",
    "observed": "the same of heartbeats that arrived in time, so an outage of the link counts",
    "availability": "seconds with status down, on the service's clock, from interval and grace on",
}
_SHARES: dict[Measure, str] = {"settled": "uptime", "observed": "observed uptime", "availability": "availability"}
_RULES = (
    "Maintenance and pauses count neither way, to the second, nor does the time before the first heartbeat or report, "
    "nor, in a gap, time in which the service itself did not run (blind)"
)
