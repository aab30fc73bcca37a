"""About how long questions take, estimated before anything is read: it decides which lane a question waits in.

The estimate counts what the manifest lists: files to open, rows to look at, and figures to make. The rates are rounded
measurements on a machine with 2 cores (see docs/decisions/0016-lanes-of-questions.md); a factor of two does not matter.
"""

from collections.abc import Collection, Sequence

from fleetpulse.aggregate.aggregations import RULES
from fleetpulse.model.manifest import Manifest, SampleBlock
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.window import Window

FILE_MS = 1.0
"""To open a file and read the part of one device."""
DEVICES_A_MS = 20_000
"""Devices of which the status is computed and the order found."""
DEVICE_DAYS_A_MS = 15_000
"""Rows of presence of many devices."""
SAMPLES_A_MS = 30_000
"""Samples of many devices that are summed; roll-ups of whole minutes are a few of these."""
RANKED_SAMPLES_A_MS = 8_000
"""Samples of many devices that are put in order."""
FIGURES_A_MS = 250
"""Points of a series."""
DEVICE_STEPS_A_MS = 1_000
"""Slots and time of one device in one step of a series of the whole fleet."""
EXPLAINED_MINUTES_A_MS = 6_500
"""Minutes of a window that are told as intervals, each for itself."""


def device_cost_ms(manifest: Manifest, *, start_ns: int, now_ns: int) -> float:
    """Of a question about presence, status and reception gaps of one device from `start_ns` on."""
    days = _days(start_ns, now_ns)
    late = sum(1 for block in manifest.late if _count(block.days, days))  # each is one file, sorted by device
    return FILE_MS * (_count(manifest.presence, days) + _count(manifest.gaps, days) + late)


def device_uptime_cost_ms(window: Window, *, is_explained: bool) -> float:
    """What the uptime of one device over a window costs more than reading what is stored about it."""
    minutes = (window.end_ns - window.start_ns) / NS_PER_MINUTE if is_explained else 0
    return window.buckets / FIGURES_A_MS + minutes / EXPLAINED_MINUTES_A_MS


def fleet_series_cost_ms(*, devices: int, steps: int) -> float:
    """What a series of the uptime of all devices costs more than their uptime over the whole window."""
    return devices * steps / DEVICE_STEPS_A_MS


def fleet_cost_ms(manifest: Manifest, *, devices: int, start_ns: int, now_ns: int) -> float:
    """Of a question about presence, status and reception gaps of all devices from `start_ns` on."""
    days = _days(start_ns, now_ns)
    late = sum(_count(block.days, days) for block in manifest.late)  # each is read a day at a time
    files = _count(manifest.presence, days) + _count(manifest.gaps, days) + late
    return list_cost_ms(devices) + FILE_MS * files + devices * files / DEVICE_DAYS_A_MS


def list_cost_ms(devices: int) -> float:
    """Of a question about the status of all devices, and their order."""
    return devices / DEVICES_A_MS


def _days(start_ns: int, now_ns: int) -> range:
    return range(start_ns // NS_PER_DAY, now_ns // NS_PER_DAY + 1)


def _count(known: Collection[int], days: range) -> int:
    """How many of the known days are among `days`, or about as many: a short window is looked through exactly."""
    return len(known) if len(days) >= len(known) else sum(map(known.__contains__, days))


def samples_cost_ms(
    manifest: Manifest, questions: Sequence[MetricQuestion], window: Window, *, groups: int, is_of_one: bool
) -> float:
    """Of a question about metrics of one device, or of all that are in `groups`."""
    blocks = [block for block in manifest.samples if window.start_ns < block.end_ns and block.start_ns < window.end_ns]
    figures = groups * window.buckets * len(questions)
    return figures / FIGURES_A_MS + sum(_metric_cost_ms(blocks, one, window, is_of_one=is_of_one) for one in questions)


def _metric_cost_ms(
    blocks: Sequence[SampleBlock], question: MetricQuestion, window: Window, *, is_of_one: bool
) -> float:
    blocks = [block for block in blocks if block.kind == question.metric.kind]
    if is_of_one:
        return FILE_MS * len(blocks)
    is_ranked = RULES[question.aggregation].of_cells is None or bool(RULES[question.aggregation].method)
    is_whole = window.grain_ns is None or window.grain_ns % NS_PER_MINUTE == 0
    samples = sum(_share(block, window) * block.samples for block in blocks)
    if is_ranked:
        return FILE_MS * len(blocks) + samples / RANKED_SAMPLES_A_MS
    return FILE_MS * len(blocks) + samples / (SAMPLES_A_MS * (10 if is_whole else 1))


def _share(block: SampleBlock, window: Window) -> float:
    """Which part of a block's time is in a window."""
    inside_ns = min(block.end_ns, window.end_ns) - max(block.start_ns, window.start_ns)
    return min(1.0, inside_ns / max(1, block.end_ns - block.start_ns))
