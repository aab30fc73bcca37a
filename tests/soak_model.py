"""What devices reported, kept as plain sets, and the figures that follow by exact fractions.

It shares no code with the service: a figure that both compute alike is right, or both were wrong independently.
"""

from dataclasses import dataclass, field
from fractions import Fraction

MS_PER_MINUTE = 60_000
Number = int | float


@dataclass(frozen=True)
class Report:
    """One thing that a device said: the values by metric, none for a heartbeat."""

    device: str
    sent_at_ms: int
    values: tuple[tuple[str, Number], ...] = ()

    @property
    def marks_presence(self) -> bool:
        """Everything but an upload statistic shows that the device was running."""
        return all(metric != "upload_time" for metric, _ in self.values)


@dataclass
class DeviceModel:
    """The minutes in which a device was present, and its samples (sent_at in ms, value) by metric."""

    minutes: set[int] = field(default_factory=set)
    samples: dict[str, set[tuple[int, Number]]] = field(default_factory=dict)

    def add(self, report: Report) -> None:
        if report.marks_presence:
            self.minutes.add(report.sent_at_ms // MS_PER_MINUTE)
        for metric, value in report.values:
            self.samples.setdefault(metric, set()).add((report.sent_at_ms, value))

    @property
    def lifetime_uptime(self) -> float:
        if not self.minutes:
            return 0.0
        return min(100.0, 100.0 * len(self.minutes) / max(1, max(self.minutes) - min(self.minutes)))

    @property
    def average_upload_time(self) -> int:
        values = [int(value) for _, value in self.samples.get("upload_time", ())]
        return sum(values) // len(values) if values else 0


def figure(samples: set[tuple[int, Number]], aggregation: str) -> Number | None:
    """The figure of a set of samples, rounded once."""
    values = [value for _, value in samples]
    if aggregation == "count":
        return len(values)
    if not values:
        return None
    if aggregation == "latest":
        newest = max(at for at, _ in samples)
        return max(value for at, value in samples if at == newest)
    if aggregation in ("min", "max"):
        return min(values) if aggregation == "min" else max(values)
    total = sum(map(Fraction, values), Fraction(0))
    if aggregation == "avg":
        return float(total / len(values))
    return int(total) if all(isinstance(value, int) for value in values) else float(total)


@dataclass
class Declared:
    """One device as the file and the API declare it: the file counts where its own value changes."""

    in_file: dict[str, str]
    fields: dict[str, str]
    is_deleted: bool = False

    def edit_file(self, name: str, value: str) -> None:
        if self.in_file.get(name) == value:
            return
        self.in_file[name] = value
        if self.is_deleted:
            self.is_deleted, self.fields = False, {"note": "", "interval": "60s", **self.in_file}
        else:
            self.fields[name] = value

    def edit(self, name: str, value: str) -> None:
        self.fields[name] = value

    def delete(self) -> None:
        self.is_deleted = True
