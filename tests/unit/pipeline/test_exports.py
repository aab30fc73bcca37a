"""Exports: files that are made while they are sent, and break off where data are damaged."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fleetpulse.app import build_parts
from fleetpulse.errors import BrokenOff, Busy, DamagedData, OutOfRange, QuestionStopped, UnknownDevice
from fleetpulse.model.metric import BUILT_IN, MetricDefinition
from fleetpulse.notation.cut_file import read_cut
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.exports import PIECE_ROWS, ExportRequest, Exports
from fleetpulse.pipeline.pace import PATIENCE_S
from fleetpulse.pipeline.service import Service
from fleetpulse.query.export_formats import check_export
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.window import Window
from fleetpulse.settings import Settings
from memory_service import NOON, SECOND, Sender, World, beat

HOUR = Window(NOON - 3_600 * SECOND, NOON + SECOND)


def run(folder: Path, test: Callable[[Service, World, Exports], Awaitable[None]]) -> None:
    async def life() -> None:
        world = World(folder)
        service = await world.started("d0", "=d1")
        for device_id in ("d0", "=d1"):
            await beat(service, device_id)
        await test(service, world, build_parts(Settings(), service).exports)
        await service.node.stop()

    asyncio.run(life())


def request(what: str = "presence", file_format: str = "csv", **fields: object) -> ExportRequest:
    rest = {"window": HOUR, "labels": (), "device_ids": (), "metrics": (), **fields}
    return ExportRequest(what=what, file_format=file_format, **rest)  # type: ignore[arg-type]  # fields of one struct


async def body_of(exports: Exports, wanted: ExportRequest) -> bytes:
    body = (await exports.file(wanted)).body
    return b"".join([piece async for piece in body])


def test_a_csv_has_a_row_for_every_minute_and_no_formula(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        lines = (await body_of(exports, request())).decode().splitlines()
        assert lines == ["device_id,minute", *(f'"{name}","2024-10-04T12:00:00.000000Z"' for name in ("d0", "'=d1"))]

    run(tmp_path, test)


def test_parquet_has_the_ids_as_they_are(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        table = pq.read_table(BytesIO(await body_of(exports, request(file_format="parquet"))))
        assert table.column("device_id").to_pylist() == ["d0", "=d1"]

    run(tmp_path, test)


def test_only_the_named_devices_are_exported_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        assert b"d1" not in await body_of(exports, request(device_ids=["d0"]))
        assert (await body_of(exports, request(labels=[("site", "x")]))).decode().splitlines() == ["device_id,minute"]
        with pytest.raises(UnknownDevice):
            await exports.file(request(device_ids=["nobody"]))

    run(tmp_path, test)


def test_a_parquet_file_of_two_kinds_of_values_is_refused(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        questions = [MetricQuestion(0, BUILT_IN, "avg"), MetricQuestion(1, MetricDefinition(name="cpu"), "avg")]
        with pytest.raises(OutOfRange, match="one kind"):
            await exports.file(request("samples", "parquet", metrics=questions))

    run(tmp_path, test)


def test_damaged_data_are_an_error_before_the_first_byte(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        world.clock.ns += 2 * 86_400 * SECOND
        service.fleet.advance(world.clock.ns)
        assert await service.housekeeping.checkpoint()
        for file in service.history.manifest.presence.values():
            world.store.remove(file.name)
        with pytest.raises(DamagedData):
            await exports.file(request())

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("what", "file_format", "has_types"), [("x", "csv", False), ("samples", "x", False), ("presence", "csv", True)]
)
def test_what_cannot_be_exported_is_refused(what: str, file_format: str, has_types: bool) -> None:
    check_export("samples", "csv", has_types=True)
    with pytest.raises(OutOfRange):
        check_export(what, file_format, has_types=has_types)


def test_more_exports_than_allowed_are_refused_until_one_ends(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        exports.limits = Settings(exports_max=2)
        bodies = [(await exports.file(request())).body for _ in range(2)]
        assert b"fleetpulse_exports_running 2" in service.self_metrics.page()
        with pytest.raises(Busy) as refusal:
            await exports.file(request())
        assert (refusal.value.reason, refusal.value.retry_after_s > 0) == ("exports_max", True)
        await bodies[0].aclose()  # its client has left before it read anything
        assert b"d0" in await body_of(exports, request())
        assert b"d0" in b"".join([piece async for piece in bodies[1]])
        with pytest.raises(UnknownDevice):
            await exports.file(request(device_ids=["nobody"]))
        assert exports.running == 0
        assert b"fleetpulse_exports_running 0" in service.self_metrics.page()
        assert service.counters.exports_refused == {"exports_max": 1}
        assert service.counters.exports_ended == {"abandoned": 1, "complete": 2}

    run(tmp_path, test)


def test_of_a_burst_of_exports_only_as_many_begin_as_are_allowed(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        exports.limits = Settings(exports_max=2)
        found = await asyncio.gather(*(exports.file(request()) for _ in range(5)), return_exceptions=True)
        assert [type(one) for one in found[2:]] == [Busy] * 3
        for one in found[:2]:
            assert not isinstance(one, BaseException)
            await one.body.aclose()
        assert exports.running == 0

    run(tmp_path, test)


def test_an_export_whose_request_is_cancelled_before_it_begins_leaves_its_place(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        task = asyncio.ensure_future(exports.file(request()))
        await asyncio.sleep(0)
        assert exports.running == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert exports.running == 0

    run(tmp_path, test)


def test_a_client_that_reads_too_slowly_is_broken_off_and_its_files_are_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PIECE_ROWS, "csv", 1)

    async def test(service: Service, world: World, exports: Exports) -> None:
        now_s = 0.0
        exports.monotonic_s = lambda: now_s
        body = (await exports.file(request())).body
        assert await anext(body)
        now_s += PATIENCE_S - 1
        assert await anext(body)
        now_s += 2
        with pytest.raises(BrokenOff, match="export_bytes_per_s_lowest"):
            await anext(body)
        assert exports.running == 0
        assert service.counters.exports_ended == {"slow": 1}

    run(tmp_path, test)


def test_an_export_that_is_damaged_midway_ends_with_the_name_of_the_block_and_an_error(tmp_path: Path) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        for _ in range(3):
            world.clock.ns += 86_400 * SECOND
            service.fleet.advance(world.clock.ns)
            await beat(service, "d0")
        assert await service.housekeeping.checkpoint()
        window = Window(NOON - SECOND, world.clock.ns)
        assert (await body_of(exports, request(window=window))).count(b"d0") == 3
        body = (await exports.file(request(window=window))).body
        first = await anext(body)
        for file in service.history.manifest.presence.values():
            world.store.remove(file.name)
        assert first.count(b"d0") == 1
        lost = read_cut(await anext(body)).split()[1]
        assert lost in {file.name for file in service.history.manifest.presence.values()}
        with pytest.raises(DamagedData):
            await anext(body)
        assert service.counters.exports_ended == {"complete": 1, "damaged": 1}

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("ends_now", "fields", "count"),
    [
        (True, {}, "2 samples"),
        (True, {"device_ids": ["d0"]}, "1 sample"),
        (True, {"file_format": "parquet"}, "2 samples"),
        (True, {"labels": [("site", "x")]}, None),
        (False, {}, None),
    ],
)
def test_a_file_of_samples_says_how_many_are_ahead_of_now_as_answers_do(
    tmp_path: Path, ends_now: bool, fields: dict[str, object], count: str | None
) -> None:
    async def test(service: Service, world: World, exports: Exports) -> None:
        for device_id in ("d0", "=d1"):
            sender = Sender()
            number, at_ns = service.registry.numbers[device_id], world.clock.now_ns() + 60 * SECOND
            service.intake.add_sample(number, at_ns, 7, sender)
            await service.writer.drain()
            await sender.outcome
        window = Window(NOON - 3_600 * SECOND, world.clock.now_ns(), ends_now=ends_now)
        metrics = service.metric_definitions.questions("upload_time", None)
        file = await exports.file(request("samples", window=window, metrics=metrics, **fields))
        await file.body.aclose()
        tail = "of upload_time ahead of now: the window ends now, and leaves out what comes later"
        assert file.notes == ([] if count is None else [f"{count} {tail}"])

    run(tmp_path, test)


def test_an_export_whose_client_leaves_before_its_first_bytes_is_given_up(tmp_path: Path) -> None:
    async def test(service: Service, _: World, exports: Exports) -> None:
        hangs = threading.Event()
        exports.thread.submit(hangs.wait)
        set_asker(Asker("a", lambda: exports.running == 1))
        with pytest.raises(QuestionStopped):
            await exports.file(request())
        assert exports.running == 0
        assert service.counters.exports_ended == {"abandoned": 1}
        hangs.set()

    run(tmp_path, test)
