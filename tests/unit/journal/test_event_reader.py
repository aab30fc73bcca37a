"""Entries are read back in order, and only if all of them are there and speak of what the catalog knows."""

from array import array
from collections.abc import Iterator

import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.event_reader import read_events
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.events import EventBatch, Position


def journal_of(*devices: int) -> MemoryJournal:
    """An entry with one heartbeat of each of these devices."""
    journal = MemoryJournal()
    for device in devices:
        journal.append(encode_entry(EventBatch(array("I", [device]), array("q", [0]))))
    return journal


def devices_of(journal: MemoryJournal, *, after: Position = 0, device_count: int = 10) -> list[tuple[int, list[int]]]:
    entries = read_events(journal, after=after, device_count=device_count, metric_count=1)
    return [(position, events.heartbeat_devices.tolist()) for position, events in entries]


def test_entries_after_a_position_come_in_order() -> None:
    assert devices_of(journal_of(5, 3, 4), after=1) == [(2, [3]), (3, [4])]
    assert devices_of(journal_of(5), after=1) == []


def test_a_number_that_the_catalog_has_not_given_is_refused() -> None:
    with pytest.raises(DamagedData, match="entry 2 speaks of device number 10, but the catalog knows 10"):
        devices_of(journal_of(9, 10))


def test_a_damaged_entry_is_refused_by_its_position() -> None:
    journal = journal_of(1)
    journal.append(b"no entry")
    with pytest.raises(DamagedData, match="journal entry 2"):
        devices_of(journal)


def test_a_journal_that_ends_too_early_is_refused() -> None:
    with pytest.raises(DamagedData, match="before the snapshot's 2"):
        devices_of(journal_of(1), after=2)

    class Short(MemoryJournal):
        """A journal whose last entry is gone."""

        def read(self, *, after: Position) -> Iterator[tuple[Position, bytes]]:
            return iter(list(super().read(after=after))[:-1])

    journal = Short()
    for _ in range(2):
        journal.append(encode_entry(EventBatch(array("I", [1]), array("q", [0]))))
    with pytest.raises(DamagedData, match="the last one found is 1"):
        devices_of(journal)
