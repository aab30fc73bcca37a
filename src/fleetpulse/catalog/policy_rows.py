"""When intervals and graces changed: those of devices, a row a declaration, and the service's own defaults.

A device whose policy never changed has no row: what it has, it has since ever. The first change writes two rows, that
of before and the new one; see `model/own_policy.py` for how they are read. Beyond `changes_max` rows the two oldest are
joined, and the longer of both then holds for the time of both: its gaps are among those that were kept.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fleetpulse.catalog.earlier_policies import note_earlier
from fleetpulse.catalog.row_checksum import checked
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.own_policy import OwnPolicy, unchanged
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange, PolicyHistory

POLICIES_SQL = "SELECT device, declared_at_ns, since_ns, interval_s, grace_s FROM policy"
_PUT_POLICY_SQL = "INSERT INTO policy VALUES (?, ?, ?, ?, ?, ?, ?)"
_PUT_DEFAULT_SQL = "INSERT INTO default_policy VALUES (?, ?, ?, ?, ?)"
DEFAULTS_SQL = "SELECT at_ns, interval_s, grace_s, factor_thousandths, checksum FROM default_policy ORDER BY rowid"


def put_defaults(run: Callable[..., Any], changes: PolicyHistory) -> None:
    """Replace the service's own policies, in a transaction."""
    run("DELETE FROM default_policy")
    for at_ns, policy in ((change.at_ns, change.policy) for change in changes):
        run(_PUT_DEFAULT_SQL, checked(at_ns, policy.interval_s, policy.grace_s, policy.factor_thousandths))


def default_of(row: Sequence[Any]) -> PolicyChange | None:
    """A row of DEFAULTS_SQL; None: it cannot be read, and so is not in effect."""
    at_ns, *terms, _ = row
    if type(at_ns) is not int or not all(type(term) is int and term >= 0 for term in terms):
        return None
    return PolicyChange(at_ns, HeartbeatPolicy(*terms))


def put_policies(run: Callable[..., Any], device: int, own: Iterable[OwnPolicy]) -> None:
    """Write all declarations of a device that has none yet, in a transaction."""
    for number, one in enumerate(own):
        run(_PUT_POLICY_SQL, checked(device, number, *one))


def note_policy(
    run: Callable[..., Any],
    number: int,
    before: Sequence[int | None],
    device: Device,
    *,
    at_ns: int,
    since_ns: int | None = None,
    changes_max: int,
) -> int:
    """Record that the policy of a device changes, in the transaction that changes it. Returns how many rows it joined.

    Args:
        before: its interval and grace until now, None for the service's own.
        device: as it is declared now.
        since_ns: a correction: since when it has been so. None: since `at_ns`, if anything changes.
    """
    after = device.interval_s, device.grace_s
    if tuple(before) == after and since_ns is None:
        return 0
    rows = run(f"{POLICIES_SQL} WHERE device = ? ORDER BY number", (number,)).fetchall()
    own = [OwnPolicy(*row) for _, *row in rows]
    note_earlier(run, number, own or ([] if tuple(before) == (None, None) else [unchanged(*before)]))
    since_ns = at_ns if since_ns is None else since_ns
    if not own:
        text = "SELECT is_undeclared FROM device WHERE number = ?"
        if tuple(before) == (None, None) and run(text, (number,)).fetchone()[0]:
            since_ns = SINCE_EVER_NS  # nobody has declared anything of it so far, so it was never otherwise
        else:
            own = [unchanged(*before)]
    own.append(OwnPolicy(at_ns, since_ns, *after))
    joined = max(0, len(own) - changes_max)
    if joined:
        default = next(iter(run(DEFAULTS_SQL).fetchall()[-1:]), None)
        own = _joined(own, changes_max, (None if default is None else default_of(default)))
    if joined or len(own) - len(rows) != 1:
        run("DELETE FROM policy WHERE device = ?", (number,))
        put_policies(run, number, own)
    else:
        run(_PUT_POLICY_SQL, checked(number, len(rows), *own[-1]))
    return joined


def _joined(own: Sequence[OwnPolicy], changes_max: int, default: PolicyChange | None) -> list[OwnPolicy]:
    """The same without the oldest ones."""
    service = HeartbeatPolicy(60, 240) if default is None else default.policy
    excess = len(own) - changes_max
    longest = max(own[: excess + 1], key=lambda one: one.under(service).late_after_ns)
    return [longest._replace(declared_at_ns=own[0].declared_at_ns, since_ns=SINCE_EVER_NS), *own[excess + 1 :]]


def read_policies(rows: Iterable[Sequence[Any]]) -> dict[int, tuple[OwnPolicy, ...]]:
    """What was declared of devices. Args: rows: of POLICIES_SQL, in the order of device and number."""
    found: dict[int, list[OwnPolicy]] = {}
    for device, *row in rows:
        if _is_readable(row):
            found.setdefault(device, []).append(OwnPolicy(*row))
    return {device: tuple(own) for device, own in found.items()}


class PolicyReader:
    """What was declared of devices that are asked for in ascending order, so that a million are not held together."""

    def __init__(self, rows: Iterator[Sequence[Any]]) -> None:
        """`rows`: of POLICIES_SQL, in the order of device and number."""
        self._rows = rows
        self._next = next(rows, None)

    def of(self, device: int) -> tuple[OwnPolicy, ...]:
        """What was declared of a device, in order; empty where its policy never changed."""
        row = self._next
        if row is None or row[0] > device:
            return ()
        found: list[OwnPolicy] = []
        while row is not None and row[0] <= device:
            if row[0] == device and _is_readable(row[1:]):
                found.append(OwnPolicy(*row[1:]))
            row = next(self._rows, None)
        self._next = row
        return tuple(found)


def _is_readable(row: Sequence[Any]) -> bool:
    return all(type(at_ns) is int for at_ns in row[:2]) and all(
        seconds is None or (type(seconds) is int and seconds >= 0) for seconds in row[2:]
    )
