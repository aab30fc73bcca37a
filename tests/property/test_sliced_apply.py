"""A batch that is applied in pieces, with anything in between, leaves the fleet that it leaves as a whole."""

from array import array
from itertools import accumulate

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy

MINUTE = 60_000_000_000
DAY = 1440 * MINUTE
NOW = 20_000 * DAY + 600 * MINUTE
DEVICES = 4
SENT = st.tuples(st.integers(0, DEVICES - 1), st.integers(-6 * 1440, 2 * 1440))
BATCHES = st.lists(
    st.tuples(
        st.integers(0, 600),  # minutes since the batch before
        st.lists(SENT, max_size=12),
        st.lists(st.tuples(SENT, st.integers(0, 2), st.integers(0, 9)), max_size=12),
        st.sampled_from(["", "blind", "leap", "correction"]),
    ),
    min_size=1,
    max_size=5,
)


def batch_of(
    at_ns: int, beats: list[tuple[int, int]], samples: list[tuple[tuple[int, int], int, int]], extra: str
) -> EventBatch:
    batch = EventBatch(received_at_ns=at_ns)
    for device, minute in beats:
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(NOW + minute * MINUTE)
    for (device, minute), metric, value in samples:
        batch.sample_devices.append(device)
        batch.sample_sent_at_ns.append(NOW + minute * MINUTE)
        batch.sample_metrics.append(metric)
        batch.sample_values.append(value)
    if extra:
        setattr(batch, f"{extra}_ns", array("q", (at_ns - 30 * MINUTE, at_ns)))
    return batch


def applied(batches: list[EventColumns], *, in_one_go: bool) -> Fleet:
    fleet = Fleet(policy=HeartbeatPolicy(60, 240))
    fleet.resize(DEVICES)
    fleet.advance(NOW)
    if in_one_go:
        fleet.apply(batches)
    else:
        for number, batch in enumerate(batches):
            fleet.apply([batch])
            if number == len(batches) // 2:
                fleet.advance(NOW + DAY)
                fleet.sparse.settle_into(fleet.dense)
    fleet.advance(NOW + DAY)
    while fleet.sparse.settle_into(fleet.dense):
        pass
    return fleet


@given(BATCHES, st.integers(1, 30))
def test_pieces_leave_the_same_fleet_as_the_whole(batches: list, events_max: int) -> None:  # type: ignore[type-arg]  # as drawn above
    times = accumulate(minutes * MINUTE for minutes, *_ in batches)
    whole = [
        EventColumns.of(batch_of(NOW + after, beats, samples, extra))
        for after, (_, beats, samples, extra) in zip(times, batches, strict=True)
    ]
    one = applied(whole, in_one_go=True)
    other = applied([piece for batch in whole for piece in batch.cut(events_max)], in_one_go=False)
    for name, column in one.columns().items():
        if name not in ("uploads", "other_samples", "upload_high", "upload_low", "gap_until_ns"):
            assert column.tolist() == other.columns()[name].tolist(), name
    assert (one.uploads + one.other_samples).tolist() == (other.uploads + other.other_samples).tolist()
    for day in {*one.dense, *other.dense, *one.sparse.days, *other.sparse.days}:
        for device in range(DEVICES):
            rows = [
                np.bitwise_or.reduce(
                    list(fleet._rows_of(device).get(day, np.zeros((1, 23), np.uint64)).reshape(-1, 23))
                )
                for fleet in (one, other)
            ]
            assert rows[0].tolist() == rows[1].tolist()
    ended = [
        sorted(
            row
            for piece in fleet.gaps
            for row in zip(piece.devices.tolist(), piece.start_ns.tolist(), piece.end_ns.tolist(), strict=True)
        )
        for fleet in (one, other)
    ]
    assert ended[0] == ended[1]
    assert (one.alive_at_ns, one.blind_ns, one.leaps, one.corrections) == (
        other.alive_at_ns,
        other.blind_ns,
        other.leaps,
        other.corrections,
    )
    kept = [
        sorted(
            row
            for piece in [*fleet.samples.certain.pieces(), *fleet.samples.doubtful.pieces()]
            for row in zip(
                piece.devices.tolist(), piece.metrics.tolist(), piece.at_ns.tolist(), piece.values.tolist(), strict=True
            )
        )
        for fleet in (one, other)
    ]
    assert kept[0] == kept[1]
