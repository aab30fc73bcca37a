"""Reading the journal back: entries become event columns, whose numbers are checked against the catalog."""

from collections.abc import Iterator

from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import EventColumns, Position
from fleetpulse.model.forgotten import FIELDS

_RESTORE = "Journal and catalog come from different copies: restore the whole data folder from one copy."


def read_events(
    journal: Journal, *, after: Position, device_count: int, metric_count: int
) -> Iterator[tuple[Position, EventColumns]]:
    """(position, events) of every entry behind position `after`, in order.

    Args: `device_count`, `metric_count`: how many numbers the catalog has given.
    Raises: DamagedData: an entry is damaged or missing, or has a number that the catalog has not given; or the journal
        ends before `after`.
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
            ("device", events.forgotten[::FIELDS], device_count),
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
