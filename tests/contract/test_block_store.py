"""The block store's promises, on every implementation."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from fleetpulse.blocks.file_checks import check_ends, check_file
from fleetpulse.blocks.owner import OWNER, LocalIdentity, claim, has_conditional_writes, read_owner
from fleetpulse.blocks.store import BlockStore, FolderBlockStore, MemoryBlockStore, NoteChanged
from fleetpulse.errors import DamagedData, ForeignBlocks
from fleetpulse.model.manifest import BlockFile
from s3_server import S3Server, s3_server  # noqa: F401  # a fixture


@pytest.fixture(params=["memory", "folder", "s3", "s3 without a cache"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlockStore:
    if request.param == "memory":
        return MemoryBlockStore()
    if request.param == "folder":
        return FolderBlockStore(tmp_path / "blocks")
    s3: S3Server = request.getfixturevalue("s3")
    return s3.store(tmp_path / "cache", cache_bytes_max=1 << 30 if request.param == "s3" else 0)


def writes(body: bytes) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        file.write(body)

    return write


def test_a_file_is_there_under_its_name_whole_with_size_and_checksum(store: BlockStore) -> None:
    file = store.put("a.parquet", writes(b"body"))
    assert (file.name, file.size_bytes) == ("a.parquet", 4)
    assert store.names() == {"a.parquet"}
    with store.open("a.parquet") as reader:
        assert reader.seek(0, io.SEEK_END) == 4
        reader.seek(1)
        assert reader.read() == b"ody"
    check_file(store, file)


def test_a_write_that_fails_leaves_nothing_behind(store: BlockStore) -> None:
    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        store.put("a.parquet", write)
    assert store.names() == set()
    with pytest.raises(FileNotFoundError):
        store.open("a.parquet")


def test_what_is_removed_is_gone_and_removing_it_again_is_no_error(store: BlockStore) -> None:
    store.put("a.parquet", writes(b"body"))
    store.put("b.parquet", writes(b"other"))
    store.remove("a.parquet")
    store.remove("a.parquet")
    assert store.names() == {"b.parquet"}


def test_a_reader_keeps_what_it_opened_although_the_file_is_removed(store: BlockStore) -> None:
    store.put("a.parquet", writes(b"body"))
    with store.open("a.parquet") as reader:
        store.remove("a.parquet")
        assert reader.read() == b"body"


@pytest.mark.parametrize("change", [{"size_bytes": 5}, {"sha256": "0" * 64}, {"name": "b.parquet"}])
def test_a_file_that_is_missing_or_not_what_was_written_is_named(store: BlockStore, change: dict[str, object]) -> None:
    file = store.put("a.parquet", writes(b"body"))
    wrong = BlockFile(**{"name": file.name, "size_bytes": file.size_bytes, "sha256": file.sha256} | change)
    with pytest.raises(DamagedData, match=wrong.name):
        check_file(store, wrong)


def test_a_note_is_replaced_whole_and_is_no_block(store: BlockStore) -> None:
    assert store.read_note("owner.json") is None
    store.put_note("owner.json", b"one")
    store.put_note("owner.json", b"two")
    note = store.read_note("owner.json")
    assert note is not None and note.body == b"two"
    assert store.names() == set()


def test_a_note_is_replaced_only_in_the_place_of_the_expected_one(store: BlockStore) -> None:
    store.replace_note("owner.json", b"one", expected=None)
    first = store.read_note("owner.json")
    with pytest.raises(NoteChanged):
        store.replace_note("owner.json", b"other", expected=None)
    store.replace_note("owner.json", b"two", expected=first)
    with pytest.raises(NoteChanged):
        store.replace_note("owner.json", b"three", expected=first)
    note = store.read_note("owner.json")
    assert note is not None and note.body == b"two"
    store.put_note("owner.json", b"four")
    with pytest.raises(NoteChanged):
        store.replace_note("owner.json", b"five", expected=note)


def test_a_flip_in_the_text_of_the_owner_is_noticed_in_every_store(store: BlockStore) -> None:
    owner = claim(store, LocalIdentity(Path("data"), "x", "x", set()), now_ns=1)
    assert read_owner(store)[0] == owner
    assert has_conditional_writes(store, owner)
    note = store.read_note(OWNER)
    assert note is not None
    store.put_note(OWNER, note.body.replace(b'"folder":"/', b'"folder":"?'))
    with pytest.raises(ForeignBlocks, match=r"owner\.json .* is not what was written"):
        read_owner(store)


def test_a_store_says_where_it_is(store: BlockStore) -> None:
    assert store.place


def test_only_a_store_whose_files_are_elsewhere_has_copies_to_drop(store: BlockStore, tmp_path: Path) -> None:
    store.put("a.parquet", writes(b"body"))
    has_copy = (tmp_path / "cache" / "a.parquet").exists()
    assert store.drop_copy("a.parquet") is (has_copy)
    assert not store.drop_copy("a.parquet")
    with store.open("a.parquet") as reader:
        assert reader.read() == b"body"


def test_a_copy_that_is_damaged_is_fetched_again(s3: S3Server, tmp_path: Path) -> None:
    store = s3.store(tmp_path)
    file = store.put("a.parquet", writes(b"body"))
    for body in (b"damage", b"bodi"):
        (tmp_path / "a.parquet").write_bytes(body)
        check_ends(store, file)
        check_file(store, file)
        assert (tmp_path / "a.parquet").read_bytes() == b"body"


def test_notes_are_listed_and_are_no_blocks(store: BlockStore) -> None:
    assert store.note_names() == set()
    store.put_note("manifest-1.json", b"{}")
    store.put("a.parquet", writes(b"body"))
    assert (store.note_names(), store.names()) == ({"manifest-1.json"}, {"a.parquet"})


def test_a_note_that_a_folder_cannot_read_or_write_is_told_with_what_to_do(tmp_path: Path) -> None:
    store = FolderBlockStore(tmp_path)
    (tmp_path / "owner.json").mkdir()
    for work in (
        lambda: store.read_note("owner.json"),
        lambda: store.put_note("owner.json", b"{}"),
        lambda: store.replace_note("owner.json", b"{}", expected=None),
        lambda: store.put("owner.json", writes(b"body")),
    ):
        with pytest.raises(OSError, match=r"owner\.json.*: .*a folder where a file belongs.*Move it away"):
            work()
