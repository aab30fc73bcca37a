"""Reports over the ASGI path: taken in and durable, or refused and counted."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.access_errors import TooManyRequests
from fleetpulse.app import build_parts
from fleetpulse.errors import Malformed, TooLarge, UnknownDevice, UnknownMetric
from fleetpulse.model.access import Scope
from fleetpulse.pipeline import reception as reception_module
from fleetpulse.pipeline.reception import Reception
from fleetpulse.pipeline.service import Service
from fleetpulse.settings import Settings
from memory_service import World

AT = b'"sent_at": "2024-10-04T12:00:00Z"'
BEAT = b"{" + AT + b"}"
LINE = b'{"device_id": "%s", ' + AT + b"}\n"


def run(folder: Path, test: Callable[[Service, Reception], Awaitable[None]], **settings: Any) -> None:
    async def life() -> None:
        service = await World(folder).started("d0", **settings)
        await test(service, build_parts(Settings(**settings), service).reception)
        await service.node.stop()

    asyncio.run(life())


def test_every_kind_of_report_is_durable_when_it_is_answered(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        await reception.heartbeat("d0", BEAT)
        await reception.stats("d0", b"{" + AT + b', "upload_time": 7}')
        await reception.metrics("d0", b"{" + AT + b', "metrics": {"upload_time": 8}}')
        assert service.counters.events_accepted == service.intake.received == 3
        assert (await service.questions.lifetime(service.registry.numbers["d0"])).figures.heartbeats == 1

    run(tmp_path, test)


def test_a_refused_event_is_received_and_counted_by_its_reason(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        with pytest.raises(Malformed):
            await reception.heartbeat("d0", b"{}")
        with pytest.raises(UnknownDevice):
            await reception.heartbeat("nobody", BEAT)
        with pytest.raises(UnknownMetric):
            await reception.metrics("d0", b"{" + AT + b', "metrics": {"cpu": 8}}')
        assert service.intake.received == 3
        assert service.counters.events_refused == {"malformed": 1, "unknown_device": 1, "unknown_metric": 1}

    run(tmp_path, test)


def test_an_unknown_device_is_registered_where_the_service_is_set_so(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        before = service.counters.devices_registered
        await asyncio.gather(*(reception.heartbeat("new", BEAT) for _ in range(3)))
        assert (service.counters.events_accepted, service.counters.devices_registered) == (3, before + 1)

    run(tmp_path, test, auto_register=True)


def test_an_unknown_metric_is_defined_for_a_known_device_only(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        with pytest.raises(UnknownMetric):
            await reception.metrics("nobody", b"{" + AT + b', "metrics": {"fan": 8}}')
        await reception.metrics("d0", b"{" + AT + b', "metrics": {"cpu": 8}}')
        assert {metric.name for metric in service.metric_definitions.metrics.values()} == {"upload_time", "cpu"}

    run(tmp_path, test, auto_define=True)


def test_the_lines_of_a_bulk_body_stand_or_fall_alone(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        body = LINE % b"d0" + LINE % b"nobody" + LINE % b"d0"
        for sent, coding in ((body, ""), (gzip.compress(body), "gzip")):
            verdict = await reception.bulk(sent, coding)
            assert (verdict.accepted, verdict.refused_total, verdict.capped) == (2, 1, False)
            assert [(line.line, line.msg) for line in verdict.refused] == [(2, "Device not found")]
        assert (service.intake.received, service.counters.events_accepted) == (6, 4)
        assert service.counters.events_refused == {"unknown_device": 2}

    run(tmp_path, test)


def test_devices_and_metrics_of_a_bulk_body_are_made_on_the_way(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        line = b'{"device_id": "new", ' + AT + b', "metrics": {"cpu": 1, "fan": 2}}\n'
        assert (await reception.bulk(line + LINE % b"other", "")).accepted == 3
        assert {"new", "other"} <= set(service.registry.numbers)

    run(tmp_path, test, auto_register=True, auto_define=True)


def test_devices_of_a_bulk_body_are_registered_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception_module, "REGISTERED_AT_ONCE", 2)
    waiting = []

    async def test(service: Service, reception: Reception) -> None:
        register = service.newcomers.register

        def watched(device_id: str, *, scope: Scope) -> asyncio.Future[None]:
            outcome = register(device_id, scope=scope)
            waiting.append(len(service.newcomers._waiting))
            return outcome

        monkeypatch.setattr(service.newcomers, "register", watched)
        verdict = await reception.bulk(b"".join(LINE % b"n%d" % number for number in range(5)) + LINE % b"no id", "")
        assert (verdict.accepted, verdict.refused_total) == (5, 1)
        assert (len(waiting), max(waiting)) == (6, 2)

    run(tmp_path, test, auto_register=True)


def test_a_body_that_can_never_be_taken_is_one_refused_request_or_its_events_are_refused(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        with pytest.raises(Malformed):
            await reception.bulk(b"no gzip", "gzip")
        assert (service.intake.received, sum(service.counters.requests_refused.values())) == (0, 1)
        with pytest.raises(TooLarge):
            await reception.bulk(b'{"device_id": "d0", ' + AT + b', "metrics": {"cpu": 1, "fan": 2, "ram": 3}}', "")
        assert (service.intake.received, service.counters.events_refused) == (3, {"events_in_body": 3})

    run(tmp_path, test, auto_define=True, events_waiting_max=2, bulk_lines_max=2)


def test_ignored_fields_are_counted_for_single_reports_and_bulk_lines_and_shown_with_a_hint(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        await reception.heartbeat("d0", b'{"battery": 5, ' + AT + b"}")
        await reception.stats("d0", b'{"battery": 5, ' + AT + b', "upload_time": 7}')
        await reception.metrics("d0", b'{"battery": 5, ' + AT + b', "metrics": {"upload_time": 8}}')
        inventory = build_parts(Settings(), service).inventory
        assert (await inventory.device("d0")).ignored_fields == {"battery": 3}
        usual = b'{"device_id": "d0", ' + AT + b', "battery": 5}\n' + LINE % b"d0"
        await reception.bulk(usual, "")
        await reception.bulk(usual + b"\n" + usual, "")  # an empty line, so it is read line by line
        await reception.bulk(b'{"device_id": "new", ' + AT + b', "rssi": 5}\n', "")
        await reception.bulk(b'{"device_id": "d0", "sent_at": 1, "refused": 5}\n', "")
        shown = await inventory.device("d0")
        assert shown.ignored_fields == {"battery": 6}
        assert "battery; report values as metrics" in str(shown.notes)
        assert (await inventory.device("new")).ignored_fields == {"rssi": 1}
        assert dict(service.intake.unknown_fields.by_name) == {"battery": 6, "rssi": 1}

    run(tmp_path, test, auto_register=True)


def test_single_reports_and_lines_of_bulk_say_that_no_more_is_registered_or_defined_today(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        await reception.metrics("new", b"{" + AT + b', "metrics": {"cpu": 8}}')
        with pytest.raises(TooManyRequests, match="registrations_per_day"):
            await reception.heartbeat("newer", BEAT)
        with pytest.raises(TooManyRequests, match="definitions_per_day"):
            await reception.metrics("d0", b"{" + AT + b', "metrics": {"fan": 8}}')
        line = b'{"device_id": "d0", ' + AT + b', "metrics": {"fan": 8}}\n'
        verdict = await reception.bulk(line + LINE % b"newest" + LINE % b"d0", "")
        assert (verdict.accepted, [refused.line for refused in verdict.refused]) == (1, [1, 2])
        assert service.counters.events_refused == {"registrations_per_day": 2, "definitions_per_day": 2}

    run(tmp_path, test, auto_register=True, auto_define=True, registrations_per_day=1, definitions_per_day=1)


def test_a_device_above_its_rate_is_refused_before_its_body_is_read(tmp_path: Path) -> None:
    async def test(service: Service, reception: Reception) -> None:
        now = b'{"sent_at": "2024-10-04T12:00:00Z"%s}'
        await reception.heartbeat("d0", now % b"")
        await reception.ping("d0")
        for report in (reception.heartbeat, reception.stats, reception.metrics):
            with pytest.raises(TooManyRequests) as refused:
                await report("d0", now % b', "upload_time": 1, "metrics": {"upload_time": 2}')
            assert refused.value.reason == "device_rate"
        with pytest.raises(TooManyRequests):
            await reception.ping("d0")
        old = b'{"sent_at": "2024-10-03T12:00:00Z", "upload_time": 1, "metrics": {"upload_time": 2}}'
        for report in (reception.heartbeat, reception.stats, reception.metrics):
            await report("d0", old)
        with pytest.raises(TooManyRequests):
            await reception.heartbeat("d0", b"nobody reads this")
        assert service.counters.events_refused == {"device_rate": 5}

    run(tmp_path, test, device_burst=2, device_per_s=0.001, backlog_burst=3, backlog_per_s=0.001)
