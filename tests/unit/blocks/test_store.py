"""Names of blocks, and the removal of unused ones; what every store promises is tested in tests/contract."""

from fleetpulse.blocks.store import MemoryBlockStore, put_block, remove_unnamed


def test_blocks_of_one_stem_get_names_of_their_own() -> None:
    store = MemoryBlockStore()
    files = [put_block(store, "presence-1-2", lambda file: file.write(b"body") and None) for _ in range(3)]
    assert len(store.names()) == 3
    assert all(file.name.startswith("presence-1-2-") and file.name.endswith(".parquet") for file in files)


def test_files_that_nothing_uses_are_removed_and_counted() -> None:
    store = MemoryBlockStore()
    for name in ("a", "b", "c"):
        store.put(name, lambda file: file.write(b"body") and None)
    assert remove_unnamed(store, {"b", "elsewhere"}) == 2
    assert store.names() == {"b"}
