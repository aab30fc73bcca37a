"""How often somebody may try a password. Nobody is ever locked out: whoever waits may try again.

of an address    each try is charged, and given back where the password was right
of a name        the same, but only for tries from addresses from which that person has no session. So who guesses at a
                 name from many addresses slows down only such tries as theirs, and not the person where they work
"""

from collections.abc import Callable

from fleetpulse.access.rate import Rate
from fleetpulse.access.rate_buckets import RateBuckets, network_of
from fleetpulse.access.refused_rate import too_many

BUCKETS_MAX = 65_536


class LoginThrottle:
    """The tries of all addresses and names. `monotonic_s`: seconds of a clock that nobody sets."""

    def __init__(self, rate: Rate, *, monotonic_s: Callable[[], float]) -> None:
        self._rate = rate
        self._by_address, self._by_name = (RateBuckets(BUCKETS_MAX, monotonic_s=monotonic_s) for _ in range(2))
        self._monotonic_s = monotonic_s

    def take(self, name: str, address: str, *, is_known: bool) -> Callable[[], None]:
        """Charge a try with the name of a person. Returns: what gives it back, for when the password was right.

        `is_known`: the person has a session from this address.
        Raises: TooManyRequests: there were too many before it; this one is not charged.
        """
        tries = [(self._by_address, network_of(address), "your address")]
        if not is_known:
            tries.append((self._by_name, name, "addresses from which this person did not sign in before"))
        charged: list[tuple[RateBuckets, str]] = []

        def give_back() -> None:
            for buckets, sender in charged:
                buckets.owe(sender, -1, self._rate)

        for buckets, sender, whose in tries:
            next_s = buckets.take(sender, self._rate)
            if next_s is not None:
                give_back()
                text = f"passwords are tried from {whose} faster than {self._rate.text}"
                raise too_many("login_rate", text, self._rate, next_s=next_s, now_s=self._monotonic_s())
            charged.append((buckets, sender))
        return give_back
