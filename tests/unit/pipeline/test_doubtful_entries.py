"""What was stored without an answer moves from the unknown events to the accepted ones when it comes back."""

import asyncio
from array import array
from pathlib import Path

import pytest

from fleetpulse.errors import OutcomeUnknown
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.pipeline.doubtful_entries import KEPT_MAX, DoubtfulEntries
from fleetpulse.telemetry.counters import Counters
from memory_service import beat
from shared_service import SharedWorld, all_reached, tail_of


def batch(at_ns: int, *devices: int) -> EventBatch:
    sent_at_ns = array("q", [5] * len(devices))
    return EventBatch(array("I", devices), sent_at_ns, received_at_ns=at_ns, is_shared=True)


@pytest.mark.parametrize("comes_first", [False, True])
def test_events_that_were_stored_without_an_answer_are_accepted_in_the_end(tmp_path: Path, comes_first: bool) -> None:
    async def run() -> None:
        world = SharedWorld(tmp_path, is_pumped=True)
        node = await world.started()
        await node.registry.register_many([Device("press-07")])
        await beat(node, "press-07")
        node.journal.lost_answer = TimeoutError("no answer")
        with pytest.raises(OutcomeUnknown):
            await beat(node, "press-07")
        counters = node.counters
        assert (counters.events_accepted, counters.events_unknown) == (1, 1)
        if comes_first:
            await all_reached(node)
        assert node.writer.trouble is not None
        node.writer._try_again()
        await node.writer.drain()
        await all_reached(node)
        assert (counters.events_accepted, counters.events_unknown) == (2, 0)
        assert tail_of(node).own_pending == 0
        assert counters.events_applied == counters.events_accepted == counters.events_followed
        await node.node.stop()

    asyncio.run(run())


def test_an_entry_that_comes_back_in_pieces_before_its_append_has_failed_counts_whole() -> None:
    counters = Counters()
    doubts = DoubtfulEntries(counters)
    whole = batch(7, 1, 2, 3)
    doubts.begin(whole)
    for piece in EventColumns.of(whole).cut(2):
        doubts.came(piece)
    doubts.came(EventColumns.of(batch(7, 4)))  # of another node, at the same nanosecond
    counters.events_unknown += 3
    doubts.fail(whole)
    assert (counters.events_unknown, counters.events_accepted, counters.events_applied) == (0, 3, 3)


def test_what_was_acknowledged_or_never_stored_counts_as_before() -> None:
    counters = Counters()
    doubts = DoubtfulEntries(counters)
    doubts.begin(batch(1, 1))
    doubts.begin(batch(2))
    doubts.came(EventColumns.of(batch(1, 1)))
    for at_ns in range(3, 3 + 2 * KEPT_MAX):
        failed = batch(at_ns, 1)
        doubts.begin(failed)
        doubts.fail(failed)
    assert (counters.events_unknown, counters.events_accepted) == (0, 0)
    assert len(doubts._doubts) == KEPT_MAX
