"""Status of devices now, and its changes in a window."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.status import status_codes, timeline
from fleetpulse.model.status import MAINTENANCE, PAUSED, STATUSES, Status
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answers import Missing, Transition, Transitions
from fleetpulse.query.declarations_used import declarations_used
from fleetpulse.query.downtime import ended_gaps, gaps_of_one
from fleetpulse.query.exclusions import NOT_IN_FORCE, DeclaredKind
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window

_DECLARED: tuple[tuple[int, DeclaredKind], ...] = ((MAINTENANCE, "maintenance"), (PAUSED, "paused"))
"""What is in force whatever was heard of a device, the last one before the others."""


def fleet_status(view: FleetView) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Status codes of all devices now, int8, and since when, int64 ns (0: since ever); shape (n,). Reads no blocks."""
    live = view.live
    codes, since_ns = np.zeros(view.count, np.int8), np.zeros(view.count, np.int64)
    policy_codes = live.policy_codes.astype(np.int64)
    # What ended before a device was last heard, or has not begun, does not matter to its status now.
    heard_ns = np.full(len(view.excluded.of_class), view.now_ns)
    np.minimum.at(heard_ns, view.excluded.classes, np.where(live.last_received_ns, live.last_received_ns, view.now_ns))
    excluded = view.excluded.within(heard_ns, view.now_ns + 1)
    in_force = [(code, excluded.in_force_ns(name, view.now_ns)) for code, name in _DECLARED]
    is_declared = np.any([start_ns != NOT_IN_FORCE for _, start_ns in in_force], axis=0).tolist()
    for code, (devices, exclusions) in enumerate(excluded.by_class()):
        # What is declared goes before whatever was heard: thousands of paused devices are thousands of classes.
        if is_declared[code]:
            continue
        view.budget.check()
        codes[devices], since_ns[devices] = status_codes(
            live.last_received_ns[devices],
            live.up_since_ns[devices],
            policy_codes[devices],
            policies=live.policy_table,
            excluded=exclusions,
            now_ns=view.now_ns,
        )
    for code, start_ns in in_force:
        devices = np.flatnonzero(start_ns[excluded.classes] != NOT_IN_FORCE)
        codes[devices], since_ns[devices] = code, start_ns[excluded.classes[devices]]
    return codes, since_ns


def device_status(view: FleetView) -> tuple[Status, int, int]:
    """Of the one device of a view: status now, since when, and when anything was last received (0: never), in ns."""
    codes, since_ns = fleet_status(view)
    return STATUSES[int(codes[0])], int(since_ns[0]), int(view.live.last_received_ns[0])


def up_since(view: FleetView) -> tuple[int, int]:
    """Of the one device of a view: when its last reception gap ended, as is known and by the policies of now, in ns.

    Gaps of before may be none any more, once a longer policy was declared for the past. 0: none is stored. Reads all
    reception gaps of the device; a day that cannot be read counts as one without gaps.
    """
    ended_ns = 0
    for gaps in ended_gaps(view, start_ns=0, missing=[]):
        view.budget.check()
        codes = np.full(len(gaps), int(view.live.policy_codes[0]))
        is_kept = view.live.policy_table.is_kept(codes, gaps.start_ns, gaps.end_ns)
        ended_ns = max(ended_ns, int(gaps.end_ns[is_kept].max(initial=0)))
    return int(view.live.up_since_ns[0]), ended_ns


def device_transitions(view: FleetView, device_id: str, window: Window, *, limit: int) -> Transitions:
    """The changes of status of the one device of a view, after the window's start; `more_from` if they are too many."""
    missing: list[Missing] = []
    ended = ended_gaps(view, start_ns=window.start_ns, missing=missing)
    intervals = timeline(gaps_of_one(view, ended), view.excluded.of(0), start_ns=window.start_ns, end_ns=window.end_ns)
    changes = [
        Transition(format_rfc3339(after.start_ns), STATUSES[before.status], STATUSES[after.status])
        for before, after in pairwise(intervals[: limit + 2])
        if after.start_ns > window.start_ns
    ]
    return Transitions(
        device_id=device_id,
        start=window.start,
        end=window.end,
        status_before=STATUSES[intervals[0].status],
        transitions=changes[:limit],
        more_from=changes[limit - 1].at if len(changes) > limit else None,
        missing=missing,
        declarations=declarations_used(view.declared, window, devices=1),
        notes=[*window.notes],
    )
