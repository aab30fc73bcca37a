"""Who waits for the answer to a request, how long, and whether anybody still does.

The API says so once for each request, in a context variable, so that a question that is put several times for one
answer counts as one, and no handler has to pass it on.
"""

from collections.abc import Callable
from contextvars import ContextVar


class Asker:
    """Whoever waits for the answer to one request.

    Args:
        client: who takes turns as one: the address of the peer. Whatever asks for itself is one client, "".
        has_hung_up: tells, on the event loop, whether the peer has gone.
    """

    __slots__ = ("_has_hung_up", "client", "deadline_ns", "is_gone")

    def __init__(self, client: str = "", has_hung_up: Callable[[], bool] = bool) -> None:
        self.client = client
        self.is_gone = False
        """Whether nobody waits any more. It is written on the event loop, and read by the threads of questions too."""
        self.deadline_ns: int | None = None
        """When its questions are stopped, by the monotonic clock; None before the first of them."""
        self._has_hung_up = has_hung_up

    def look(self) -> bool:
        """Look at the connection, on the event loop. Returns whether nobody waits any more."""
        self.is_gone = self.is_gone or self._has_hung_up()
        return self.is_gone


_CURRENT: ContextVar[Asker] = ContextVar("asker")


def set_asker(asker: Asker) -> None:
    """Say for whom the task that runs works from now on."""
    _CURRENT.set(asker)


def current_asker() -> Asker:
    """For whom the task that runs works; nobody in particular where that was never said."""
    return _CURRENT.get(None) or Asker()
