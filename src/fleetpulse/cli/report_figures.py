"""What a report contains: the figures of devices, groups and the fleet, and the method by which they were made."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from fleetpulse.cli.tables import seconds_cell, time_cell
from fleetpulse.cli.uptime import group_name
from fleetpulse.model.uptime import LEFT_OUT, Reason
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import AvailableFigures, Missing


@dataclass(kw_only=True)
class Line:
    """The figures of a device, a group or the fleet; `left_out` is None where it was not counted."""

    name: str
    devices: int
    figures: AvailableFigures
    reproduce: str
    left_out: Mapping[Reason, int] | None = None
    group: str = ""
    slot_s: int | None = None

    def has_met(self, sla: Fraction) -> bool | None:
        """Whether the uptime is as promised, by the exact fraction; None where nothing was expected."""
        present, expected = self.figures.present, self.figures.expected
        return None if not expected else Fraction(100 * present, expected) >= sla

    def badness(self) -> tuple[bool, Fraction, str]:
        """Orders the worst first, and those of which nothing was expected last."""
        present, expected = self.figures.present, self.figures.expected
        return not expected, Fraction(present, expected or 1), self.name


@dataclass(kw_only=True)
class Report:
    """The content of a report. `devices` is None where no line for each was asked for."""

    start: str
    end: str
    formula: str
    group_by: str | None
    labels: list[str]
    sla: Fraction | None
    fleet: Line
    groups: list[Line]
    missing: list[Missing]
    declarations: DeclarationsUsed
    example: str
    devices: list[Line] | None = None
    differs_by: tuple[int, int] = (0, 0)
    """By how many slots present and expected the devices differ from the fleet, which was asked before them."""
    slots_s: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take_devices(self, lines: list[Line], *, is_listed: bool) -> None:
        """Add the answers of devices: what was left out, the lengths of their slots, and perhaps their lines."""
        for total in (self.fleet, *self.groups):
            own = [line for line in lines if total is self.fleet or line.group == total.name]
            total.left_out = dict(sum((Counter(line.left_out) for line in own), Counter[Reason]()))
        self.slots_s = sorted({line.slot_s for line in lines if line.slot_s is not None})
        present, expected = (sum(getattr(line.figures, name) for line in lines) for name in ("present", "expected"))
        self.differs_by = present - self.fleet.figures.present, expected - self.fleet.figures.expected
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
            ("formula", f"{self.formula}: 100 × slots present ÷ slots expected, {_CLOCKS}"),
            ("slots", self._slots()),
            ("availability", "100 × (1 − time down ÷ accountable time), on the service's clock"),
            ("left out", f"{self._left_out()}. {_RULES}"),
            ("missing", missing),
            *([("notes", "; ".join(self.notes))] if self.notes else []),
            ("declarations", self._declarations()),
            *([] if self.sla is None else [("SLA", f"uptime of at least {self.sla_text} %, {_EXACT}")]),
            *self._check(),
            ("again", self.example),
        ]

    def _declarations(self) -> str:
        declared = self.declarations
        when = "unknown" if declared.changed_at is None else _exact_time(declared.changed_at)
        place = ", after the end of the window" if declared.changed_after_window else ""
        return (
            f"version {declared.version} of devices, pauses and maintenance windows, last changed {when}{place}; "
            "a report with another version may differ"
        )

    def _slots(self) -> str:
        here = f"; here {', '.join(map(seconds_cell, self.slots_s))}" if self.slots_s else ""
        return _SLOTS + here

    def _check(self) -> list[tuple[str, str]]:
        if any(self.differs_by):
            present, expected = self.differs_by
            text = f"the devices add up to {present:+} slots present and {expected:+} expected"
            return [("check", f"{text}, since something was heard or declared meanwhile: make it again")]
        if self.fleet.left_out is None:
            return []
        return [("check", "the slots of the devices, asked one by one, add up to those of the fleet")]

    def _left_out(self) -> str:
        counted = self.fleet.left_out
        if counted is None:
            return "not counted for so many devices without --devices"
        return ", ".join(f"{counted[reason]} slots {reason}" for reason in LEFT_OUT if counted.get(reason)) or "no slot"


def _exact_time(at: str) -> str:
    """A time in the zone in which times are printed, and in UTC where it has parts of a second."""
    return time_cell(at) if len(at) == len("2026-11-24T08:30:00Z") else at


_CLOCKS = "on the devices' clocks, heartbeats and reports sent later included"
_EXACT = "judged by the exact fraction, not by rounded digits"
_SLOTS = (
    "the fewest whole minutes that divide a day and are no shorter than a device's interval, wholly inside the window"
)
_RULES = (
    "Slots that a pause or a maintenance window touches count neither way, nor those before the first heartbeat or "
    "report, nor, where a device was not heard, those in which the service itself did not run (blind) or whose data is "
    "missing"
)
