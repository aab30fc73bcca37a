"""Which message of a receiver is next: in order where order matters, and after the pauses that failures ask for.

The lane of a receiver has the first of its messages that wait; the catalog has all of them. One message of a receiver
is tried at a time. One that fails holds back those that tell of the same alerts, and no others: a receiver that refuses
one text must still get the next ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from fleetpulse.model.outbox import Waiting
from fleetpulse.model.units import NS_PER_S

WINDOW = 500
"""So many messages of a receiver are in memory at most."""
RETRY_HIGHEST_S = 900.0
PAUSE_HIGHEST_S = 60.0
RESENDING = -1
"""A receiver that fails again and again is tried once a minute, with whichever message is next."""


def retry_wait_s(failures: int, *, first_s: float, highest_s: float, jitter: float) -> float:
    """How long to wait after so many failures: it doubles with each, and is up to a half shorter by `jitter` (0..1)."""
    return min(first_s * 2.0 ** min(failures - 1, 30), highest_s) * (1 - jitter / 2)


@dataclass(eq=False)
class DeliveryLane:
    """The messages of one receiver. On the event loop. All its times are of the monotonic clock, which nobody sets.

    Attributes:
        queue: those that wait, in their order.
        is_complete: there are no further ones in the catalog.
        trying: the number of the message that is being tried, or RESENDING; 0: nothing is.
        lost: how many messages were given up since the receiver took the last one.
        resend_ns: when alerts are handed to an Alertmanager again; 0: at once.
        not_before_ns: the receiver is left alone until then.
    """

    receiver: str
    queue: list[Waiting] = field(default_factory=list)
    is_complete: bool = False
    trying: int = 0
    failures: int = 0
    not_before_ns: int = 0
    lost: int = 0
    resend_ns: int = 0

    @property
    def after(self) -> int:
        """The number after which further messages are read."""
        return self.queue[-1].number if self.queue else max(self.trying, 0)

    @property
    def wants_more(self) -> bool:
        """Whether further messages should be read now."""
        return not self.is_complete and len(self.queue) <= WINDOW // 2

    def extend(self, more: list[Waiting], *, limit: int, now_ns: int, wall_ns: int) -> None:
        """Take further messages, as they were read after `after`. Args: wall_ns: the same moment by the wall clock."""
        known = {waiting.number for waiting in self.queue} | {self.trying}
        for waiting in more:
            if waiting.number not in known:
                wait_ns = min(max(0, waiting.next_try_ns - wall_ns), int(RETRY_HIGHEST_S * NS_PER_S))
                self.queue.append(waiting._replace(next_try_ns=now_ns + wait_ns if wait_ns else 0))
        self.is_complete = len(more) < limit

    def restart(self) -> None:
        """Forget what is in memory, to read it anew: messages of lower numbers wait again."""
        self.queue.clear()
        self.is_complete = False
        self.failures = self.not_before_ns = 0

    def next(self, now_ns: int) -> Waiting | None:
        """The message to try now; None: none is due."""
        if self.trying or now_ns < self.not_before_ns:
            return None
        held_back: set[str] = set()
        best: Waiting | None = None
        for waiting in self.queue:
            is_due = waiting.next_try_ns <= now_ns and held_back.isdisjoint(waiting.about)
            if is_due and (best is None or waiting.tries < best.tries):
                best = waiting
                if not (self.failures and best.tries):
                    break  # else another one: what fails again and again must not keep others from their first try
            held_back |= waiting.about
        return best

    def ended(self, number: int) -> None:
        """A message was delivered or given up."""
        self.queue = [waiting for waiting in self.queue if waiting.number != number]

    def succeeded(self) -> None:
        """The receiver has taken a message."""
        self.failures = self.not_before_ns = 0

    def failed(
        self, waiting: Waiting, *, now_ns: int, first_s: float, jitter: Callable[[], float], retry_after_s: float
    ) -> Waiting:
        """Note that a try failed. Returns: the message as it waits now."""
        self.failures += 1
        tries = waiting.tries + 1
        pause_s = retry_wait_s(self.failures, first_s=first_s, highest_s=PAUSE_HIGHEST_S, jitter=jitter())
        wait_s = retry_wait_s(tries, first_s=first_s, highest_s=RETRY_HIGHEST_S, jitter=jitter())
        self.not_before_ns = now_ns + int(max(pause_s, retry_after_s) * NS_PER_S)
        changed = waiting._replace(tries=tries, next_try_ns=now_ns + int(max(wait_s, retry_after_s) * NS_PER_S))
        self.queue = [changed if one.number == waiting.number else one for one in self.queue]
        return changed
