"""Reading the journal back: entries become event columns, and are checked against what the catalog knows."""

from collections.abc import Iterator

from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import EventColumns, Position

_RESTORE = "Journal and catalog are of different times: restore the whole data folder from one copy."


def read_events(
    journal: Journal, *, after: Position, device_count: int, metric_count: int
) -> Iterator[tuple[Position, EventColumns]]:
    """The events of every entry after `after`, in order, each with the entry's position.

    Raises: DamagedData: an entry is damaged or missing; it speaks of a device or metric number that the catalog, which
    knows so many of each, has not given; or the journal ends before `after`.
    """
    last = journal.last_position()
    if last < after:
        raise DamagedData(f"the journal ends at entry {last}, before the snapshot's {after}. {_RESTORE}")
    position = after
    for position, body in journal.read(after=after):
        events = decode_entry(body, where=f"journal entry {position}")
        for noun, numbers, count in (
            ("device", events.heartbeat_devices, device_count),
            ("device", events.sample_devices, device_count),
            ("metric", events.sample_metrics, metric_count),
        ):
            if len(numbers) and int(numbers.max()) >= count:
                number = int(numbers.max())
                raise DamagedData(
                    f"journal entry {position} speaks of {noun} number {number}, "
                    f"but the catalog knows {count}. {_RESTORE}"
                )
        yield position, events
    if position != last:
        raise DamagedData(f"the journal says it ends at entry {last}, but the last one found is {position}.")
