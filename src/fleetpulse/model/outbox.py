"""The outbox: messages on their way to receivers, and what became of them."""

from typing import Literal, NamedTuple, get_args

from fleetpulse.model.message import Message

OutboxState = Literal["waiting", "delivered", "dead"]
OUTBOX_STATES: tuple[OutboxState, ...] = get_args(OutboxState)
"""The place in it is the code of a state in the catalog. `dead`: given up, until somebody has it sent again."""
WAITING, DELIVERED, DEAD = range(len(OUTBOX_STATES))


class OutboxEntry(NamedTuple):
    """A message and its deliveries.

    Attributes:
        number: they are delivered in this order, as far as order matters.
        tries: how often it was tried to deliver it.
        next_try_ns: not before this; 0: at once.
        outcome: what came of the last try, or why it was given up.
        ended_at_ns: when it was delivered or given up; 0: it waits.
        is_damaged: what it tells cannot be read; `message` has only what else is known of it.
    """

    number: int
    message: Message
    state: OutboxState
    tries: int
    next_try_ns: int
    outcome: str
    ended_at_ns: int
    is_damaged: bool = False


class Waiting(NamedTuple):
    """What the deliveries have in memory of a message that waits.

    Attributes:
        about: what it tells of: two messages to a receiver that share any of it must be delivered in their order.
    """

    number: int
    receiver: str
    about: frozenset[str]
    stored_at_ns: int
    tries: int
    next_try_ns: int


class OutboxAdded(NamedTuple):
    """What became of messages that were to be stored, where there was no room for all."""

    left_out: int = 0
    given_up: int = 0


class OutboxCounts(NamedTuple):
    """How many messages there are of one receiver by state; `oldest_ns`: since when the oldest waits, 0: none does."""

    waiting: int = 0
    delivered: int = 0
    dead: int = 0
    oldest_ns: int = 0


def about_of(message: Message) -> frozenset[str]:
    """What a message tells of, see Waiting."""
    about = {f"a{alert.number}" for alert in message.alerts}
    if message.cause is not None:
        about.add(f"i{message.cause.incident}")
    if message.omitted or not about:
        about.add("g" + "\0".join(f"{name}={value}" for name, value in sorted(message.group.items())))
    return frozenset(about)
