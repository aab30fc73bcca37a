"""Gaps between beats are those of the set of beats, wherever they are: in memory, being written, or in files."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from beat_sets import BEATS, DEVICES, MINUTE, NOON, Beat, batch_of, gaps_of, new_fleet
from examples import examples
from fleetpulse.aggregate.beat_gaps import divide, join_backfill
from fleetpulse.blocks.compaction.change import apply_change
from fleetpulse.blocks.compaction.next_change import next_change
from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans, sort_device_spans
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.forgotten import NO_MINUTE, BeforeCut, Order
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.pipeline.checkpoint import WrittenCheckpoint, write_files
from fleetpulse.pipeline.recover import load_snapshot

METRICS = {0: MetricDefinition(name="upload_time", kind="integer"), 1: MetricDefinition(name="load", kind="integer")}


@dataclass
class Node:
    """A live fleet with files and a journal, without a catalog."""

    fleet: Fleet = field(default_factory=new_fleet)
    history: History = field(default_factory=lambda: History(MemoryBlockStore(), Manifest()))
    journal: list[EventColumns] = field(default_factory=list)
    position: int = 0
    writing: WrittenCheckpoint | None = None

    def apply(self, beats: list[Beat]) -> None:
        self.journal.append(batch_of(beats))
        self.position += 1
        self.fleet.apply(self.journal[-1:])

    def write(self) -> None:
        """Write the files of a checkpoint, which the catalog does not know yet."""
        frozen = self.fleet.freeze().complete()
        self.writing = write_files(
            frozen,
            position=self.position,
            taken_at_ns=NOON,
            history=self.history,
            metrics=METRICS,
            names={},
            pause=lambda: None,
        )

    def commit(self) -> None:
        if self.writing is not None:
            self.fleet.finish_closing(self.writing.closed_minutes, self.writing.new_uploads)
            self.history.manifest, self.writing = self.writing.manifest, None

    def forget(self, device: int, minute: int, first_minute: int) -> None:
        """Apply an order; the files follow with the next checkpoint."""
        batch = EventBatch(received_at_ns=NOON)
        order = Order(device, NOON + minute * MINUTE, 0, 0, BeforeCut(first_minute=first_minute))
        batch.forgotten.extend(order.values())
        self.journal.append(EventColumns.of(batch))
        self.position += 1
        self.fleet.apply(self.journal[-1:])

    def crash(self) -> None:
        self.fleet, self.writing = new_fleet(), None
        load_snapshot(self.fleet, self.history)
        left = self.journal[self.history.manifest.position :]
        if left:
            self.fleet.apply(left)

    def compact(self) -> None:
        while self.writing is None and (
            change := next_change(
                self.history, self.history.manifest, metrics=METRICS, today=None, pause=lambda: None, is_forced=True
            )
        ):
            self.history.manifest = apply_change(self.history.manifest, change)
            if change.late is not None:
                self.fleet.add_closed_minutes(*change.late.new_minutes)

    def found(self, devices: range) -> set[tuple[int, int, int]]:
        """(device, start, end) of the gaps of devices, in minutes after noon."""
        live = self.fleet.view(devices, from_day=0)
        is_kept = self.fleet.device_policies.is_kept
        late = join_backfill(join_device_spans(live.backfill), is_kept)
        ended = divide(sort_device_spans(join_device_spans(live.beat_gaps)), late)
        stored = read_beat_gaps(
            self.history, self.history.manifest, start_day=0, end_day=2**31, devices=devices, backfill=late
        )
        gaps = join_device_spans([*stored, ended])
        gaps = gaps.where(is_kept(gaps.devices, gaps.start_ns, gaps.end_ns))
        found = [row for row in rows_of(gaps) if row[0] in devices]
        assert len(found) == len(set(found))
        return set(found)


def rows_of(gaps: DeviceSpans) -> list[tuple[int, int, int]]:
    rows = zip(gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True)
    return [(device, (start - NOON) // MINUTE, (end - NOON) // MINUTE) for device, start, end in rows]


@settings(max_examples=examples(90), deadline=None)
@given(
    st.lists(
        BEATS.filter(bool)
        | st.sampled_from(["checkpoint", "write", "commit", "crash", "compact"])
        | st.tuples(st.integers(0, DEVICES - 1), st.integers(-40, 40), BEATS),
        max_size=12,
    ),
    st.sampled_from([1, 120]),
)
def test_gaps_in_memory_and_in_files_are_those_of_the_set_of_beats(steps: list, scale: int) -> None:  # type: ignore[type-arg]  # as drawn above
    node, beats = Node(), set[Beat]()
    for step in steps:
        match step:
            case "checkpoint":
                node.write()
                node.commit()
            case "write" | "commit" | "crash" | "compact":
                getattr(node, step)()
            case tuple():
                device, minute, again = step
                # What is forgotten here is in files until the next checkpoint, which is due at once.
                node.commit()
                beats = {beat for beat in beats if beat[0] != device or beat[1] >= minute * scale}
                left = [NOON // MINUTE + one for number, one in beats if number == device]
                node.forget(device, minute * scale, min(left, default=NO_MINUTE))
                node.apply([(number, one * scale) for number, one in again])
                beats |= {(number, one * scale) for number, one in again}
                node.write()
                node.commit()
            case _:
                scaled = [(device, minute * scale) for device, minute in step]  # of some hours, or of days
                node.apply(scaled)
                beats |= set(scaled)
        expected = gaps_of(beats)
        assert node.found(range(DEVICES)) == expected
        assert node.found(range(1, 2)) == {row for row in expected if row[0] == 1}
