"""Whose question is next: turns by client and not by arrival, with limits of running and of waiting questions.

    client A   q1 q2 q3 q4          order of the turns   A:q1  B:q1  C:q1  A:q2  C:q2  A:q3  A:q4
    client B   q1
    client C   q1 q2

A client that asks a hundred questions at once delays everybody else by one of them in each round. Where too many wait,
the newest question of the client with the most of them gives way, so that nobody can fill the queue alone.
"""

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """A question that waits for its turn."""

    @property
    def client(self) -> str:
        """Who takes turns as one."""
        ...


_Waiting = TypeVar("_Waiting", bound=Waiting)


class Turns(Generic[_Waiting]):
    """The questions that wait in one lane."""

    def __init__(self) -> None:
        self._of_client: OrderedDict[str, OrderedDict[_Waiting, None]] = OrderedDict()
        """The client whose turn is next comes first, and each client's questions are in the order of their arrival."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, question: _Waiting) -> None:
        """Let a question wait behind those of its client; a client that is new here is the last of the round."""
        self._of_client.setdefault(question.client, OrderedDict())[question] = None
        self._count += 1

    def next(self) -> _Waiting:
        """Take the question whose turn it is; its client goes to the end of the round. There must be one."""
        client, questions = self._of_client.popitem(last=False)
        question, _ = questions.popitem(last=False)
        if questions:
            self._of_client[client] = questions
        self._count -= 1
        return question

    def discard(self, question: _Waiting) -> None:
        """Take a question out that waits no longer, if it is still there."""
        questions = self._of_client.get(question.client)
        if questions is None or question not in questions:
            return
        del questions[question]
        if not questions:
            del self._of_client[question.client]
        self._count -= 1

    def yielding_to(self, client: str) -> _Waiting | None:
        """The question that gives way to a further one of `client`; None where nobody has more waiting than it would.

        It is the newest of the client with the most waiting, since it has waited least.
        """
        greediest = max(self._of_client.values(), key=len, default=None)
        own = len(self._of_client.get(client, ()))
        if greediest is None or len(greediest) <= own + 1:
            return None
        return next(reversed(greediest))
