"""The service's own counters as /metrics gives them."""

import asyncio
import re
from pathlib import Path

import numpy as np

from fleetpulse.app import build_parts
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import World


def figures(service: Service) -> dict[str, float]:
    page = build_parts(Settings(), service).self_metrics.page().decode()
    return {name: float(value) for name, value in re.findall(r"^fleetpulse_(\w+) (\S+)$", page, re.MULTILINE)}


def test_what_was_received_is_accepted_and_what_is_accepted_applied(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        await build_parts(Settings(), service).reception.heartbeat("d0", b'{"sent_at": "2024-10-04T12:00:00Z"}')
        service.follower.catch_up()
        page = figures(service)
        assert [page[f"events_{name}_total"] for name in ("received", "accepted", "applied")] == [1, 1, 1]
        assert (page["ready"], page["devices"], page["checkpoint_position"]) == (1, 1, 0)
        assert await service.housekeeping.checkpoint()
        page = figures(service)
        assert (page["checkpoints_total"], page["checkpoint_position"]) == (1, page["journal_position"])
        assert page["blocks"] > 0 < page["blocks_bytes"]
        await service.node.stop()
        assert figures(service)["ready"] == 0

    asyncio.run(life())


def test_rows_of_clocks_that_are_ahead_do_not_count_as_late(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        for day in (19_990, 19_998, 20_001):  # open are 19,999 and 20,000
            service.fleet.sparse.mark(
                np.array([day]), devices=np.zeros(1, np.uint32), minutes_of_day=np.zeros(1, np.int64)
            )
        page = figures(service)
        assert (page["late_rows"], page["ahead_rows"]) == (2, 1)
        assert "loop_lag_longest_seconds" in page
        await service.node.stop()

    asyncio.run(life())
