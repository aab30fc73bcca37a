"""Alerts between their two forms: columns of a round, and rows as they are stored."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import ALERT_COLUMNS, AlertColumns
from fleetpulse.alert.lifecycle import Lives
from fleetpulse.model.alert import NO_DEVICE, PENDING, RESOLVED
from fleetpulse.model.alert_rows import ALERT_ROW, PENDING_ROW, AlertRows, PendingRows
from fleetpulse.model.alert_rule import AlertRule

_SAME = [name for name in ALERT_COLUMNS if name in (ALERT_ROW.names or ()) and name not in ("rule", "group")]
_SAME_PENDING = list(PENDING_ROW.names or ())


def rows_of(columns: AlertColumns, rules: Sequence[AlertRule], groups: Sequence[Sequence[str] | None]) -> AlertRows:
    """Alerts as they are stored. Args: rules, groups: as `Lives` has them."""
    rows = np.zeros(len(columns), ALERT_ROW)
    for name in _SAME:
        rows[name] = columns.of[name]
    names: dict[str, int] = {"": 0}
    codes = np.array([names.setdefault(rule.name, len(names)) for rule in rules], np.int32)
    rows["rule"] = codes[columns.of["rule"]] if len(columns) else 0
    rows["device"] = columns.of["subject"]
    for place in np.unique(columns.of["rule"]).tolist():
        known = groups[place]
        if known is not None:
            where = np.flatnonzero(columns.of["rule"] == place)
            codes = np.array([names.setdefault(name, len(names)) for name in known], np.int32)
            rows["group"][where] = codes[columns.of["subject"][where]]
            rows["device"][where] = NO_DEVICE
    return AlertRows(rows, tuple(names))


def pending_of(lives: Lives, place: int) -> PendingRows:
    """The pending alerts of a rule, as they are stored."""
    start, end = np.searchsorted(lives.open.of["rule"], [place, place + 1])
    part = lives.open.taken(slice(int(start), int(end)))
    part = part.taken(part.of["state"] == PENDING)
    rows = np.zeros(len(part), PENDING_ROW)
    for name in _SAME_PENDING:
        rows[name] = part.of[name]
    groups = lives.groups[place]
    return PendingRows(rows, None if groups is None else tuple(groups))


def lives_of(
    stored: AlertRows, pending: dict[str, PendingRows], rules: Sequence[AlertRule], *, next_number: int
) -> Lives:
    """The state of a round from what is stored.

    Args:
        stored: alerts that fire, or ended a short while ago.
        pending: by the name of the rule.
        rules: as they were in the last round; alerts of others are left out.
    """
    groups: list[list[str] | None] = [None] * len(rules)
    place_of = {rule.name: place for place, rule in enumerate(rules)}
    places = np.array([place_of.get(name, -1) for name in stored.names], np.int32)[stored.rows["rule"]]
    rows, places = stored.rows[places >= 0], places[places >= 0]
    columns = AlertColumns.zeros(len(rows))
    for name in _SAME:
        columns.of[name] = rows[name].astype(ALERT_COLUMNS[name].base if name == "recent_ns" else ALERT_COLUMNS[name])
    columns.of["rule"], columns.of["subject"] = places, rows["device"].astype(np.int64)
    for name, found in pending.items():
        if (place := place_of.get(name)) is not None and found.groups is not None:
            groups[place] = list(found.groups)
    _number_groups(columns, rows, stored.names, groups)
    parts = [columns, *(_pending(found, place_of[name]) for name, found in pending.items() if name in place_of)]
    every = AlertColumns.joined(parts)
    every = every.taken(np.argsort(every.keys(), kind="stable"))
    is_over = every.of["state"] == RESOLVED
    return Lives(
        rules=list(rules),
        groups=groups,
        declared=len(rules),
        open=every.taken(~is_over),
        ended=_latest(every.taken(is_over)),
        next_number=next_number,
    )


def _latest(ended: AlertColumns) -> AlertColumns:
    """Of each rule and subject the alert that ended last."""
    keys = ended.keys()
    order = np.lexsort((ended.of["number"], keys))
    is_last = np.append(keys[order][1:] != keys[order][:-1], True) if len(keys) else np.zeros(0, bool)
    return ended.taken(order[is_last])


def _number_groups(
    columns: AlertColumns, rows: NDArray[np.void], names: Sequence[str], groups: list[list[str] | None]
) -> None:
    """Give alerts about groups, in place, the numbers that these have for their rule."""
    about_groups = np.flatnonzero(rows["group"])
    for row in about_groups.tolist():
        place = int(columns.of["rule"][row])
        known = groups[place] = groups[place] or []
        name = names[rows["group"][row]]
        if name not in known:
            known.append(name)
        columns.of["subject"][row] = known.index(name)


def _pending(found: PendingRows, place: int) -> AlertColumns:
    columns = AlertColumns.zeros(len(found.rows))
    for name in _SAME_PENDING:
        columns.of[name] = found.rows[name].astype(np.int64)
    columns.of["rule"][:], columns.of["state"][:] = place, PENDING
    columns.of["is_withheld"] = columns.of["withheld_since_ns"] > 0
    return columns
