"""What the live feed tells of a round of alerts, for each scope: which have begun to fire, and which have ended."""

from collections.abc import Sequence

import numpy as np
from msgspec.json import encode
from numpy.typing import NDArray

from fleetpulse.alert.describing import shown_value
from fleetpulse.alert.round import Decided
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert import ALERT_STATES, RESOLUTIONS, labels_of_group
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.feed_events import FeedAlert, FeedOmitted
from fleetpulse.query.status_changes import Event


def alert_events(decided: Decided, roster: Roster, ids: Sequence[str], *, most: int) -> list[Event]:
    """The events of a round, those that fired first. Args: roster: narrowed to a scope. most: events at most."""
    places = np.concatenate([decided.changes.fired, decided.changes.resolved])
    if len(places):
        places = places[_is_seen(decided, places, roster)]
    events = [("alert", encode(_described(decided, place, ids))) for place in places[:most].tolist()]
    if len(places) > most:
        at = format_rfc3339(decided.changes.at_ns)
        events.append(("omitted", encode(FeedOmitted(at, "alert", len(places) - most))))
    return events


def _is_seen(decided: Decided, places: NDArray[np.int64], roster: Roster) -> NDArray[np.bool_]:
    """Which of the alerts are about devices of the scope alone: bool, shape (places,)."""
    if not roster.scope:
        return np.ones(len(places), bool)
    of = decided.changes.alerts.of
    rules, subjects = of["rule"][places], of["subject"][places]
    inside = roster.with_labels((), is_deleted_included=True)
    is_seen = np.zeros(len(places), bool)
    for rule in np.unique(rules).tolist():
        groups, chosen = decided.names.groups[rule], np.flatnonzero(rules == rule)
        if groups is None:
            known = chosen[subjects[chosen] < len(inside)]
            is_seen[known] = inside[subjects[known]]
            continue
        own = set(decided.state.lives.rules[rule].labels)
        for place in chosen.tolist():
            of_group = labels_of_group(groups[int(subjects[place])])
            is_seen[place] = set(roster.scope) <= own | set(of_group.items())
    return is_seen


def _described(decided: Decided, place: int, ids: Sequence[str]) -> FeedAlert:
    row = {name: column[place].item() for name, column in decided.changes.alerts.of.items() if column.ndim == 1}
    groups = decided.names.groups[row["rule"]]
    value, _ = shown_value(decided.state.lives.rules[row["rule"]], row["value"], {})
    return FeedAlert(
        at=format_rfc3339(decided.changes.at_ns),
        number=row["number"],
        rule=decided.names.rules[row["rule"]],
        severity=SEVERITIES[row["severity"]],
        state=ALERT_STATES[row["state"]],
        subject=ids[row["subject"]] if groups is None else groups[row["subject"]],
        device_id=ids[row["subject"]] if groups is None else None,
        since=format_rfc3339(row["since_ns"]),
        resolution=RESOLUTIONS[row["resolution"]],
        value=value,
        times=row["times"],
        incident=row["incident"] or None,
    )
