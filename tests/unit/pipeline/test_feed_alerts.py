"""What the live feed tells of a round of alerts, to whom."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from msgspec.json import decode

from fleetpulse.alert.columns import AlertColumns, Changes, RoundNames
from fleetpulse.alert.round import Decided
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.access import Scope
from fleetpulse.model.alert import FIRING, RESOLVED
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.pipeline.feed_alerts import alert_events

IDS = ["p1", "r1", "p2"]
PARIS: Scope = (("site", "paris"),)
RULES = [
    AlertRule(name="device-offline", kind="device_down", severity="critical"),
    AlertRule(name="site-offline", kind="fleet", by="site", is_share=True),
    AlertRule(name="line-3", kind="fleet", by="line", labels=PARIS),
]


def roster() -> Roster:
    made = Roster()
    made.resize(len(IDS))
    for device, one in enumerate(IDS):
        made.put(device, {"site": "paris" if one.startswith("p") else "rome"}, is_deleted=one == "p2")
    return made


def decided() -> Decided:
    """Three devices fire, of which one has ended; and four groups."""
    alerts = AlertColumns.zeros(7)
    of = alerts.of
    of["number"][:] = np.arange(1, 8)
    of["rule"][:] = [0, 0, 0, 1, 1, 1, 2]
    of["subject"][:] = [0, 1, 2, 0, 1, 2, 0]
    of["severity"][:] = [2, 2, 2, 1, 1, 1, 1]
    of["state"][:] = FIRING
    of["state"][2] = RESOLVED
    of["resolution"][2] = 1
    of["since_ns"][:], of["times"][:], of["value"][[0, 3]] = 10**18, 1, [0.5, 0.75]
    names = RoundNames(
        rules=[rule.name for rule in RULES], groups=[None, ["site=paris", "site=rome", "fleet"], ["line=3"]]
    )
    nothing = np.zeros(0, np.int64)
    changes = Changes(
        at_ns=10**18 + 10**9, alerts=alerts, fired=np.array([0, 1, 3, 4, 5, 6]), resolved=np.array([2]),
        flapping=nothing, withheld=nothing, altered=nothing,
    )  # fmt: skip
    state = cast("Any", SimpleNamespace(lives=SimpleNamespace(rules=RULES)))
    return Decided(state=state, changes=changes, names=names, record=None)


def subjects(scope: Scope, *, most: int = 10) -> list[str]:
    events = alert_events(decided(), roster().within(scope), IDS, most=most)
    return [decode(data)["subject"] for kind, data in events if kind == "alert"]


def test_an_alert_says_of_which_rule_and_subject_it_is() -> None:
    kind, data = alert_events(decided(), roster(), IDS, most=1)[0]
    assert kind == "alert"
    assert decode(data) == {
        "at": "2001-09-09T01:46:41Z", "number": 1, "rule": "device-offline", "severity": "critical",
        "state": "firing", "subject": "p1", "device_id": "p1", "since": "2001-09-09T01:46:40Z", "resolution": "",
        "value": 0.5, "times": 1, "incident": None,
    }  # fmt: skip


def test_a_share_is_told_in_per_cent_as_the_list_of_alerts_has_it() -> None:
    alerts = [decode(data) for _, data in alert_events(decided(), roster(), IDS, most=10)]
    assert [one["value"] for one in alerts if one["subject"] == "site=paris"] == [75.0]


def test_everybody_without_a_scope_is_told_of_all_and_those_that_fired_come_first() -> None:
    assert subjects(()) == ["p1", "r1", "site=paris", "site=rome", "fleet", "line=3", "p2"]


def test_a_scope_is_told_of_its_devices_and_of_groups_that_lie_within_it() -> None:
    assert subjects(PARIS) == ["p1", "site=paris", "line=3", "p2"]
    assert subjects((("site", "nowhere"),)) == []


def test_too_many_are_summed_up() -> None:
    events = alert_events(decided(), roster(), IDS, most=3)
    assert [kind for kind, _ in events] == ["alert", "alert", "alert", "omitted"]
    body = decode(events[-1][1])
    assert (body["what"], body["events"]) == ("alert", 4)
