"""Who waits for the answer to a request, what they may see, how long they wait, and whether anybody still does.

The API says so once for each request, in a context variable, so that a question that is put several times for one
answer counts as one, and no handler has to pass it on: above all, none can forget to narrow an answer to the scope.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol, TypeVar

from fleetpulse.model.access import Principal, Scope

_Made = TypeVar("_Made")


class KeptTurn(Protocol):
    """The turn in a lane that a question keeps while its answer is large and not bytes yet."""

    async def run(self, work: Callable[[], _Made]) -> _Made:
        """Do the last work in the thread of the lane, and end the turn. Raises: what `work` raises; QuestionStopped."""
        ...

    def end(self) -> None:
        """End the turn, once or several times."""
        ...


class Asker:
    """Whoever waits for the answer to one request.

    Args:
        client: who takes turns as one: the address of the peer. Whatever asks for itself is one client, "".
        has_hung_up: tells, on the event loop, whether the peer has gone.
        keeps_turns: whether whoever made this ends `kept` when the request is answered.
    """

    __slots__ = ("_has_hung_up", "client", "deadline_ns", "is_gone", "keeps_turns", "kept", "principal")

    def __init__(self, client: str = "", has_hung_up: Callable[[], bool] = bool, *, keeps_turns: bool = False) -> None:
        self.client = client
        self.keeps_turns = keeps_turns
        self.principal: Principal | None = None
        """Who it is, once the gate has found that; None: nobody that is known, or the service itself."""
        self.kept: KeptTurn | None = None
        """The turn of the last question, where its answer is large and not bytes yet."""
        self.is_gone = False
        """Whether nobody waits any more. It is written on the event loop, and read by the threads of questions too."""
        self.deadline_ns: int | None = None
        """When its questions are stopped, by the monotonic clock; None before the first of them."""
        self._has_hung_up = has_hung_up

    @property
    def scope(self) -> Scope:
        """The labels of the devices that it may see; empty: every device."""
        return () if self.principal is None else self.principal.scope

    def look(self) -> bool:
        """Look at the connection, on the event loop. Returns whether nobody waits any more."""
        self.is_gone = self.is_gone or self._has_hung_up()
        return self.is_gone

    def end_turn(self) -> None:
        """End the turn that is kept, if there is one."""
        kept, self.kept = self.kept, None
        if kept is not None:
            kept.end()


_CURRENT: ContextVar[Asker] = ContextVar("asker")


def set_asker(asker: Asker) -> None:
    """Say for whom the task that runs works from now on."""
    _CURRENT.set(asker)


def identify_asker(principal: Principal | None) -> None:
    """Say who it is for whom the task that runs works."""
    asker = current_asker()
    asker.principal = principal
    set_asker(asker)


def current_asker() -> Asker:
    """For whom the task that runs works; nobody in particular where that was never said."""
    return _CURRENT.get(None) or Asker()
