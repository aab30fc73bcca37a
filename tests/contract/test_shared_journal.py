"""What a journal promises that several nodes share, on every implementation."""

import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fleetpulse.journal.jetstream import COPY_TRIES
from fleetpulse.journal.journal import Journal
from fleetpulse.journal.memory import MemoryJournal, MemoryStream
from fleetpulse.journal.nats_pages import PAGE_ENTRIES
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import Position
from fleetpulse.storage_causes import Away
from nats_server import nats_cluster, nats_server

__all__ = ["nats_cluster", "nats_server"]

Join = Callable[[], Journal]
WAIT_S = 20.0


@pytest.fixture(params=["memory", "nats", "nats3"])
def join(request: pytest.FixtureRequest) -> Iterator[Join]:
    """Opens the journal of one more node."""
    stream, name = MemoryStream(), uuid.uuid4().hex
    opened: list[Journal] = []

    def make() -> Journal:
        is_memory = request.param == "memory"
        opened.append(MemoryJournal(stream) if is_memory else request.getfixturevalue(request.param).journal(name))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


class Follower:
    """Keeps what it is given, until a test asks for it."""

    def __init__(self, journal: Journal, *, after: Position = 0, may_go_on: bool = True) -> None:
        self.calls: queue.SimpleQueue[Sequence[tuple[Position, bytes]] | Position] = queue.SimpleQueue()
        self.entries: list[tuple[Position, bytes]] = []
        self.may_go_on = threading.Event()
        if may_go_on:
            self.may_go_on.set()
        self.threads: set[str] = set()
        self.end = journal.follow(after=after, deliver=self._deliver, missed=self.calls.put)

    def _deliver(self, entries: Sequence[tuple[Position, bytes]]) -> None:
        self.threads.add(threading.current_thread().name)
        self.calls.put(entries)
        assert self.may_go_on.wait(WAIT_S)

    def through(self, position: Position) -> list[tuple[Position, bytes]]:
        """All entries that were delivered, once that of `position` was."""
        while not self.entries or self.entries[-1][0] < position:
            call = self.calls.get(timeout=WAIT_S)
            assert not isinstance(call, int)
            assert call
            self.entries += call
        return self.entries


def test_entries_of_all_nodes_have_one_order_which_each_of_them_is_given(join: Join) -> None:
    one, other = join(), join()
    assert one.is_shared
    followers = [Follower(journal) for journal in (one, other)]
    stored = {}
    for number in range(20):
        body = b"%d" % number
        stored[(one if number % 3 else other).append(body)] = body
    for follower in followers:
        entries = follower.through(max(stored))
        positions = [position for position, _ in entries]
        assert positions == list(range(1, max(stored) + 1))
        assert {position: body for position, body in entries if position in stored} == stored
        assert threading.current_thread().name not in follower.threads
    assert list(one.read(after=0)) == list(other.read(after=0)) == followers[0].entries
    assert one.last_position() == other.last_position() == max(stored)


def test_a_node_that_follows_from_a_position_is_given_what_is_behind_it(join: Join) -> None:
    journal = join()
    positions = [journal.append(b"%d" % number) for number in range(9)]
    follower = Follower(journal, after=positions[4])
    assert follower.through(positions[-1])[0] == (positions[4] + 1, dict(journal.read(after=0))[positions[4] + 1])
    last = journal.append(b"later")
    assert follower.through(last)[-1] == (last, b"later")


def test_a_node_that_is_behind_the_oldest_entry_learns_it_and_is_given_nothing(join: Join) -> None:
    journal, other = join(), join()
    positions = [journal.append(b"%d" % number) for number in range(9)]
    assert other.drop(through=positions[4], entries_max=1_000) is False
    behind, just_there = Follower(journal, after=positions[3]), Follower(other, after=positions[4])
    assert behind.calls.get(timeout=WAIT_S) == positions[5]
    last = journal.append(b"later")
    assert just_there.through(last)[0] == (positions[5], b"5")
    assert behind.calls.empty()


def test_dropping_all_leaves_a_journal_that_goes_on(join: Join) -> None:
    journal, other = join(), join()
    follower = Follower(other)
    last = journal.append(b"first")
    follower.through(last)
    while journal.drop(through=last, entries_max=1):
        pass
    assert (journal.first_position(), other.first_position(), other.last_position()) == (last + 1, last + 1, last)
    for node in (journal, other, journal):
        following = node.append(b"next")
        assert following > last
        last = following
    assert follower.through(last)[-1] == (last, b"next")


def test_a_delivery_that_blocks_is_the_only_one(join: Join) -> None:
    journal = join()
    first = journal.append(b"first")
    follower = Follower(journal, after=first - 1, may_go_on=False)
    follower.through(first)
    last = [journal.append(b"%d" % number) for number in range(5)][-1]
    assert follower.calls.empty()
    follower.may_go_on.set()
    assert follower.through(last)[-1] == (last, b"4")


def test_who_has_ended_following_is_given_nothing_and_may_follow_anew(join: Join) -> None:
    journal = join()
    follower = Follower(journal)
    first = journal.append(b"first")
    follower.through(first)
    follower.end()
    last = journal.append(b"last")
    again = Follower(journal, after=first)
    assert again.through(last)[-1] == (last, b"last")
    assert follower.calls.empty()


def test_the_identity_is_that_of_all_nodes_and_the_first_one_stays(join: Join) -> None:
    one, other = join(), join()
    assert one.identity() is None
    one.identify("this")
    other.identify("that")
    assert one.identity() == other.identity() == join().identity() == "this"


@pytest.mark.parametrize("is_cut_on", [False, True])
def test_a_copy_of_a_stream_that_is_cut_meanwhile_begins_anew(
    tmp_path: Path, request: pytest.FixtureRequest, is_cut_on: bool
) -> None:
    name, nats, cuts = uuid.uuid4().hex, request.getfixturevalue("nats"), 0
    journal, holder = nats.journal(name), nats.journal(name)
    for i in range(6 * PAGE_ENTRIES):
        last = journal.append(b"%08d" % i + bytes(16))

    def rest(_: float) -> None:
        nonlocal cuts
        if is_cut_on or not cuts:
            cuts += 1
            # Beyond the next page, so that the next page asked for is gone.
            holder.drop(through=holder.first_position() + 2 * PAGE_ENTRIES - 1, entries_max=10**6)
            for _ in range(2 * PAGE_ENTRIES if is_cut_on else 0):
                holder.append(bytes(24))

    try:
        if is_cut_on:
            with pytest.raises(Away, match=f"cut by checkpoints {COPY_TRIES} times"):
                journal.copy(tmp_path / "journal.sqlite", rest=rest)
            return
        journal.copy(tmp_path / "journal.sqlite", rest=rest)
        copied = SqliteJournal(tmp_path / "journal.sqlite")
        first = journal.first_position()
        assert (copied.first_position(), copied.last_position()) == (first, last)
        assert list(copied.read(after=first - 1)) == list(journal.read(after=first - 1))
        copied.close()
    finally:
        journal.close()
        holder.close()
