"""The checksum of a footer stands before it, is looked at by us, and is invisible to other readers of Parquet."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fleetpulse.blocks.columns import open_parquet
from fleetpulse.blocks.footer_checksum import CHECKSUM_BYTES, MARK, has_sound_footer
from fleetpulse.blocks.store import MemoryBlockStore, put_block

TABLE = pa.table({"device": np.arange(1_000, dtype=np.uint32), "value": np.arange(1_000) * 0.5})


def body_of(*, has_checksum: bool = True) -> bytes:
    """A file of two row groups, as a block and as earlier versions wrote it."""
    plain = io.BytesIO()
    pq.write_table(TABLE, plain, row_group_size=500)
    if not has_checksum:
        return plain.getvalue()
    store = MemoryBlockStore()
    name = put_block(store, "block", lambda out: out.write(plain.getvalue()) and None).name
    with store.open(name) as reader:
        return reader.read()


def test_a_block_has_it_and_is_a_parquet_file_as_any_other() -> None:
    body = body_of()
    assert len(body) == len(body_of(has_checksum=False)) + CHECKSUM_BYTES
    assert body.count(MARK) == 1
    assert has_sound_footer(io.BytesIO(body))
    assert pq.read_table(io.BytesIO(body)).equals(TABLE)
    assert open_parquet(io.BytesIO(body)).read().equals(TABLE)


def test_a_file_of_an_earlier_version_has_none_and_is_read() -> None:
    body = body_of(has_checksum=False)
    assert not has_sound_footer(io.BytesIO(body))
    assert open_parquet(io.BytesIO(body)).read().equals(TABLE)


def test_no_flipped_byte_of_the_footer_or_its_checksum_is_sound() -> None:
    body = body_of()
    for place in range(body.index(MARK), len(body)):
        assert not has_sound_footer(io.BytesIO(body[:place] + bytes([body[place] ^ 4]) + body[place + 1 :]))


def test_a_flipped_byte_of_the_footer_is_not_parsed() -> None:
    body = body_of()
    for place in range(body.index(MARK) + len(MARK), len(body) - 8):
        with pytest.raises(pa.ArrowInvalid, match="checksum"):
            open_parquet(io.BytesIO(body[:place] + bytes([body[place] ^ 4]) + body[place + 1 :]))


@pytest.mark.parametrize("body", [b"", b"PAR1", b"PAR1PAR1", b"no Parquet", bytes(4) + b"PAR1", b"\xff" * 60 + b"PAR1"])
def test_what_is_no_parquet_file_stays_as_it_is(body: bytes) -> None:
    store = MemoryBlockStore()
    file = put_block(store, "block", lambda out: out.write(body) and None)
    with store.open(file.name) as reader:
        assert reader.read() == body
        assert not has_sound_footer(reader)
