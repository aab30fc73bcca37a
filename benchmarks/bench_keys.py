"""A million keys, in this process without sockets: made, loaded by a start, looked up, used, revoked; memory.

    python benchmarks/bench_keys.py FOLDER [KEYS]

Goals: loaded in at most 5 s, at most 120 bytes of resident memory a key beyond its device, revoked in at most 10 ms.
"""

import asyncio
import gc
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fleetpulse.access.gate import Gate
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.clock import SystemClock
from fleetpulse.ingest.key_declarations import KeyWish
from fleetpulse.model.device import Device
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.key_ring import KeyRing, made_key
from fleetpulse.telemetry.counters import Counters


def timed(name: str, work: Callable[[], Any]) -> Any:
    """The result of `work`, whose time is printed in ms."""
    start_s = time.perf_counter()
    result = work()
    print(f"{name}: {1_000 * (time.perf_counter() - start_s):.1f} ms")
    return result


def resident_bytes() -> int:
    """The resident memory of this process."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def main() -> None:
    """Make the keys, if the folder has none, and measure."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder.mkdir(parents=True, exist_ok=True)
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    if not catalog.device_count():
        catalog.register((Device(f"d{number:07}") for number in range(count)), devices_max=count, at_ns=1)
        wish = KeyWish(role="device", device_id="")
        keys = (made_key(wish, number=row + 1, device=row, at_ns=1, by="key 1")[0] for row in range(count))
        timed(f"make {count} keys", lambda: catalog.keys.add(keys))
    catalog.close()
    asyncio.run(measure(folder))


async def measure(folder: Path) -> None:
    """Load the keys as a start does, and work with them."""
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    gate = Gate(counters=Counters(), auth="off", is_at_machine=True, has_labels=lambda _device, _scope: True, id_of=str)
    nothing: Any = None
    ring = KeyRing(
        catalog=catalog,
        catalog_thread=CatalogThread(nothing),
        clock=SystemClock(),
        gate=gate,
        registry=nothing,
        folder=folder,
        keys_max=4_000_000,
    )
    gc.collect()
    before_bytes = resident_bytes()
    timed("load", ring.load)
    gc.collect()
    count = len(gate.keys)
    print(f"memory: {(resident_bytes() - before_bytes) / count:.0f} bytes a key")
    middle = count // 2
    timed("revoke one", lambda: (catalog.keys.revoke([middle], at_ns=1, by="me"), gate.keys.remove(middle)))
    numbers, minutes = np.arange(1, count + 1), np.full(count, 29_000_000, np.uint32)
    timed("write when all were used", lambda: catalog.keys.note_use(numbers, minutes))
    timed(
        "a page of a rare role",
        lambda: catalog.keys.page(after=0, count=100, role="admin", devices=[], is_revoked_included=False),
    )
    catalog.close()


if __name__ == "__main__":
    main()
