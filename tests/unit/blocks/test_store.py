"""Names of blocks; what every store promises is tested in tests/contract."""

from fleetpulse.blocks.store import MemoryBlockStore, mark_of, put_block


def test_blocks_of_one_stem_get_names_of_their_own() -> None:
    store = MemoryBlockStore()
    files = [put_block(store, "presence-1-2", lambda file: file.write(b"body") and None) for _ in range(3)]
    assert len(store.names()) == 3
    assert all(file.name.startswith("presence-1-2-") and file.name.endswith(".parquet") for file in files)


def test_the_mark_of_a_block_can_be_read_from_its_name_and_from_its_temporary_name() -> None:
    store = MemoryBlockStore()
    store.mark = "0123456789abcdef"
    name = put_block(store, "samples-float-20000-raw", lambda file: file.write(b"body") and None).name
    assert mark_of(name) == mark_of(name + ".tmp") == store.mark


def test_a_block_without_a_mark_has_none_that_could_be_recorded() -> None:
    name = put_block(MemoryBlockStore(), "presence-1-2", lambda file: file.write(b"body") and None).name
    assert mark_of(name) not in {"", "presence"}
