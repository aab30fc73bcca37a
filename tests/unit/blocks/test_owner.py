"""Whose a block store is: which folders may use it, and which of two services that both could."""

from collections.abc import Collection
from pathlib import Path

import msgspec
import pytest

from fleetpulse.blocks.owner import (
    OWNER,
    LocalIdentity,
    Owner,
    check_owner,
    claim,
    has_conditional_writes,
    join,
    read_owner,
)
from fleetpulse.blocks.store import MemoryBlockStore, Note, NoteChanged
from fleetpulse.errors import ForeignBlocks, Outdated
from flipped_bits import with_a_flipped_bit

BLOCKS = ("a.parquet", "b.parquet")


def local(catalog: str | None = None, journal: str | None = None, blocks: Collection[str] = ()) -> LocalIdentity:
    return LocalIdentity(Path("data"), catalog, journal, set(blocks))


def store_with(*names: str, owner: str | None = None) -> MemoryBlockStore:
    store = MemoryBlockStore()
    if owner is not None:
        claim(store, local(owner), now_ns=0)
    for name in names:
        store.put(name, lambda file: file.write(b"body") and None)
    return store


@pytest.mark.parametrize(
    ("folder", "store", "expected"),
    [
        pytest.param(local(), store_with(), None, id="all is new"),
        pytest.param(local(blocks=BLOCKS), store_with(*BLOCKS), None, id="a folder from before there were ids"),
        pytest.param(local(blocks=BLOCKS), store_with("a.parquet"), None, id="the same, one block lost"),
        pytest.param(local(journal="x", blocks=BLOCKS), store_with(*BLOCKS), "x", id="a catalog from before"),
        pytest.param(local("x", "x"), store_with(), "x", id="a store that is new"),
        pytest.param(local("x", "x", BLOCKS), store_with(*BLOCKS), "x", id="blocks that were moved"),
        pytest.param(local("x", "x", BLOCKS), store_with(*BLOCKS, owner="x"), "x", id="all agree"),
        pytest.param(local("x", None, BLOCKS), store_with(owner="x"), "x", id="a new journal, all blocks lost"),
        pytest.param(local(None, None, BLOCKS), store_with(*BLOCKS, owner="x"), "x", id="a copy from before"),
    ],
)
def test_a_folder_that_fits_becomes_the_owner(
    folder: LocalIdentity, store: MemoryBlockStore, expected: str | None
) -> None:
    before, _ = read_owner(store)
    owner = claim(store, folder, now_ns=1)
    assert owner.id == expected or expected is None
    assert owner.generation == (1 if before is None else before.generation + 1)
    assert read_owner(store)[0] == owner
    assert has_conditional_writes(store, owner)
    check_owner(store, owner)


