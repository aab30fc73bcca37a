from fleetpulse.journal.memory import MemoryJournal


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
