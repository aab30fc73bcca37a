"""Refused authentications on their way to the audit log: counted at once, written later, and never without a bound.

    first of an address, reason and key     its entry within a second
    again within the same minute            one entry at the end of the minute, with the count
    beyond `addresses_max` at one time      counted without the address
    beyond `network_entries_max` a day      of one network: one entry an hour and reason, without the address
    beyond `entries_max` a day              the same, of all

So a flood costs an increment a request, and can neither fill the disk nor push other entries out of the log. Nor can
who sends it, from one network, keep the refusals of others from having entries of their own.
"""

from collections import Counter
from dataclasses import dataclass, field

from fleetpulse.access.rate_buckets import network_of
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S

_SOON_NS, _MINUTE_NS, _HOUR_NS = NS_PER_S, 60 * NS_PER_S, 3_600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Refused:
    """Who was refused, and where.

    Attributes:
        key: the number of the key that was shown, whether it is right or not.
        who, role: of whoever is known, but may not do this.
        operation: what was to be done.
        request_id: that of one such request; others with another one count as the same.
    """

    address: str
    reason: str
    key: int | None = None
    who: str = ""
    role: str = ""
    operation: str = ""
    request_id: str = field(default="", compare=False)


class RefusalCounts:
    """Counts refusals; `take` gives those whose time has come."""

    def __init__(self, *, addresses_max: int, entries_max: int, network_entries_max: int) -> None:
        self.joined = 0
        """Refused requests whose entry does not tell their address."""
        self._addresses_max = addresses_max
        self._entries_max = entries_max
        self._network_entries_max = network_entries_max
        self._first: Counter[Refused] = Counter()
        self._again: Counter[Refused] = Counter()
        self._others: Counter[str] = Counter()
        self._minute = self._hour = self._day = self._soon_ns = 0
        self._entries_today: Counter[str] = Counter()
        """By network. Bounded, since all of them together are."""
        self._counted: Counter[str] = Counter()
        """How many of those that are counted apart are of each network."""

    def add(self, refused: Refused) -> None:
        """Count one refused request."""
        if refused in self._again:
            self._again[refused] += 1
        elif refused in self._first or self._has_room(refused):
            self._first[refused] += 1
        else:
            self._join(refused.reason, 1)

    def _has_room(self, refused: Refused) -> bool:
        """Whether one more may be counted apart; then it has its place."""
        if len(self._first) + len(self._again) >= self._addresses_max:
            return False
        network = network_of(refused.address)
        if self._counted[network] >= self._network_entries_max:
            return False
        self._counted[network] += 1
        return True

    def _join(self, reason: str, count: int) -> None:
        self._others[reason] += count
        self.joined += count

    def take(self, now_ns: int, *, is_last: bool = False) -> dict[Refused, int]:
        """The refusals that become entries now, with their counts. Args: is_last: the service ends."""
        found: Counter[Refused] = Counter()
        if now_ns // NS_PER_DAY != self._day:
            self._day, self._entries_today = now_ns // NS_PER_DAY, Counter()
        if (minute := now_ns // _MINUTE_NS) != self._minute or is_last:
            self._minute = minute
            found.update({refused: count for refused, count in self._again.items() if count})
            self._again.clear()
            self._counted = Counter(network_of(refused.address) for refused in self._first)
        if self._first and (now_ns >= self._soon_ns or now_ns < self._soon_ns - _SOON_NS or is_last):
            self._soon_ns = now_ns + _SOON_NS
            found.update(self._first)
            self._again.update(dict.fromkeys(self._first, 0))
            self._first.clear()
        left = self._entries_max - self._entries_today.total()
        for refused in list(found):
            network = network_of(refused.address)
            if left > 0 and self._entries_today[network] < self._network_entries_max:
                self._entries_today[network] += 1
                left -= 1
            else:
                self._join(refused.reason, found.pop(refused))
        if self._others and ((hour := now_ns // _HOUR_NS) != self._hour or is_last):
            self._hour = hour
            found.update({Refused("", reason): count for reason, count in self._others.items()})
            self._others.clear()
        return found
