"""Devices with samples in blocks and in memory, for tests of rules about metrics."""

import random
from dataclasses import dataclass, field, replace

from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.manifest import Manifest, SampleBlock
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.metrics import DeviceSelection, find
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from one_fleet import OneFleet
from sample_blocks import CPU, DAY, UPLOAD, Sample, SampleBlocks, columns_of

METRICS = {"upload_time": UPLOAD, "cpu": CPU}


@dataclass
class SampledFleet:
    """Devices d0, d1, …, all up, and their samples; times are minutes since the begin of DAY."""

    devices: int
    minute: float
    blocks: SampleBlocks = field(default_factory=SampleBlocks)
    named: list[SampleBlock] = field(default_factory=list)
    live: list[Sample] = field(default_factory=list)
    doubtful: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.one = OneFleet(devices=self.devices)
        self.one.now = self.now_ns
        for device in range(self.devices):
            self.one.beat_at(self.now_ns, device)

    @property
    def now_ns(self) -> int:
        return DAY * NS_PER_DAY + round(self.minute * NS_PER_MINUTE)

    def samples(self) -> Samples:
        pieces = [[columns_of(one)] if one else [] for one in (self.live, self.doubtful)]
        manifest = Manifest(samples=tuple(self.named))
        return Samples(pieces[0], manifest, self.blocks.history, pieces[1], DAY)

    def facts(self, *rules: AlertRule, minute: float | None = None) -> Facts:
        """What a round sees, at that minute or now; all devices are heard."""
        self.minute = self.minute if minute is None else minute
        self.one.now = self.now_ns
        metrics = {name: (number, self.blocks.metrics[number]) for name, number in METRICS.items()}
        view = self.one.fleet_view(self.now_ns - 2 * NS_PER_DAY)
        return Facts(view=view, samples=self.samples(), metrics=metrics, rules=rules)

    def answer(self, rule: AlertRule, device: int) -> float | None:
        """What a question about the window of a rule gives for one device."""
        number = METRICS[rule.metric]
        result = find(
            self.samples(),
            number=number,
            metric=self.blocks.metrics[number],
            aggregation=rule.aggregation,
            selection=DeviceSelection(device),
            window=Window(self.now_ns - rule.window_s * 1_000_000_000, self.now_ns),
        )
        value = result.values[0]
        return None if value is None or not result.counts[0] else float(value)

    def scatter(self, chance: random.Random, *, count: int, is_rolled_up: bool = False) -> None:
        """Samples of the two hours before now, some of them twice, in a part of a day, a fresh block and memory."""
        for metric in METRICS.values():
            samples = [_sample(chance, metric, self.devices, self.minute) for _ in range(count)]
            for place, block in enumerate((self.blocks.part, self.blocks.fresh)):
                chosen = sorted(set(samples[place::4]))
                if chosen:
                    found = block(*chosen)
                    if is_rolled_up and not place:
                        found = replace(found, files={tier: one for tier, one in found.files.items() if tier != "raw"})
                    self.named.append(found)
            stored = set(samples[0::4]) | set(samples[1::4])
            self.live += sorted(set(samples[2::4]) - stored)
            self.doubtful += samples[3::4] + samples[:2]


def _sample(chance: random.Random, metric: int, devices: int, minute: float) -> Sample:
    value = (
        chance.choice([1, 2, 5, 10, 0, -3]) if metric == UPLOAD else chance.choice([0.1, 0.2, 0.3, 1e16, -1e16, 5.0])
    )
    return metric, chance.randrange(devices), minute - chance.randrange(-600, 7_200) / 60, value
