"""Two services in one process that share a catalog, as nodes of a cluster do; journals and blocks are their own."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from fleetpulse.app import assemble
from fleetpulse.blocks.history import History
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.clock import Clock
from fleetpulse.pipeline.ownership import Ownership
from fleetpulse.pipeline.service import Service, Stores
from fleetpulse.pipeline.threads import Threads
from fleetpulse.settings import Settings
from fleetpulse.telemetry.counters import Counters
from memory_service import World
from protected_service import client_of

OpenCatalog = Callable[[Clock], Catalog]


@dataclass
class Node:
    """A service, and a client of its HTTP API that shows a key."""

    service: Service
    client: httpx.AsyncClient

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self.client.request(method, path, json=body, headers=headers)

    async def get(self, path: str) -> Any:
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json() if "json" in answer.headers["content-type"] else answer.text

    async def catch_up(self) -> None:
        """Bring memory to what the catalog is at now."""
        await self.service.changes.reach(0)


class NodeWorld(World):
    """What outlives one node: its folder, which has no catalog."""

    def __init__(self, folder: Path, open_catalog: OpenCatalog) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.open_catalog = open_catalog

    def service(self, **settings: Any) -> Service:
        catalog = self.open_catalog(self.clock)
        catalog.share()
        threads = Threads()
        ownership = Ownership(
            folder=self.folder,
            store=self.store,
            journal=self.journal,
            catalog=catalog,
            clock=self.clock,
            threads=threads,
        )
        stores = Stores(
            clock=self.clock,
            counters=Counters(),
            threads=threads,
            ownership=ownership,
            journal=self.journal,
            catalog=catalog,
            history=History(self.store, catalog.manifest()),
        )
        return assemble(
            Settings(**{"checkpoint_s": 1e9, "block_grace_h": 0.0, "login_refusal_s": 0, **settings}), stores
        )


def sqlite_in(folder: Path) -> OpenCatalog:
    return lambda clock: SqliteCatalog(folder / "catalog.sqlite", wait_s=30.0, clock=clock)


@asynccontextmanager
async def shared_nodes(
    folder: Path, names: str = "ab", *, open_catalog: OpenCatalog | None = None, **settings: Any
) -> AsyncGenerator[list[Node]]:
    """Protected nodes that share a catalog and one admin key, and are stopped afterwards."""
    worlds = [NodeWorld(folder / name, open_catalog or sqlite_in(folder)) for name in names]
    nodes: list[Node] = []
    try:
        for world in worlds:
            service = await world.started(auth="required", **settings)
            nodes.append(Node(service, client_of(service)))
        key = (worlds[0].folder / "admin.key").read_text().strip()
        for node in nodes:
            node.client.headers["authorization"] = f"Bearer {key}"
        yield nodes
    finally:
        for node in nodes:
            await node.client.aclose()
            await node.service.node.stop()
