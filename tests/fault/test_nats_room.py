"""A stream that becomes full on real NATS: the journal says so in time, and is emptied with the room that is left."""

from pathlib import Path

import pytest

from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.jetstream import JetStreamJournal
from fleetpulse.model.events import EventBatch
from fleetpulse.pipeline.journal_room import EASED_SHARE, FULL_SHARE, URGE_SHARE
from nats_server import NatsCluster, until

ROOM_MB = 8
EVENTS = 20_000


def entry(events: int) -> bytes:
    batch = EventBatch(received_at_ns=1_728_043_200_000_000_000, is_shared=True)
    for device in range(events):
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(batch.received_at_ns)
    return encode_entry(batch)


def append(journal: JetStreamJournal, body: bytes, count: int) -> None:
    for _ in range(count):
        journal.append(body)


def test_a_stream_says_how_full_it_is_and_a_purge_makes_room(tmp_path: Path) -> None:
    large, small = entry(EVENTS), entry(0)
    count = int(ROOM_MB * 2**20 * (FULL_SHARE + 0.02) / len(large))
    assert count >= 10, "steps are small beside the room"
    cluster = NatsCluster(tmp_path / "nats", count=1)
    cluster.servers[0].room = f"{ROOM_MB}MB"
    with cluster:
        journal = cluster.journal()
        try:
            append(journal, large, count)
            until(lambda: journal.filled >= FULL_SHARE, f"it counts as full to {journal.filled}")
            cut = journal.append(small)  # with which a checkpoint begins
            journal.drop(through=cut, entries_max=10**9)
            until(lambda: journal.filled < EASED_SHARE, f"it counts as full to {journal.filled}")
            assert journal.filled < URGE_SHARE
            # The control: without the room that is kept, nothing can be appended that would empty the stream. What is
            # said of it is what NATS answered, or that it did not, where the last try comes as the time is over.
            with pytest.raises(OSError):  # noqa: PT011
                append(journal, large, 2 * count)
            with pytest.raises(OSError):  # noqa: PT011
                append(journal, small, len(large) // len(small))
            until(lambda: journal.filled > FULL_SHARE, f"it counts as full to {journal.filled}")
        finally:
            journal.close()
