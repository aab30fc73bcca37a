"""Questions are answered from a view, and asked again where files were replaced meanwhile."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleetpulse.errors import DamagedData, NotAccepting, OutOfRange, QuestionStopped, UnknownDevice
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.maintenance import MaintenanceWindow
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.questions import TRIES
from fleetpulse.pipeline.service import Service
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from memory_service import DAY, NOON, SECOND, World, beat

HOUR = 3_600 * SECOND


def run(folder: Path, test: Callable[[Service, World], Awaitable[None]]) -> None:
    async def life() -> None:
        world = World(folder)
        service = await world.started("d0", "d1")
        await test(service, world)
        await service.node.stop()

    asyncio.run(life())


def replace_files(service: Service) -> None:
    """A checkpoint has just been committed."""
    service.history.manifest = replace(service.history.manifest)


def test_a_question_sees_every_acknowledged_event(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        await beat(service, "d0")
        assert await service.questions.status("d0") == ("up", NOON, NOON)
        assert (await service.questions.lifetime(service.registry.numbers["d0"])).figures.heartbeats == 1

    run(tmp_path, test)


def test_a_question_about_a_deleted_device_is_refused(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        await service.registry.delete([service.registry.numbers["d0"]])
        with pytest.raises(UnknownDevice):
            await service.questions.status("d0")

    run(tmp_path, test)


def test_a_question_whose_files_were_replaced_is_asked_again_but_not_for_ever(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        tries = 0

        def question(view: FleetView, *, replaced: int) -> int:
            nonlocal tries
            tries += 1
            if tries <= replaced:
                replace_files(service)
                raise DamagedData("a block is missing")
            return tries

        assert await service.questions.fleet(lambda view: question(view, replaced=2), start_ns=NOON) == 3
        tries = 0
        with pytest.raises(DamagedData):
            await service.questions.fleet(lambda view: question(view, replaced=9), start_ns=NOON)
        assert tries == TRIES

    run(tmp_path, test)


def test_damage_is_an_answer_where_no_file_was_replaced(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        tries = 0

        def question(view: FleetView) -> None:
            nonlocal tries
            tries += 1
            raise DamagedData("a block is missing")

        with pytest.raises(DamagedData):
            await service.questions.device("d0", question, start_ns=NOON)
        assert tries == 1

    run(tmp_path, test)


def test_an_answer_that_lacks_spans_is_asked_again_where_files_were_replaced(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        answers = iter([["a day"], []])

        class Answer:
            def __init__(self) -> None:
                replace_files(service)
                self.missing = next(answers)

        assert (await service.questions.fleet(lambda view: Answer(), start_ns=NOON)).missing == []

    run(tmp_path, test)


def test_a_series_of_the_fleet_has_a_point_for_each_step(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        await beat(service, "d0")
        world.clock.ns += 2 * HOUR
        window = Window(NOON, NOON + 2 * HOUR, HOUR)
        answer = await service.questions.fleet_uptime(window, by="", labels=())
        (group,) = answer.groups
        assert group.series
        assert [(point.up_s, point.accountable_s) for point in group.series] == [(60, 3_600), (0, 3_600)]
        assert (answer.fleet.up_s, answer.fleet.accountable_s) == (60, 7_200)
        with pytest.raises(OutOfRange, match="steps are more than"):
            await service.questions.fleet_uptime(Window(NOON - DAY, NOON, 60 * SECOND), by="", labels=())

    run(tmp_path, test)


def test_the_fleet_at_a_glance_names_its_worst_devices(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        await beat(service, "d1")
        world.clock.ns += HOUR
        window = Window(NOON, NOON + HOUR)
        answer = await service.questions.fleet_stats(window, labels=())
        assert [(device.id, device.up_s, device.accountable_s) for device in answer.worst] == [("d1", 60, 3_600)]
        assert (answer.devices.total, answer.devices.by_status["new"], answer.devices.by_status["down"]) == (2, 1, 1)
        assert answer.upload_time.count == 0

    run(tmp_path, test)


def test_which_devices_there_are_is_asked_with_their_ids(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        ids = await service.questions.devices(lambda seen: list(seen[1].ids), start_ns=NOON)
        assert ids == ["d0", "d1"]

    run(tmp_path, test)


def test_a_question_waits_in_the_lane_of_its_estimated_work_and_not_of_its_route(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        answered = service.counters.questions_answered
        await service.questions.fleet(lambda view: view.count, start_ns=NOON)
        assert answered == {"small": 1}
        await service.questions.fleet(lambda view: view.count, start_ns=NOON, cost_ms=1_000)
        assert answered == {"small": 1, "big": 1}

    run(tmp_path, test)


def test_a_question_of_a_client_that_has_gone_is_stopped_by_its_budget(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        asker = Asker("a")
        set_asker(asker)

        def question(view: FleetView) -> None:
            asker.is_gone = True
            view.budget.check()

        with pytest.raises(QuestionStopped):
            await service.questions.fleet(question, start_ns=NOON)
        assert service.counters.questions_stopped == {"question_abandoned": 1}

    run(tmp_path, test)


@pytest.mark.parametrize("what", ["status", "lifetime"])
@pytest.mark.parametrize("end", ["applied", "hang-up", "deadline"])
def test_waiting_for_events_to_be_applied_is_watched_as_work_is(end: str, what: str, tmp_path: Path) -> None:
    class Behind:
        """A follower that has much to apply, and does so when it is told to."""

        def __init__(self, fleet: Fleet) -> None:
            self.fleet, self.is_behind = fleet, True
            self.applied: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def caught_up(self) -> None:
            await self.applied

        def catch_up(self) -> None:
            assert not self.is_behind

    async def test(service: Service, world: World) -> None:
        is_gone, follower = False, Behind(service.fleet)
        service.questions._follower = follower  # type: ignore[assignment]  # as far as it is used
        set_asker(Asker("a", lambda: is_gone))
        number = service.registry.numbers["d0"]
        question = service.questions.status("d0") if what == "status" else service.questions.lifetime(number)
        task = asyncio.ensure_future(question)  # type: ignore[arg-type]  # either
        await asyncio.sleep(0)
        is_gone = end == "hang-up"
        if end == "deadline":
            world.clock.ns += 31 * SECOND
        service.questions.lanes.look()
        if end == "applied":
            follower.is_behind = False
            follower.applied.set_result(None)
            assert await task
        else:
            with pytest.raises(QuestionStopped):
                await task
            assert follower.applied.cancelled()
            assert sum(service.counters.questions_stopped.values()) == 1
        assert sum(service.questions.lanes.running().values()) == 0

    run(tmp_path, test)


def test_status_of_few_devices_is_found_on_the_loop_for_a_part_of_its_time(tmp_path: Path) -> None:
    async def test(service: Service, world: World) -> None:
        takes_ns = 0

        def thread(_: object) -> str:
            world.clock.ns += takes_ns
            return threading.current_thread().name.partition("_")[0]

        async def ask(*, is_uptime_wanted: bool = False) -> str:
            return await service.questions.devices(thread, start_ns=NOON, is_uptime_wanted=is_uptime_wanted)

        on_loop, in_lane = threading.current_thread().name, "small-questions"
        takes_ns = 100
        assert await ask() == on_loop
        takes_ns = 0
        assert await ask() == in_lane, "the loop has other work for twice as long"
        world.clock.ns += 200
        assert await ask() == on_loop
        assert await ask(is_uptime_wanted=True) == in_lane, "it may read blocks"
        await service.planned_downtime.put_window(MaintenanceWindow("w", "", {}, ("d0",), NOON, NOON + 1))
        assert await ask() == in_lane, "what is excluded takes longer to find"
        assert service.counters.questions_answered["small"] == 5
        service.questions.lanes.stop()
        with pytest.raises(NotAccepting):
            await ask()

    run(tmp_path, test)
