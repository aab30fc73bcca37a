"""Nodes that append to a shared journal and follow it, and what must be true of what they were told."""

import contextlib
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from fleetpulse.journal.entry import MAGIC
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import Position
from fleetpulse.storage_causes import is_final
from nats_server import NatsCluster, until


class FollowingNode:
    """Appends numbered bodies when it is told to, and keeps all that it is given."""

    def __init__(self, journal: Journal, name: str) -> None:
        self.journal, self.name = journal, name
        self.acknowledged: dict[Position, bytes] = {}
        self.unknown: list[bytes] = []
        """Whether these were stored was not known."""
        self.followed: list[tuple[Position, bytes]] = []
        self.missed: list[Position] = []
        self.may_stop = threading.Event()
        self._thread = threading.Thread(target=self._append_all, daemon=True)
        self._count = 0
        journal.follow(after=0, deliver=self._deliver, missed=self.missed.append)

    def _deliver(self, entries: Sequence[tuple[Position, bytes]]) -> None:
        self.followed.extend(entries)

    def append(self) -> Position | None:
        """Append one entry; None where what became of it is not known."""
        self._count += 1
        body = f"{self.name} {self._count}".encode()
        try:
            position = self.journal.append(body)
        except OSError as error:
            assert not is_final(error), error  # noqa: PT017  # it need not raise
            self.unknown.append(body)
            return None
        assert position not in self.acknowledged
        self.acknowledged[position] = body
        return position

    def begin(self) -> None:
        """Append one entry after the other, in a thread."""
        self._thread.start()

    def _append_all(self) -> None:
        while not self.may_stop.is_set():
            self.append()

    def do_between(self, work: Callable[[Journal], object]) -> None:
        """Work with the journal; what NATS does not carry out now is left."""
        with contextlib.suppress(OSError):
            work(self.journal)

    def end(self) -> None:
        """Stop appending."""
        self.may_stop.set()
        self._thread.join()

    def wait_for_more(self, count: int = 20, *, within_s: float = 60) -> None:
        """Wait until so many more entries were acknowledged."""
        wanted = len(self.acknowledged) + count
        until(lambda: len(self.acknowledged) >= wanted, "nothing is acknowledged", within_s=within_s)


def compare(nodes: Sequence[FollowingNode]) -> None:
    """See that what was acknowledged is there once, what was not at most once, and that all followed the same."""
    last = nodes[0].append()
    assert last is not None
    for node in nodes:
        until(lambda node=node: bool(node.followed) and node.followed[-1][0] >= last, f"{node.name} does not follow")
    entries = list(nodes[0].journal.read(after=nodes[0].journal.first_position() - 1))
    there = dict(entries)
    assert [position for position, _ in entries] == list(range(entries[0][0], last + 1))
    for node in nodes:
        assert not node.missed
        assert [position for position, _ in node.followed] == list(range(1, last + 1))
        assert node.followed[-len(entries) :] == entries
        assert {position: there[position] for position in node.acknowledged if position in there} == {
            position: body for position, body in node.acknowledged.items() if position in there
        }
        assert {position: body for position, body in node.followed if position in node.acknowledged} == (
            node.acknowledged
        )
    counted = Counter(body for _, body in nodes[0].followed if not body.startswith(MAGIC))
    assert set(counted.values()) == {1}


def close(nodes: Sequence[FollowingNode]) -> None:
    """End all nodes, whatever state they are in."""
    for node in nodes:
        node.may_stop.set()
        with contextlib.suppress(OSError):
            node.journal.close()


Joins = Callable[..., FollowingNode]


@pytest.fixture(name="stream")
def named_stream() -> str:
    """A name that no other test has."""
    return uuid.uuid4().hex


@pytest.fixture(name="join")
def joined(nats3: NatsCluster, stream: str) -> Iterator[Joins]:
    """Starts one more node."""
    nodes: list[FollowingNode] = []

    def make(**settings: Any) -> FollowingNode:
        nodes.append(FollowingNode(nats3.journal(stream, **settings), f"node{len(nodes)}"))
        return nodes[-1]

    yield make
    for number, server in enumerate(nats3.servers):
        server.resume()
        nats3.join(number)
    close(nodes)
