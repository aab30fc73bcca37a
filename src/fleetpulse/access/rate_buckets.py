"""The rates of senders that are known by a name: keys, people and addresses. Bounded, whoever sends."""

import ipaddress
import time
from collections.abc import Callable, Hashable

from fleetpulse.access.rate import Rate

_SHARED = None
"""The name under which those are counted for whom there is no room."""
SWEEP_S = 1.0


class RateBuckets:
    """One number for each sender, see `rate.py`. A sender whose number is in the past is rested, and is forgotten.

    Where more than `count_max` senders are not rested, further ones share one number. `name` is that of the limit.
    """

    def __init__(self, count_max: int, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.monotonic_s = monotonic_s
        self._next_s: dict[Hashable, float] = {}
        self._count_max = count_max
        self._swept_s = float("-inf")

    def __len__(self) -> int:
        return len(self._next_s)

    def take(self, sender: Hashable, rate: Rate) -> float | None:
        """Charge a request. Returns: None: it is taken. Else when, by the monotonic clock, the sender's debts are paid.

        Nothing is charged for a request that is not taken.
        """
        now_s = self.monotonic_s()
        next_s = self._next_s.get(sender)
        if next_s is None:
            if len(self._next_s) >= self._count_max:
                sender = self._find_room(sender, now_s)
            next_s = self._next_s.get(sender, now_s)
        if next_s > now_s + rate.tolerance_s:
            return next_s
        self._next_s[sender] = max(next_s, now_s) + rate.interval_s
        return None

    def owe(self, sender: Hashable, cost: float, rate: Rate) -> None:
        """Charge what costs as much as `cost` requests, although there may be more than are left."""
        now_s = self.monotonic_s()
        if sender in self._next_s or len(self._next_s) < self._count_max:
            self._next_s[sender] = max(self._next_s.get(sender, now_s), now_s) + cost * rate.interval_s

    def _find_room(self, sender: Hashable, now_s: float) -> Hashable:
        if now_s - self._swept_s >= SWEEP_S:  # it looks at all of them, so under a flood it must not for each request
            self._swept_s = now_s
            self._next_s = {one: next_s for one, next_s in self._next_s.items() if next_s > now_s}
        return sender if len(self._next_s) < self._count_max else _SHARED


def network_of(address: str) -> str:
    """By what an address is counted: IPv6 by its network of 64 bits, of which one sender has every address."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False))
