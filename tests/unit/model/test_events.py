from dataclasses import fields

import numpy as np

from fleetpulse.model.events import EventBatch, EventColumns


def filled(first: int) -> EventBatch:
    batch = EventBatch(received_at_ns=first)
    batch.heartbeat_devices.append(first)
    batch.heartbeat_sent_at_ns.append(-first)
    for offset in range(2):
        batch.sample_devices.append(first + offset)
        batch.sample_sent_at_ns.append(first)
        batch.sample_values.append(-(2**63) + offset)
        batch.sample_metrics.append(65_535)
    return batch


def test_a_batch_counts_heartbeats_and_samples() -> None:
    assert len(EventBatch()) == 0
    assert len(filled(1)) == len(EventColumns.of(filled(1))) == 3


def test_a_batch_takes_all_events_of_another_behind_its_own() -> None:
    batch = filled(1)
    batch.extend(filled(7))
    assert batch.heartbeat_devices.tolist() == [1, 7]
    assert batch.sample_devices.tolist() == [1, 2, 7, 8]
    assert len(batch.sample_values) == len(batch.sample_metrics) == len(batch.sample_sent_at_ns) == 4


def test_columns_hold_the_values_of_the_batch_without_a_copy() -> None:
    batch = filled(3)
    columns = EventColumns.of(batch)
    for field in fields(EventBatch):
        column, values = getattr(columns, field.name), getattr(batch, field.name)
        assert (column if isinstance(column, int) else column.tolist()) == (
            values if isinstance(values, int) else values.tolist()
        )
    batch.heartbeat_devices[0] = 9
    assert (columns.heartbeat_devices.tolist(), columns.do_reports_mark) == ([9], True)


def test_pieces_of_a_batch_are_the_whole_in_its_order() -> None:
    batch = EventBatch()
    batch.heartbeat_devices.extend(range(5))
    batch.heartbeat_sent_at_ns.extend(range(10, 15))
    batch.sample_devices.extend(range(4))
    batch.sample_sent_at_ns.extend(range(20, 24))
    batch.sample_values.extend(range(30, 34))
    batch.sample_metrics.extend(range(40, 44))
    batch.blind_ns.extend((1, 2))
    batch.leap_ns.extend((3, 4))
    batch.correction_ns.extend((5, 6))
    batch.forgotten.extend(range(8))
    batch.received_at_ns = 7
    whole = EventColumns.of(batch)
    assert whole.cut(9) == [whole]
    pieces = whole.cut(2)
    assert [len(piece) for piece in pieces] == [2, 2, 2, 2, 1]
    for name in EventColumns.__slots__:
        if name in ("received_at_ns", "do_reports_mark", "is_shared"):
            assert {getattr(piece, name) for piece in pieces} == {getattr(whole, name)}
        else:
            joined = np.concatenate([getattr(piece, name) for piece in pieces])
            assert joined.tolist() == getattr(whole, name).tolist()
    assert len(pieces[0].blind_ns) == len(pieces[0].correction_ns) == 2
    assert len(pieces[-1].forgotten) == 8
