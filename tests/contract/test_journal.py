"""The journal's promises, on every implementation."""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import MAGIC, decode_entry, encode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import EventBatch
from nats_server import nats_server

__all__ = ["nats_server"]

Reopen = Callable[[], Journal]


@pytest.fixture(params=["memory", "sqlite", "nats"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same journal again and again."""
    kept = MemoryJournal()
    opened: list[Journal] = []
    stream = uuid.uuid4().hex

    def make() -> Journal:
        while opened:
            opened.pop().close()
        if request.param == "nats":
            opened.append(request.getfixturevalue("nats").journal(stream))
        else:
            opened.append(kept if request.param == "memory" else SqliteJournal(tmp_path / "journal.sqlite"))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


def appended(journal: Journal, *, after: int) -> list[tuple[int, bytes]]:
    """What `read` gives, but for the entries without events that a stream has beside those that were appended."""
    return [entry for entry in journal.read(after=after) if not entry[1].startswith(MAGIC)]


def test_entries_of_another_journal_keep_their_positions(reopen: Reopen) -> None:
    journal = reopen()
    journal.accept_loss(through=40)
    for position in (41, 42, 43):
        journal.bring(b"%d" % position, position=position)
    for position in (43, 45):
        with pytest.raises(DamagedData, match="empty"):
            journal.bring(b"again", position=position)
    journal = reopen()
    assert list(journal.read(after=40)) == [(41, b"41"), (42, b"42"), (43, b"43")]
    assert (journal.first_position(), journal.last_position()) == (41, 43)
    following = journal.append(b"next")
    assert following == (44 if not journal.is_shared else journal.last_position())
    assert appended(journal, after=43) == [(following, b"next")]


def test_what_was_appended_is_read_in_order_also_after_reopening(reopen: Reopen) -> None:
    journal = reopen()
    assert (journal.last_position(), journal.first_position()) == (0, 1)
    positions = [journal.append(b"%d" % i) for i in range(5)]
    assert positions == list(range(positions[0], positions[0] + 5))
    assert journal.is_shared or positions[0] == 1
    journal = reopen()
    assert appended(journal, after=positions[1]) == list(zip(positions[2:], (b"2", b"3", b"4"), strict=True))
    assert journal.last_position() == positions[4]
    following = journal.append(b"next")
    assert journal.is_shared or following == 6
    assert appended(journal, after=positions[4]) == [(following, b"next")]


def test_dropping_is_bounded_and_positions_go_on_where_they_were(reopen: Reopen) -> None:
    journal = reopen()
    last = [journal.append(b"%d" % i) for i in range(5)][-1]
    assert journal.drop(through=last, entries_max=last - 2) is True
    assert journal.first_position() == last - 1
    assert journal.drop(through=last, entries_max=3) is False
    assert journal.drop(through=last, entries_max=3) is False
    journal = reopen()
    assert (journal.last_position(), journal.first_position()) == (last, last + 1)
    following = journal.append(b"next")
    assert journal.is_shared or following == last + 1
    assert appended(journal, after=last) == [(following, b"next")]


def test_entries_before_those_that_are_there_cannot_be_read(reopen: Reopen) -> None:
    journal = reopen()
    positions = [journal.append(b"%d" % i) for i in range(3)]
    journal.drop(through=positions[1], entries_max=9)
    if isinstance(journal, MemoryJournal):
        return  # in memory nothing comes from different copies
    with pytest.raises(DamagedData, match=f"holds entries from {positions[2]} on"):
        list(journal.read(after=0))


def test_where_a_loss_is_accepted_the_next_entry_is_behind_it(reopen: Reopen) -> None:
    journal = reopen()
    journal.append(b"before")
    journal.accept_loss(through=1_000)
    assert (journal.first_position(), journal.last_position()) == (1_001, 1_000)
    journal = reopen()
    journal.accept_loss(through=900)
    following = journal.append(b"next")
    assert following == 1_001 or (journal.is_shared and following > 1_000)
    assert appended(journal, after=1_000) == [(following, b"next")]


def test_the_identity_is_recorded_for_good(reopen: Reopen) -> None:
    journal = reopen()
    assert journal.identity() is None
    journal.identify("this")
    journal.identify("that")
    assert reopen().identity() == "this"


def test_a_missing_entry_is_an_error_and_not_a_gap(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j")
    for i in range(3):
        journal.append(b"%d" % i)
    journal.close()
    with sqlite3.connect(tmp_path / "j") as connection:
        connection.execute("DELETE FROM entry WHERE position = 2")
    connection.close()
    journal = SqliteJournal(tmp_path / "j")
    with pytest.raises(DamagedData, match="entry 2 is missing"):
        list(journal.read(after=0))
    journal.close()


def test_every_flipped_byte_of_an_entry_is_noticed() -> None:
    batch = EventBatch(received_at_ns=7)
    batch.heartbeat_devices.append(3)
    batch.heartbeat_sent_at_ns.append(1_000)
    body = encode_entry(batch)
    assert decode_entry(body, where="it").heartbeat_sent_at_ns.tolist() == [1_000]
    for place in range(len(body)):
        damaged = bytearray(body)
        damaged[place] ^= 1
        with pytest.raises(DamagedData, match="it"):
            decode_entry(bytes(damaged), where="it")
    for end in range(len(body)):
        with pytest.raises(DamagedData):
            decode_entry(body[:end], where="it")


def test_a_torn_end_of_the_log_is_no_damage_but_a_flip_in_its_middle_is(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "j")
    for i in range(40):
        journal.append(b"%d" % i * 900)
    log = tmp_path / "j-wal"
    whole, kept = log.read_bytes(), (tmp_path / "j").read_bytes()
    journal.close()

    def entries(body: bytes) -> int:
        copy = tmp_path / "copy"
        copy.write_bytes(kept)
        copy.with_name("copy-wal").write_bytes(body)
        opened = SqliteJournal(copy)
        count = len(list(opened.read(after=0)))
        opened.close()
        return count

    assert entries(whole) == 40
    frames = (len(whole) - 32) // 4120
    for cut in (1, 100, 4000):
        assert entries(whole[:-cut]) == 39
    flipped = bytearray(whole)
    flipped[32 + (frames - 1) * 4120 + 2000] ^= 1
    assert entries(bytes(flipped)) == 39
    for frame in (frames // 3, frames // 2, frames - 6):
        flipped = bytearray(whole)
        flipped[32 + frame * 4120 + 2000] ^= 1
        with pytest.raises(DamagedData, match=f"frame {frame} "):
            entries(bytes(flipped))


def test_a_copy_is_a_journal_with_the_same_entries_and_goes_on_at_the_same_position(
    reopen: Reopen, tmp_path: Path
) -> None:
    journal = reopen()
    last = [journal.append(b"%08d" % i + bytes(16)) for i in range(5)][-1]
    journal.drop(through=last - 3, entries_max=9)
    assert journal.copy_bytes() >= 3 * 24
    (tmp_path / "copy").mkdir()
    journal.copy(tmp_path / "copy" / "journal.sqlite", rest=lambda _: None)
    copied = SqliteJournal(tmp_path / "copy" / "journal.sqlite")
    assert list(copied.read(after=last - 3)) == list(journal.read(after=last - 3))
    assert (copied.first_position(), copied.last_position()) == (last - 2, last)
    assert copied.append(bytes(24)) == last + 1
    copied.close()
