import struct
import zlib
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.errors import DamagedData
from fleetpulse.journal.entry import decode_entry, encode_entry, split_entry
from fleetpulse.model.events import EventBatch, EventColumns

U32, I64, U16 = st.integers(0, 2**32 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**16 - 1)


def batch_of(
    heartbeats: list[tuple[int, int]],
    samples: list[tuple[int, int, int, int]],
    blind: list[tuple[int, int]],
    at_ns: int,
) -> EventBatch:
    batch = EventBatch(received_at_ns=at_ns)
    for device, sent_at_ns in heartbeats:
        batch.heartbeat_devices.append(device)
        batch.heartbeat_sent_at_ns.append(sent_at_ns)
    for device, sent_at_ns, value, metric in samples:
        batch.sample_devices.append(device)
        batch.sample_sent_at_ns.append(sent_at_ns)
        batch.sample_values.append(value)
        batch.sample_metrics.append(metric)
    for span in blind:
        batch.blind_ns.extend(span)
    return batch


def sealed(body: bytes) -> bytes:
    """An entry with the checksum of its content, right whatever the content."""
    return body[:-4] + struct.pack("<I", zlib.crc32(body[:-4]))


@given(
    st.lists(st.tuples(U32, I64), max_size=5),
    st.lists(st.tuples(U32, I64, I64, U16), max_size=5),
    st.lists(st.tuples(I64, I64), max_size=2),
    I64,
)
def test_an_entry_holds_every_value_of_its_batch(
    heartbeats: list[tuple[int, int]],
    samples: list[tuple[int, int, int, int]],
    blind: list[tuple[int, int]],
    at_ns: int,
) -> None:
    batch = batch_of(heartbeats, samples, blind, at_ns)
    columns, expected = decode_entry(encode_entry(batch), where="entry 1"), EventColumns.of(batch)
    for field in fields(EventColumns):
        column, original = getattr(columns, field.name), getattr(expected, field.name)
        assert np.array_equal(column, original)
        assert isinstance(column, int) or column.dtype == original.dtype


def test_the_bytes_of_an_entry_are_those_that_are_drawn() -> None:
    body = encode_entry(batch_of([(3, 1_000)], [], [], 7))
    assert body[:16] == b"FPJE" + struct.pack("<HHq", 2, 2, 7)
    assert body[16:32] == struct.pack("<HHIHHI", 0, 4, 1, 1, 8, 1)
    assert body[32:44] == struct.pack("<Iq", 3, 1_000)
    assert body[44:] == struct.pack("<I", zlib.crc32(body[:44]))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda body: b"X" + body[1:], "does not begin with the mark"),
        (lambda body: body[:10], "does not begin with the mark"),
        (lambda body: body[:-5] + b"\1" + body[-4:], "fails its checksum"),
        (
            lambda body: sealed(body[:4] + b"\4" + body[5:]),
            "format version 4; this fleetpulse reads up to 3. Run a newer",
        ),
        (lambda body: sealed(body[:16] + b"\7" + body[17:]), "column of kind 7 that this fleetpulse does not know"),
        (lambda body: sealed(body[:18] + b"\2" + body[19:]), "column of kind 0"),
        (lambda body: sealed(body[:20] + b"\0" + body[21:]), "columns that do not fit together"),
        (lambda body: sealed(body[:29] + b"\2" + body[30:]), "shorter than its column directory"),
        (lambda body: sealed(body[:-4] + b"\0" + body[-4:]), "columns that do not fit together"),
    ],
)
def test_a_damaged_or_newer_entry_is_refused_by_its_name(change: object, text: str) -> None:
    body = encode_entry(batch_of([(3, 1_000)], [], [], 7))
    with pytest.raises(DamagedData, match=f"^entry 5 .*{text}"):
        decode_entry(change(body), where="entry 5")  # type: ignore[operator]  # one of the functions above


def test_an_entry_from_before_metrics_holds_samples_of_upload_time() -> None:
    directory = struct.pack("<HHIHHIHHI", 2, 4, 2, 3, 8, 2, 4, 8, 2)
    columns = struct.pack("<2I2q2q", 3, 4, 1_000, 1_001, 50, 60)
    entry = decode_entry(sealed(struct.pack("<4sHHq", b"FPJE", 1, 3, 7) + directory + columns + b"crc."), where="it")
    assert (entry.sample_devices.tolist(), entry.sample_values.tolist()) == ([3, 4], [50, 60])
    assert (entry.sample_metrics.tolist(), entry.sample_metrics.dtype) == ([0, 0], np.uint16)


def test_reports_in_entries_of_version_1_mark_no_presence_since_they_did_not_when_they_were_taken() -> None:
    body = encode_entry(batch_of([], [(3, 1_000, 50, 1)], [], 7))
    assert decode_entry(body, where="it").do_reports_mark
    assert not decode_entry(sealed(body[:4] + b"\1" + body[5:]), where="it").do_reports_mark


def test_a_large_entry_is_split_into_several_that_say_the_same_in_the_same_order() -> None:
    beats = [(number, number * 7) for number in range(1_000)]
    samples = [(number, number, number * 3, 2) for number in range(500)]
    batch = batch_of(beats, samples, [(5, 6)], 7)
    batch.catalog_version.append(9)
    batch.checkpoint_ns.append(8)
    batch.is_shared = True
    body = encode_entry(batch)
    assert split_entry(body, len(body)) == [body]
    pieces = split_entry(body, 2_000)
    assert len(pieces) > 5
    assert max(map(len, pieces)) <= 2_000
    read = [decode_entry(piece, where="it") for piece in pieces]
    for field in fields(EventColumns):
        if field.name not in {"received_at_ns", "do_reports_mark", "is_shared"}:
            joined = np.concatenate([getattr(columns, field.name) for columns in read])
            assert joined.tolist() == getattr(EventColumns.of(batch), field.name).tolist()
    assert (len(read[0].catalog_version), len(read[-1].checkpoint_ns)) == (1, 1)
    assert {(columns.received_at_ns, columns.is_shared) for columns in read} == {(7, True)}
