"""A rehearsal finds what live rounds have found over the same life: the same alerts, at the same times.

A seeded life of a few devices is lived twice: in rounds, each of which sees the fleet as it is at that moment, and
afterwards as stored history. Blind time, pauses and maintenance are in it.
"""

import random
from array import array
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from fleetpulse.aggregate.spans import spans_of
from fleetpulse.alert.cadence import Cadence
from fleetpulse.alert.condition import Condition
from fleetpulse.alert.conditions.evaluate import evaluate
from fleetpulse.alert.conditions.facts import Facts
from fleetpulse.alert.conditions.memory import Memory
from fleetpulse.alert.histories.history_of import Rehearsable, history_of
from fleetpulse.alert.plan import Plan
from fleetpulse.alert.rehearsal import Circumstances, Rehearsed, rehearse
from fleetpulse.alert.round import RoundInput, RoundState, decide
from fleetpulse.alert_settings import AlertSettings, ConditionSettings
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.events import EventBatch
from fleetpulse.model.metric import BUILT_IN
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.pipeline.alerting import open_alerts
from one_fleet import OneFleet

DEVICES, HOURS, ROUND_S = 6, 3, 10
SETTINGS = AlertSettings(alert_interval_s=ROUND_S)
LOOKS = ConditionSettings()
UPLOADS: dict[str, Any] = {"name": "r", "kind": "metric", "metric": "upload_time"}
RULES = [
    AlertRule(name="r", kind="device_down"),
    AlertRule(name="r", kind="device_down", for_s=300, keep_firing_for_s=600, labels=(("site", "paris"),)),
    AlertRule(name="r", kind="fleet", by="site", is_share=True, comparison=">", threshold=0.5, clear_threshold=0.3),
    AlertRule(name="r", kind="fleet", comparison=">=", threshold=2.0, for_s=120),
    AlertRule(**UPLOADS, window_s=300, comparison=">", threshold=55.0, clear_threshold=50.0),
    AlertRule(**UPLOADS, aggregation="p90", window_s=600, comparison=">", threshold=90.0),
    AlertRule(**UPLOADS, aggregation="max", window_s=90, comparison=">=", threshold=97.0, for_s=60),
    AlertRule(**UPLOADS, aggregation="latest", window_s=420, comparison="<", threshold=10.0),
    AlertRule(**UPLOADS, aggregation="stddev", window_s=600, comparison=">", threshold=33.0),
    AlertRule(name="r", kind="absent", metric="upload_time", window_s=300),
    AlertRule(name="r", kind="uptime_below", window_s=3_600, comparison="<", threshold=0.8, clear_threshold=0.9),
]
NAMES = [f"{rule.kind} {rule.aggregation} {number}" for number, rule in enumerate(RULES)]


