import pytest

from fleetpulse.journal.memory import MemoryJournal, MemoryStream


def test_positions_go_on_where_they_were_after_entries_are_dropped() -> None:
    journal = MemoryJournal()
    assert (journal.last_position(), journal.first_position()) == (0, 1)
    assert [journal.append(b"%d" % number) for number in range(5)] == [1, 2, 3, 4, 5]
    assert journal.drop(through=4, entries_max=3)
    assert not journal.drop(through=4, entries_max=3)
    assert (journal.first_position(), list(journal.read(after=0))) == (5, [(5, b"4")])
    assert not journal.drop(through=5, entries_max=3)
    assert (journal.first_position(), journal.append(b"next")) == (6, 6)


def test_entries_outlive_the_close_of_the_journal() -> None:
    journal = MemoryJournal()
    journal.append(b"entry")
    journal.close()
    assert list(journal.read(after=0)) == [(1, b"entry")]


def test_journals_of_one_stream_share_its_entries_and_deliver_them_when_they_are_pumped() -> None:
    stream = MemoryStream()
    one, other = (MemoryJournal(stream, is_pumped=True) for _ in range(2))
    given: list[list[tuple[int, bytes]]] = []
    end = other.follow(after=0, deliver=lambda entries: given.append(list(entries)), missed=lambda _: None)
    for body in (b"a", b"b", b"c"):
        one.append(body)
    assert (given, one.pump()) == ([], False)
    assert other.pump(entries_max=2)
    assert other.pump()
    assert not other.pump()
    assert given == [[(1, b"a"), (2, b"b")], [(3, b"c")]]
    end()
    one.append(b"d")
    assert not other.pump()
    assert (one.is_shared, MemoryJournal().is_shared) == (True, False)


def test_a_follower_that_is_behind_the_oldest_entry_is_told_once() -> None:
    journal = MemoryJournal(MemoryStream(), is_pumped=True)
    for body in (b"a", b"b", b"c"):
        journal.append(body)
    journal.drop(through=2, entries_max=9)
    missed: list[int] = []
    journal.follow(after=1, deliver=lambda entries: pytest.fail(str(entries)), missed=missed.append)
    assert journal.pump()
    assert not journal.pump()
    assert missed == [3]


def test_a_stream_that_is_away_stores_nothing_and_one_whose_answer_is_lost_stores_all_the_same() -> None:
    journal = MemoryJournal(MemoryStream())
    journal.trouble = OSError("away")
    with pytest.raises(OSError, match="away"):
        journal.append(b"a")
    assert journal.last_position() == 0
    journal.trouble, journal.lost_answer = None, OSError("no answer")
    with pytest.raises(OSError, match="no answer"):
        journal.append(b"b")
    assert (journal.append(b"c"), list(journal.read(after=0))) == (2, [(1, b"b"), (2, b"c")])
