"""`manifest.json` follows the catalog: it is never ahead of it, and what it names is there while it lags behind."""

import asyncio
import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.blocks.manifest_note import MANIFEST, read_manifest_note
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.holding import holding
from fleetpulse.errors import Deposed
from fleetpulse.model.device import Device
from fleetpulse.pipeline.manifest_copy import ManifestCopy
from fleetpulse.pipeline.service import Service
from memory_service import DAY, World, beat
from shared_service import SharedWorld, all_reached, take_lease, taken_over


class NoNotes:
    """A block store that takes files and no notes."""

    def __init__(self, store: MemoryBlockStore) -> None:
        self._store = store
        self.refuses = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put_note(self, name: str, body: bytes) -> None:
        if self.refuses:
            raise OSError(28, "the bucket is full")
        self._store.put_note(name, body)


def test_while_the_note_lags_the_journal_is_kept_and_nothing_is_removed(tmp_path: Path) -> None:
    async def live() -> None:
        world = World(tmp_path)
        service = await world.started("a")
        await beat(service, "a")
        assert await service.housekeeping.checkpoint()
        before = read_manifest_note(world.store)
        assert before is not None and before == service.catalog.manifest()
        store = NoNotes(world.store)
        service.history.store = store  # type: ignore[assignment]  # it delegates
        world.clock.ns += DAY
        await beat(service, "a")
        assert await service.housekeeping.checkpoint(), "the catalog has it"
        assert service.catalog.manifest().position > before.position
        assert read_manifest_note(world.store) == before
        assert {file.name for file in before.files()} <= world.store.names()
        assert service.journal.first_position() <= before.position + 1
        await beat(service, "a")
        assert not await service.housekeeping.checkpoint(), "no further one, before the note is that of the last one"
        store.refuses = False
        assert await service.housekeeping.checkpoint()
        assert read_manifest_note(world.store) == service.catalog.manifest()
        assert service.journal.first_position() == service.history.manifest.position + 1
        assert not {file.name for file in before.files()} <= world.store.names()
        await service.node.stop()

    asyncio.run(live())


def test_a_crash_between_commit_and_note_is_made_up_for_by_the_next_checkpoint(tmp_path: Path) -> None:
    async def live() -> None:
        world = World(tmp_path)
        service = await world.started("a")
        await beat(service, "a")
        assert await service.housekeeping.checkpoint()
        note = world.store.read_note(MANIFEST)
        assert note is not None
        world.clock.ns += DAY
        await beat(service, "a")
        await service.node.stop()
        world.store.put_note(MANIFEST, note.body)  # as if the process had ended before the note of its last checkpoint
        service = await world.started()
        assert read_manifest_note(world.store) != service.catalog.manifest()
        await beat(service, "a")
        assert await service.housekeeping.checkpoint()
        assert read_manifest_note(world.store) == service.catalog.manifest()
        await service.node.stop()

    asyncio.run(live())


@contextlib.contextmanager
def before_the_write(store: Any, act: Any) -> Iterator[None]:
    """Call something once when a node is about to write the note: as late as a paused node can be."""
    replace, acts = store.replace_note, [act]

    def paused(name: str, body: bytes, *, expected: Any) -> None:
        while acts:
            acts.pop()()
        replace(name, body, expected=expected)

    store.replace_note = paused
    try:
        yield
    finally:
        del store.replace_note


async def first_checkpoint(first: Service, second: Service) -> None:
    """A checkpoint of the first node, which has the lease afterwards; the second one takes it over."""
    first.catalog.lease.release(first.catalog.lease.current().term)
    await take_lease(first)
    await beat(first, "a")
    assert await first.housekeeping.checkpoint()
    await taken_over(first, second)


def test_a_former_holder_writes_no_note_however_late_it_wakes(tmp_path: Path) -> None:
    async def live() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        first.lease._tried_at_ns = second.lease._tried_at_ns = math.inf  # only tests move the lease
        await first.registry.register_many([Device("a")])
        await second.changes.reach(0)
        await first_checkpoint(first, second)
        copy = first.housekeeping.removal.manifest_copy
        former = first.history.manifest
        term = first.lease.last_known
        second.catalog.lease.take("the test", for_ns=0)
        await take_lease(second)
        await beat(second, "a")
        await all_reached(first, second)
        assert await second.housekeeping.checkpoint()
        newest = replace(second.catalog.manifest(), catalog_version=0)  # which no note has
        assert read_manifest_note(world.store) == newest
        with holding(term), pytest.raises(Deposed):
            await copy._write(former)
        with holding(term):
            await copy.follow(former)
        assert read_manifest_note(world.store) == newest != former
        await second.node.stop()
        await first.node.stop()

    asyncio.run(live())


def test_a_holder_that_is_paused_before_it_replaces_the_note_finds_another_one_there(tmp_path: Path) -> None:
    async def live() -> None:
        world = SharedWorld(tmp_path)
        first, second = await world.started(), await world.started()
        first.lease._tried_at_ns = second.lease._tried_at_ns = math.inf
        await first.registry.register_many([Device("a")])
        await second.changes.reach(0)
        await first_checkpoint(first, second)
        later = world.store.read_note(MANIFEST)
        assert later is not None

        def other_holder() -> None:  # it took the lease, and wrote its own note, while this node was paused
            second.catalog.lease.take("another", for_ns=0)
            world.store.put_note(MANIFEST, b"{}")

        copy: ManifestCopy = first.housekeeping.removal.manifest_copy
        copy._written = None
        world.store.put_note(MANIFEST, later.body + b" ")
        with before_the_write(world.store, other_holder), first.lease.holding(), pytest.raises(Deposed):
            await copy.settle()
        note = world.store.read_note(MANIFEST)
        assert note is not None and note.body == b"{}"
        await second.node.stop()
        await first.node.stop()

    asyncio.run(live())