@dataclass
class Life:
    """What happens at each second, and the fleet that it happens to."""

    chance: random.Random
    one: OneFleet = field(default_factory=lambda: OneFleet(devices=0))
    happens: dict[int, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number in range(DEVICES):
            self.one.add(f"d{number}", site=self.chance.choice(["paris", "lyon"]))
        self.start_s = self.one.at("06:00:00") // NS_PER_S
        self.end_s = self.start_s + HOURS * 3_600
        self.blind_s = self._blind()
        for device in range(DEVICES):
            self._beats(device)
        if self.chance.random() < 0.5:
            start_s = self._moment()
            self.one.pause_at(start_s * NS_PER_S, (start_s + 1_500) * NS_PER_S, 0)
        if self.chance.random() < 0.5:
            self.one.maintain("07:00:00", "07:40:00")

    def _moment(self) -> int:
        return self.chance.randrange(self.start_s, self.end_s)

    def _blind(self) -> range:
        """When the service does not run: half of the lives have such a time."""
        if self.chance.random() < 0.5:
            return range(0)
        start_s = self._moment() // ROUND_S * ROUND_S
        return range(start_s, start_s + self.chance.choice([200, 1_200]))

    def _beats(self, device: int) -> None:
        at_s = self.start_s + self.chance.randrange(60)
        while at_s < self.end_s:
            if self.chance.random() < 0.02:
                at_s += self.chance.choice([200, 320, 900, 2_500])  # it is silent, perhaps for long enough
            if at_s not in self.blind_s:
                what = (device, self.chance.randrange(100) if self.chance.random() < 0.7 else None)
                self.happens.setdefault(at_s, []).append(what)
            at_s += self.chance.randrange(40, 62)

    def happen(self, at_s: int) -> None:
        """All that happens in a second."""
        self.one.now = at_s * NS_PER_S
        if len(self.blind_s) and at_s == self.blind_s.stop:
            batch = EventBatch(blind_ns=array("q", [self.blind_s.start * NS_PER_S, self.one.now]))
            self.one._apply(batch)
        for device, value in self.happens.get(at_s, ()):
            if value is None:
                self.one.beat_at(self.one.now, device)
            else:
                batch = self.one.sample_batch(device)
                batch.sample_values[0] = value
                self.one._apply(batch)

    def facts(self, rule: AlertRule) -> Facts:
        """What a round sees now."""
        return Facts(
            view=self.one.fleet_view(self.one.now - NS_PER_DAY),
            samples=self.one.views.samples()(),
            metrics={"upload_time": (0, BUILT_IN)},
            rules=[rule],
            window_step_ns=LOOKS.alert_metric_interval_s * NS_PER_S,
        )


Fired = list[tuple[int, int]]
"""The number of a subject and when an alert of it fired, in s since the start."""


def lived(life: Life, rule: AlertRule) -> tuple[Fired, list[tuple[str, ...]]]:
    """What live rounds find, and the names of groups."""
    state, memory, cadence, fired = RoundState(), Memory(), Cadence(), []
    for at_s in range(life.start_s, life.end_s):
        life.happen(at_s)
        if at_s % ROUND_S or at_s in life.blind_s:
            continue
        facts = life.facts(rule)
        memory.open = open_alerts(state.lives)
        due, cadence = cadence.due([rule], LOOKS, now_ns=facts.now_ns)
        conditions: dict[str, Condition] = {one.name: evaluate(one, facts, memory) for one in due}
        given = RoundInput(
            now_ns=facts.now_ns,
            rules=[rule],
            roster=facts.view.roster,
            ids=[],
            last_received_ns=facts.view.live.last_received_ns,
            blind=spans_of(facts.view.live.blind_ns),
            blind_notice_ns=2**62,
        )
        decided = decide(state, given, conditions, SETTINGS, lambda state, _facts, _settings: (state, None, Plan()))
        state = decided.state
        of = decided.changes.alerts.of
        fired += [(int(one), at_s - life.start_s) for one in of["subject"][decided.changes.fired]]
    return fired, [tuple(one) for one in state.lives.groups if one is not None]


def rehearsed(life: Life, rule: AlertRule) -> tuple[Rehearsed, Fired]:
    """What a rehearsal finds, and when alerts fired."""
    start_ns, end_ns = life.start_s * NS_PER_S, life.end_s * NS_PER_S
    life.one.now = end_ns
    facts = life.facts(rule)
    assert facts.samples is not None
    given = Rehearsable(
        view=facts.view, samples=facts.samples, metrics=facts.metrics, settings=LOOKS, start_ns=start_ns, end_ns=end_ns
    )
    history = history_of(rule, given)
    fired: Fired = []

    def plan(state: Any, facts: Any, _settings: Any) -> Any:
        of = facts.changes.alerts.of
        at_s = facts.changes.at_ns // NS_PER_S - life.start_s
        names = facts.names.groups[0]
        fired.extend((int(one), at_s) for one in of["subject"][facts.changes.fired])
        assert names is None or list(names) == list(history.groups or ())
        return state, None, Plan()

    circumstances = Circumstances(
        settings=SETTINGS,
        plan=plan,
        roster=facts.view.roster,
        ids=[],
        last_received_ns=facts.view.live.last_received_ns,
        blind=spans_of(facts.view.live.blind_ns),
    )
    found = rehearse(rule, history, circumstances, from_ns=start_ns, start_ns=start_ns, end_ns=end_ns)
    assert found.alerts + found.again == len(fired)
    return found, fired


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rehearsal_finds_what_live_rounds_found(rule: AlertRule) -> None:
    total = 0
    for seed in range(2):
        life = Life(random.Random(seed))
        live, groups = lived(life, rule)
        found, fired = rehearsed(life, rule)
        if groups:
            live = [(sorted(groups[0]).index(groups[0][one]), at_s) for one, at_s in live]
            named = list(history_names(life, rule))
            fired = [(sorted(named).index(named[one]), at_s) for one, at_s in fired]
        if rule.kind == "uptime_below":
            # A gap counts from its beginning on, once it is known to be one: a rehearsal knows that at once.
            assert [one for one, _ in sorted(fired)] == [one for one, _ in sorted(live)], seed
            late_s = [lived_s - known_s for (_, lived_s), (_, known_s) in zip(sorted(live), sorted(fired), strict=True)]
            assert all(0 <= one <= LOOKS.alert_uptime_interval_s for one in late_s)
        else:
            assert sorted(fired) == sorted(live), seed
        assert (found.interval_s, found.alerts + found.again) == (ROUND_S, len(live))
        total += len(live)
    assert total, "lives in which nothing fires show nothing"


def history_names(life: Life, rule: AlertRule) -> Any:
    """The groups of a rehearsal."""
    given = Rehearsable(
        view=life.facts(rule).view,
        samples=life.one.views.samples()(),
        metrics={},
        settings=LOOKS,
        start_ns=life.start_s * NS_PER_S,
        end_ns=life.end_s * NS_PER_S,
    )
    return history_of(rule, given).groups


def test_lives_differ() -> None:
    assert np.unique([len(Life(random.Random(seed)).happens) for seed in range(4)]).size > 1
