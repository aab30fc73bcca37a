"""The clients that tests have opened, so that each test ends with all of them closed, also one that fails."""

import weakref
from typing import Protocol


class Closable(Protocol):
    """What can be closed, more than once, and connects anew when it is used again."""

    def close(self) -> None:
        """Close it."""
        ...


_clients: "weakref.WeakSet[Closable]" = weakref.WeakSet()


def note(client: Closable) -> None:
    """Remember a client, for as long as anybody else does."""
    _clients.add(client)


def close_all() -> None:
    """Close all clients there are."""
    for client in list(_clients):
        client.close()
