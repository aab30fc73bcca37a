"""The service's own counters as /metrics gives them."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from fleetpulse.alert.columns import AlertColumns
from fleetpulse.app import build_parts
from fleetpulse.model.alert import ALERT_STATES
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from fleetpulse.telemetry.families import FAMILIES
from fleetpulse.telemetry.requests import Target
from memory_service import World, beat


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


def test_every_series_that_is_declared_is_shown_and_counts_requests_of_both_paths(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        requests = service.counters.requests
        arrived = service.intake.batch.arrived
        assert arrived is not None
        arrived[b"heartbeat"].append(0.0)
        await beat(service, "d0")
        requests.count(Target("GET", "/readyz"), 200, 0.002)
        await service.self_metrics.fleet_figures.work_out()
        page = service.self_metrics.page().decode()
        shown = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE))
        only_sometimes = {name for name in FAMILIES if re.match(r"fleetpulse_(cache|disk)_", name)}
        assert set(FAMILIES) - shown <= only_sometimes
        route = 'route="/api/v1/devices/{device_id}/heartbeat"'
        assert f'fleetpulse_http_requests_total{{code="204",method="POST",{route}}} 1.0' in page
        assert f'fleetpulse_http_request_duration_seconds_count{{method="POST",outcome="ok",{route}}} 1.0' in page
        assert 'fleetpulse_http_requests_total{code="200",method="GET",route="/readyz"} 1.0' in page
        assert re.search(r"^fleetpulse_commit_events_sum [1-9]", page, re.MULTILINE)
        assert "process_resident_memory_bytes" in page
        await service.node.stop()

    asyncio.run(life())


def test_reports_are_not_measured_where_that_is_switched_off(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0", request_telemetry=False)
        assert service.intake.batch.arrived is None
        await beat(service, "d0")
        assert service.counters.requests.counts() == {}
        await service.node.stop()

    asyncio.run(life())


def test_alerts_are_counted_by_state_and_severity(tmp_path: Path) -> None:
    async def life() -> None:
        service = await World(tmp_path).started("d0")
        await service.alerting.end()
        book, rows = service.alerting.book, []
        for state, severity in (("pending", "critical"), ("firing", "critical"), ("firing", "warning")):
            row = AlertColumns.zeros(1)
            row.of["state"][:], row.of["severity"][:] = ALERT_STATES.index(state), SEVERITIES.index(severity)
            rows.append(row)
        book.state = replace(book.state, lives=replace(book.lives, open=AlertColumns.joined(rows)))
        page = service.self_metrics.page().decode()
        for state, severity, count in (("pending", "critical", 1), ("firing", "critical", 1), ("firing", "info", 0)):
            assert f'fleetpulse_alerts{{severity="{severity}",state="{state}"}} {count}.0' in page
        await service.node.stop()

    asyncio.run(life())
