"""The copy of the manifest that stands beside the blocks."""

import msgspec
import pytest

from fleetpulse.blocks.manifest_note import MANIFEST, keep_newer_note, put_manifest_note, read_manifest_note
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import DAY, GAPS, RAW, BlockFile, Manifest, SampleBlock
from fleetpulse.model.server_clock import KnownLeaps

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
        gaps={19_999: (FILE, FILE)},
        samples=(
            SampleBlock("float", None, 0, 1, 9, {RAW: FILE}),
            SampleBlock("integer", 19_999, 0, 1, 9, {RAW: FILE, DAY: FILE}, is_distinct=True),
        ),
        names={"devices": FILE, "metrics": FILE},
        expired={1: {19_000: 4}, GAPS: {18_000: 5}},
    )
    put_manifest_note(store, manifest)
    assert read_manifest_note(store) == manifest


@pytest.mark.parametrize("body", [b"", b"{", b'{"position": "seven"}'])
def test_a_note_that_is_no_manifest_is_called_damaged(body: bytes) -> None:
    store = MemoryBlockStore()
    store.put_note(MANIFEST, body)
    with pytest.raises(DamagedData, match=r"manifest\.json in memory cannot be read"):
        read_manifest_note(store)


def test_a_newer_note_is_kept_where_an_older_folder_is_started() -> None:
    store = MemoryBlockStore()
    assert keep_newer_note(store, Manifest(position=4)) is None
    put_manifest_note(store, Manifest(position=7))
    assert keep_newer_note(store, Manifest(position=7)) is None
    assert keep_newer_note(store, Manifest(position=4)) == Manifest(position=7)
    put_manifest_note(store, Manifest(position=5))
    kept = store.read_note("manifest-7.json")
    assert kept
    assert msgspec.json.decode(kept.body, type=Manifest) == Manifest(position=7)
