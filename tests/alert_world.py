"""A fleet whose life is thrown by dice: devices go dark and return, get hot and are maintained.

It says what is true. It knows nothing of alerts, of the planner or of messages.
"""

import random
from dataclasses import dataclass, field

import numpy as np

from fleetpulse.alert.condition import Condition
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.units import NS_PER_S

START_S = 1_764_288_000
"""2025-11-28, 00:00 UTC."""
OFFLINE = AlertRule(name="offline", kind="device_down", severity="critical", owner="network")
HOT = AlertRule(
    name="hot", kind="metric", severity="warning", metric="cpu", for_s=120, keep_firing_for_s=60,
    annotations={"summary": "{device} has {value} since {since}"},
)  # fmt: skip
SITES = AlertRule(name="sites", kind="fleet", severity="critical", by="site", threshold=0.7, is_share=True)
GROUPS = ["site=paris", "site=rome"]
SEEN_S = 30
"""After the monitor was away, nothing is known of devices for so long."""


@dataclass
class World:
    """What is true of each device now; times in s."""

    dice: random.Random
    now_s: int = START_S
    labels: list[dict[str, str]] = field(default_factory=list)
    down: dict[int, int] = field(default_factory=dict)
    """Since when devices are down."""
    hot: dict[int, float] = field(default_factory=dict)
    maintained: set[int] = field(default_factory=set)
    heard: dict[int, int] = field(default_factory=dict)
    away: list[tuple[int, int]] = field(default_factory=list)
    """When the monitor did not run."""
    unseen_until_s: int = 0

    def __post_init__(self) -> None:
        """Two sites with racks, a model that goes across them, and devices without labels."""
        for number in range(12):
            self.labels.append({"site": "paris", "rack": f"p{number // 4}", "model": "ab"[number % 2]})
        self.labels += [{"site": "rome", "model": "ab"[number % 2]} for number in range(5)]
        self.labels += [{}] * 4
        self.roster = Roster()
        self.roster.resize(len(self.labels))
        for number, labels in enumerate(self.labels):
            self.roster.put(number, labels)
        self.ids = [f"dev-{number}" for number in range(len(self.labels))]
        self.heard = dict.fromkeys(range(len(self.labels)), START_S)

    def having(self, **labels: str) -> list[int]:
        """The devices that have these labels."""
        return [number for number, own in enumerate(self.labels) if labels.items() <= own.items()]

    def happen(self) -> None:
        """Something happens; most of it ends by itself, by a later happening."""
        everybody = range(len(self.labels))
        match self.dice.choices(
            ("dark", "site", "rack", "back", "hot", "cool", "maintain", "open", "flap"), (6, 3, 2, 9, 4, 5, 2, 4, 4)
        )[0]:
            case "dark":
                self.darken(self.dice.sample(everybody, self.dice.choice((1, 1, 2, 3))), 90)
            case "site":
                devices = self.having(site=self.dice.choice(("paris", "rome")))
                self.darken(self.dice.sample(devices, self.dice.randint(len(devices) // 2, len(devices))), 70)
            case "rack":
                self.darken(self.having(rack=f"p{self.dice.randrange(3)}"), 20)
            case "back":
                gone = sorted(self.down)
                self.bring_back(self.dice.sample(gone, self.dice.randint(len(gone) // 2, len(gone))))
            case "hot":
                for device in self.dice.sample(everybody, self.dice.randint(1, 4)):
                    self.hot[device] = 90.0 + self.dice.randrange(100) / 10
            case "cool":
                for device in list(self.hot):
                    if self.dice.random() < 0.7:
                        del self.hot[device]
            case "maintain":
                self.maintained |= set(self.dice.sample(everybody, self.dice.randint(1, 8)))
            case "open":
                self.maintained.clear()
            case "flap":
                device = self.dice.choice(everybody)
                self.bring_back([device]) if device in self.down else self.darken([device], 0)

    def darken(self, devices: list[int], within_s: int) -> None:
        """These go down within that time before now."""
        for device in devices:
            self.down.setdefault(device, self.now_s - self.dice.randint(0, within_s))

    def bring_back(self, devices: list[int]) -> None:
        """These are heard again."""
        for device in devices:
            self.down.pop(device, None)
            self.heard[device] = self.now_s

    def calm(self) -> None:
        """Everything is well again."""
        self.bring_back(list(self.down))
        self.hot.clear()
        self.maintained.clear()

    def withheld(self) -> set[int]:
        """The devices of which nothing can be said."""
        if self.now_s < self.unseen_until_s:
            return set(range(len(self.labels))) - set(self.down)
        return set(self.maintained)

    def truth(self) -> dict[str, "Truth"]:
        """What each rule finds now, by its name."""
        withheld = self.withheld()
        down = {device: since for device, since in self.down.items() if device not in withheld}
        hot = {device: self.now_s for device in self.hot if device not in withheld}
        sites, unsure = {}, set()
        for place, group in enumerate(GROUPS):
            devices = self.having(site=group.removeprefix("site="))
            share = sum(device in down for device in devices) / len(devices)
            if share > SITES.threshold:
                sites[place] = (self.now_s, share)
            elif self.now_s < self.unseen_until_s:
                unsure.add(place)
        return {
            "offline": Truth({one: (since, float("nan")) for one, since in down.items()}, withheld),
            "hot": Truth({one: (since, self.hot[one]) for one, since in hot.items()}, withheld),
            "sites": Truth(sites, unsure),
        }


@dataclass
class Truth:
    """Of which subjects a condition is true, (since when in s, the figure), and of which nothing can be said."""

    true: dict[int, tuple[int, float]]
    withheld: set[int]

    def condition(self, rule: AlertRule, now_s: int) -> Condition:
        """The same in the form that the lifecycle takes."""
        subjects = sorted(self.true)
        return Condition(
            rule=rule.name,
            at_ns=now_s * NS_PER_S,
            subjects=np.array(subjects, np.int64),
            since_ns=np.array([self.true[one][0] * NS_PER_S for one in subjects], np.int64),
            values=np.array([self.true[one][1] for one in subjects], np.float64),
            withheld=np.array(sorted(self.withheld), np.int64),
            groups=GROUPS if rule.kind == "fleet" else None,
        )