@pytest.mark.parametrize(
    ("folder", "store", "words"),
    [
        pytest.param(local(), store_with(*BLOCKS), "fleetpulse adopt", id="blocks without an owner"),
        pytest.param(local("x", "x"), store_with(*BLOCKS), "fleetpulse adopt", id="the same, known folder"),
        pytest.param(local(), store_with(*BLOCKS, owner="y"), "fleetpulse adopt", id="blocks of another"),
        pytest.param(local(), store_with(owner="y"), "another service", id="another that has no blocks yet"),
        pytest.param(local("x", "x"), store_with(owner="y"), "the right place", id="other ids"),
        pytest.param(
            local("x", "x", BLOCKS), store_with(*BLOCKS, owner="y"), "the right place", id="other ids, blocks"
        ),
        pytest.param(local("x", "x", BLOCKS), store_with(), "none of the 2 blocks", id="an empty store"),
        pytest.param(local(None, None, BLOCKS), store_with("c.parquet"), "none of the 2", id="other blocks"),
        pytest.param(local(None, None, BLOCKS), store_with("a.parquet", owner="y"), "knows none", id="half a copy"),
        pytest.param(local(None, "z", BLOCKS), store_with(*BLOCKS, owner="y"), "y", id="a journal of another"),
        pytest.param(local("x", "z", BLOCKS), store_with(*BLOCKS, owner="x"), "one copy", id="journal and catalog"),
        pytest.param(local(None, "x"), store_with(*BLOCKS, owner="x"), "catalog is missing", id="lost catalog"),
        pytest.param(local(None, "x"), store_with(), "catalog is missing", id="lost catalog, no blocks"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_and_changes_nothing(
    folder: LocalIdentity, store: MemoryBlockStore, words: str
) -> None:
    before = store.names(), store.read_note(OWNER)
    with pytest.raises(ForeignBlocks, match=words):
        claim(store, folder, now_ns=1)
    assert (store.names(), store.read_note(OWNER)) == before


def test_of_two_copies_the_one_started_later_is_the_owner() -> None:
    store = MemoryBlockStore()
    first = claim(store, local("x", "x"), now_ns=1)
    second = claim(store, local("x", "x"), now_ns=2)
    check_owner(store, second)
    with pytest.raises(Outdated, match=r"process \d+ on .*generation 2, this service has 1"):
        check_owner(store, first)


def test_an_older_copy_of_the_blocks_is_no_later_start() -> None:
    store = MemoryBlockStore()
    claim(store, local("x", "x"), now_ns=1)
    older = store.read_note(OWNER)
    assert older is not None
    owner = claim(store, local("x", "x"), now_ns=2)
    store.put_note(OWNER, older.body)
    with pytest.raises(OSError, match="an older copy of the blocks was put there"):
        check_owner(store, owner)


def test_an_owner_that_is_gone_or_cannot_be_read_is_not_ours() -> None:
    store = MemoryBlockStore()
    owner = claim(store, local("x", "x"), now_ns=1)
    store.put_note(OWNER, b'{"id": 5}')
    with pytest.raises(ForeignBlocks, match=r"owner\.json in memory cannot be read"):
        check_owner(store, owner)
    with pytest.raises(OSError, match="is missing"):
        check_owner(MemoryBlockStore(), owner)


class Race(MemoryBlockStore):
    """While one service writes the note, others do."""

    def __init__(self, others: int) -> None:
        super().__init__()
        self.others = others

    def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
        if self.others:
            self.others -= 1
            claim(self, local("x", "x"), now_ns=9)
        super().replace_note(name, body, expected=expected)


def test_each_of_several_that_start_at_once_gets_a_generation_of_its_own() -> None:
    assert claim(Race(4), local("x", "x"), now_ns=1).generation == 5


def test_an_answer_that_was_lost_does_not_make_two_generations_of_one_start() -> None:
    class LostAnswer(MemoryBlockStore):
        def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
            super().replace_note(name, body, expected=expected)
            raise NoteChanged(name)

    assert claim(LostAnswer(), local("x", "x"), now_ns=1).generation == 1


def test_a_first_claim_whose_answer_never_came_is_recognised_at_the_next_attempt() -> None:
    class Silent(MemoryBlockStore):
        is_silent = True

        def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
            super().replace_note(name, body, expected=expected)
            if self.is_silent:
                raise OSError("no answer")

    store, kept = Silent(), list[str]()
    with pytest.raises(OSError, match="no answer"):
        claim(store, local(), now_ns=1, keep_identity=kept.append)
    store.is_silent = False
    owner = claim(store, local(kept[0]), now_ns=2, keep_identity=kept.append)
    assert (kept, owner.generation) == ([owner.id], 2)


def test_a_store_that_ignores_conditions_is_noticed() -> None:
    class Careless(MemoryBlockStore):
        def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
            del expected
            self.put_note(name, body)

    store = Careless()
    assert not has_conditional_writes(store, claim(store, local("x", "x"), now_ns=1))


def test_every_flipped_bit_of_the_note_is_noticed_and_nothing_is_written_over_it() -> None:
    store = MemoryBlockStore()
    claim(store, local("x", "x"), now_ns=1)
    note = store.read_note(OWNER)
    assert note is not None
    for body in with_a_flipped_bit(note.body):
        store.put_note(OWNER, body)
        with pytest.raises(ForeignBlocks, match=r"(?s)^owner\.json in memory .*Restore it from a copy"):
            claim(store, local("x", "x"), now_ns=2)
        after = store.read_note(OWNER)
        assert after is not None and after.body == body


def test_a_note_of_a_version_without_checksums_is_read_and_the_next_start_gives_it_one() -> None:
    store = MemoryBlockStore()
    before = Owner(id="x", generation=4, holder="h", host="there", process=7, folder="data", started_at="then")
    store.put_note(OWNER, msgspec.json.encode(before))
    assert read_owner(store)[0] == before
    check_owner(store, before)
    assert claim(store, local("x", "x"), now_ns=2).generation == 5
    note = store.read_note(OWNER)
    assert note is not None and b'"sha256":"' in note.body


def test_nodes_that_share_a_store_have_one_owner_whoever_starts_when() -> None:
    store = store_with()
    first = join(store, local(), "x", now_ns=0)
    assert (first.id, first.generation) == ("x", 1)
    assert join(store, local("x", "x"), "x", now_ns=1) == first
    check_owner(store, first)
    with pytest.raises(ForeignBlocks):
        join(store, local("y", "y"), "y", now_ns=2)


def test_a_node_that_is_second_by_a_moment_takes_the_owner_of_the_first() -> None:
    store = LateStore()
    assert join(store, local(), "x", now_ns=1).holder == "other"


class LateStore(MemoryBlockStore):
    """Another node writes its note between our look and our write."""

    def replace_note(self, name: str, body: bytes, *, expected: Note | None) -> None:
        if self.read_note(name) is None:
            super().replace_note(name, msgspec.json.encode(Owner("x", 1, "other")), expected=None)
        super().replace_note(name, body, expected=expected)
