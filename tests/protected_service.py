"""A service in memory that is protected, and clients with keys, as tests of access need them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from fleetpulse.access.key_table import NEVER_S, NOT_A_DEVICE
from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.api.app import build_api
from fleetpulse.app import build_parts
from fleetpulse.model.access import Principal, Role, Scope
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import World

PARIS: Scope = (("site", "paris"),)


def add_key(service: Service, role: Role, *, scope: Scope = (), device_id: str = "", expires_s: float = NEVER_S) -> str:
    """A key that the gate knows; nothing of it is in the catalog."""
    keys = service.gate.keys
    number = len(keys) + 1
    key = make_key(role, number)
    holder = Principal(kind="key", name=f"key {number}", role=role, scope=scope, key=number)
    device = service.registry.numbers[device_id] if device_id else NOT_A_DEVICE
    keys.put(
        number, hash_key(key.encode()), device=device, principal=None if device_id else holder, expires_s=expires_s
    )
    service.gate.were_keys_made = True
    return key


def client_of(service: Service, key: str = "", **settings: Any) -> httpx.AsyncClient:
    """A client of the ASGI path that shows a key."""
    transport = httpx.ASGITransport(build_api(build_parts(Settings(**settings), service)))
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


@asynccontextmanager
async def protected(folder: Path, *device_ids: str, **settings: Any) -> AsyncGenerator[Service]:
    """A protected service that is ready, and is stopped afterwards."""
    service = await World(folder).started(*device_ids, auth="required", **settings)
    try:
        yield service
    finally:
        await service.node.stop()
