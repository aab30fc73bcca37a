"""The copy of the manifest that stands beside the blocks."""

import msgspec
import pytest

from fleetpulse.blocks.manifest_note import (
    MANIFEST,
    keep_other_note,
    kept_manifests,
    put_manifest_note,
    read_manifest_note,
)
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import DAY, GAPS, RAW, BackfillFile, BlockFile, GapFile, LateBlock, Manifest, SampleBlock
from fleetpulse.model.server_clock import KnownLeaps
from flipped_bits import with_a_flipped_bit

FILE = BlockFile("a", 5, "0" * 64)


def test_a_manifest_is_read_as_it_was_written_last() -> None:
    store = MemoryBlockStore()
    assert read_manifest_note(store) is None
    put_manifest_note(store, Manifest(1))
    manifest = Manifest(
        position=7,
        open_from_day=20_000,
        taken_at_ns=2**62,
        alive_at_ns=3,
        blind_ns=((1, 2), (3, 4)),
        leaps=KnownLeaps(1, 2, 3),
        snapshot=FILE,
        presence={19_999: FILE, -1: FILE},
        gaps={19_999: (GapFile.of(FILE), GapFile.of(FILE, first_device=3, end_device=9, sequence=1))},
        samples=(
            SampleBlock("float", None, 0, 1, 9, {RAW: FILE}),
            SampleBlock("integer", 19_999, 0, 1, 9, {RAW: FILE, DAY: FILE}, is_distinct=True),
        ),
        names={"devices": FILE, "metrics": FILE},
        expired={1: {19_000: 4}, GAPS: {18_000: 5}},
        beat_gaps={19_999: (GapFile.of(FILE),)},
        covers={19_999: (GapFile.of(FILE, first_device=3),)},
        backfill=(BackfillFile("b", 1, "00", start_day=-3, end_day=19_999),),
        beats_exact_from_ns=5,
    )
    put_manifest_note(store, manifest)
    assert read_manifest_note(store) == manifest


def test_of_files_of_gaps_in_a_note_of_an_older_version_all_devices_count() -> None:
    store = MemoryBlockStore()
    store.put_note(MANIFEST, msgspec.json.encode({"gaps": {1: [FILE]}}))
    assert read_manifest_note(store) == Manifest(gaps={1: (GapFile.of(FILE),)})


@pytest.mark.parametrize("body", [b"", b"{", b'{"position": "seven"}'])
def test_a_note_that_is_no_manifest_is_called_damaged(body: bytes) -> None:
    store = MemoryBlockStore()
    store.put_note(MANIFEST, body)
    with pytest.raises(DamagedData, match=r"manifest\.json in memory cannot be read"):
        read_manifest_note(store)


def test_every_flipped_bit_of_a_note_is_noticed() -> None:
    store = MemoryBlockStore()
    put_manifest_note(store, Manifest(position=7, snapshot=FILE, presence={19_999: FILE}))
    note = store.read_note(MANIFEST)
    assert note is not None
    for body in with_a_flipped_bit(note.body):
        store.put_note(MANIFEST, body)
        with pytest.raises(DamagedData, match=r"manifest\.json in memory"):
            read_manifest_note(store)


def test_a_note_of_a_version_without_checksums_is_read() -> None:
    store = MemoryBlockStore()
    store.put_note(MANIFEST, msgspec.json.encode(Manifest(position=7, snapshot=FILE)))
    assert read_manifest_note(store) == Manifest(position=7, snapshot=FILE)


def test_a_note_of_a_version_without_beat_gaps_says_up_to_when_they_are_lacking() -> None:
    store = MemoryBlockStore()
    body = msgspec.json.encode(Manifest(position=7, taken_at_ns=99))
    without = body.replace(b',"beats_exact_from_ns":0', b"")
    assert without != body
    store.put_note(MANIFEST, without)
    assert read_manifest_note(store) == Manifest(position=7, taken_at_ns=99, beats_exact_from_ns=99)


def test_a_note_that_names_files_of_another_copy_is_kept() -> None:
    store = MemoryBlockStore()
    assert keep_other_note(store, names=(), marks=()) is None
    other = Manifest(position=7, snapshot=BlockFile("snapshot-7-1-abc.parquet", 1, "00"))
    put_manifest_note(store, other)
    assert keep_other_note(store, names={"snapshot-7-1-abc.parquet"}, marks=()) is None
    # Written by this folder, whose crash kept its catalog from recording the manifest.
    assert keep_other_note(store, names=(), marks={"abc"}) is None
    name = keep_other_note(store, names=(), marks=())
    assert name is not None
    put_manifest_note(store, Manifest(position=9))
    assert kept_manifests(store) == {name: other}
    assert read_manifest_note(store, name) == other


def test_a_note_that_an_older_version_kept_is_found() -> None:
    store = MemoryBlockStore()
    store.put_note("manifest-7.json", msgspec.json.encode(Manifest(position=7)))
    store.put_note("owner.json", b"{}")
    assert kept_manifests(store) == {"manifest-7.json": Manifest(position=7)}


@pytest.mark.parametrize("damage", ["[1,-5]", "[1,99999999999]", '"x"', "[1.5]", "null"])
def test_the_days_of_late_blocks_come_back_and_only_days_do(damage: str) -> None:
    store, file = MemoryBlockStore(), BlockFile("x.parquet", 1, "00")
    manifest = Manifest(late=(LateBlock(file, file, Days.of([1, 5, 20_000]), 7),))
    put_manifest_note(store, manifest)
    assert read_manifest_note(store) == manifest
    note = store.read_note(MANIFEST)
    assert note is not None
    store.put_note(MANIFEST, note.body.replace(b"[1,5,20000]", damage.encode()))
    with pytest.raises(DamagedData, match="cannot be read"):
        read_manifest_note(store)
