"""The common cause of devices that went down together, against one that is found by trying everything."""

import random
from itertools import groupby

import numpy as np
import pytest

from fleetpulse.alert.common_cause import BROADER, NEARLY, CauseLimits, LabelOf, find_causes

LIMITS = CauseLimits(within_ns=10, share=0.5, count=3)


def most_together(times: list[int]) -> int:
    return max((sum(start <= one <= start + LIMITS.within_ns for one in times) for start in times), default=0)


def model(devices: list[dict[str, str]], down: dict[int, int], due: set[int]) -> list[tuple[str, str, list[int]]]:
    """Every label value is tried, again and again; devices by their labels, and since when some of them are down."""
    left, found = dict(down), []
    while True:
        values = {pair for device in left for pair in devices[device].items()}
        explained = {
            pair: most_together([since for device, since in left.items() if pair in devices[device].items()])
            for pair in values
        }
        sizes = {pair: sum(pair in labels.items() for labels in devices) for pair in values}
        causes = [
            pair for pair in values if explained[pair] >= LIMITS.count and explained[pair] >= LIMITS.share * sizes[pair]
        ]
        if not causes:
            return found
        near = [pair for pair in causes if explained[pair] >= NEARLY * max(explained[one] for one in causes)]
        chosen = min(near, key=lambda pair: (sizes[pair], -explained[pair], pair))
        having = {device: since for device, since in left.items() if chosen in devices[device].items()}
        start = min(
            (one for one in having.values()),
            key=lambda one: (-sum(one <= since <= one + LIMITS.within_ns for since in having.values()), one),
        )
        core = [device for device, since in having.items() if start <= since <= start + LIMITS.within_ns]
        first = min(having[device] for device in core)
        members = [device for device, since in having.items() if since >= first - LIMITS.within_ns]
        is_early = not any(
            sum(pair in devices[device].items() for device in core) >= NEARLY * len(core)
            and explained[pair] >= BROADER * len(core)
            for pair in values
            if pair[0] != chosen[0] and sizes[pair] >= LIMITS.count
        )
        if due & set(members) or is_early:
            found.append((*chosen, sorted(members)))
        left = {device: since for device, since in left.items() if device not in members}


def found_by_columns(
    devices: list[dict[str, str]], down: dict[int, int], due: set[int]
) -> list[tuple[str, str, list[int], str]]:
    numbers = sorted(down)
    labels = []
    for name in ("rack", "site"):
        values = ["", *sorted({device[name] for device in devices if name in device})]
        codes = np.array([values.index(device.get(name, "")) for device in devices])
        sizes = np.bincount(codes, minlength=len(values))
        codes[sizes[codes] < LIMITS.count] = 0
        sizes[0] = 0
        labels.append(LabelOf(name, codes[numbers], values, sizes))
    since = np.array([down[number] for number in numbers], np.int64)
    causes = find_causes(since, np.array([number in due for number in numbers], bool), labels, LIMITS)
    return [(one.label, one.value, [numbers[place] for place in one.members], one.explanation) for one in causes]


@pytest.mark.parametrize("seed", range(300))
def test_the_same_causes_are_found_as_by_trying_everything(seed: int) -> None:
    dice = random.Random(seed)
    devices = []
    for _ in range(dice.randint(3, 40)):
        site, rack = dice.randint(0, 3), dice.randint(0, 4)
        devices.append({"site": f"s{site}", "rack": f"s{site}r{rack}"} if dice.random() < 0.9 else {"rack": f"r{rack}"})
    spread = dice.choice((1, 8, 40))
    share = dice.random()
    down = {number: dice.randint(0, spread) for number in range(len(devices)) if dice.random() < share}
    due = {number for number in down if dice.random() < 0.2} if dice.random() < 0.5 else set()
    found = found_by_columns(devices, down, due)
    assert [one[:3] for one in found] == model(devices, down, due)
    for label, value, members, explanation in found:
        core, _, total, *_ = explanation.split()
        assert (int(core), f"with {label}={value} went down") == (
            most_together([down[one] for one in members]),
            explanation[explanation.index("with") :].split(" within")[0],
        )
        assert int(total) == sum(device.get(label) == value for device in devices)


def test_the_explanation_names_the_next_best_label() -> None:
    devices = [{"site": "paris", "rack": f"r{number % 5}"} for number in range(42)]
    down = {number: number // 4 for number in range(40)}
    ((label, value, members, explanation),) = found_by_columns(devices, down, set())
    assert (label, value, len(members)) == ("site", "paris", 40)
    assert explanation == (
        "40 of 42 devices with site=paris went down within 1 s; the next best label, rack=r0, explains 8"
    )


def test_two_sites_that_go_dark_at_once_are_two_causes() -> None:
    devices = [{"site": name} for name, _ in groupby("abcd") for _ in range(5)]
    down = dict.fromkeys(range(10), 0)
    assert [one[:2] for one in found_by_columns(devices, down, set())] == [("site", "a"), ("site", "b")]
