"""Questions: a view is taken on the event loop, and a thread answers from it alone.

Each question is estimated first, and waits for its turn in the lane of small questions or in that of big ones.
Where a checkpoint or a compaction has replaced files meanwhile, the question is asked again with a new view.
"""

import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.history import History
from fleetpulse.clock import Clock
from fleetpulse.errors import DamagedData
from fleetpulse.heap import give_back
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.status import Status
from fleetpulse.model.uptime import FORMULA
from fleetpulse.pipeline.asker import Asker
from fleetpulse.pipeline.computing import BIG, SMALL, Computing, Turn
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.kept_turns import keep_turn
from fleetpulse.pipeline.lanes import Lanes, Ticket
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.views import Views
from fleetpulse.query.answers import DeviceAccount, DeviceStats, FleetMetrics
from fleetpulse.query.budget import Budget, QuestionMemory
from fleetpulse.query.cost import device_cost_ms, fleet_cost_ms, fleet_series_cost_ms, list_cost_ms, samples_cost_ms
from fleetpulse.query.declarations_used import declarations_used
from fleetpulse.query.devices import Listing
from fleetpulse.query.fleet import Labels, Uploads, check_steps, fleet_glance, fleet_stats, fleet_uptime, upload_times
from fleetpulse.query.groups import Groups
from fleetpulse.query.metric_answers import MetricQuestion, check_figures, fleet_metrics, within_retention
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.reads import Samples
from fleetpulse.query.stats import Lifetime, device_account, device_stats, lifetime_figures
from fleetpulse.query.status import device_status
from fleetpulse.query.uptime_answers import FleetStats, FleetUptime, WorstDevices
from fleetpulse.query.view import FleetView
from fleetpulse.query.window import Window
from fleetpulse.query.worst import WorstQuestion, find_worst, worst_devices

GIVEN_BACK_BYTES = 8_388_608
"""Memory of a question from which on what it has freed is returned to the system at once."""
HERE_DEVICES_MAX = 2_000
"""Devices of which the status is found on the event loop, in some 0.3 ms."""
HERE_PAUSE = 2
"""How long no question is answered on the event loop after one, in lengths of that one."""
TRIES = 4
"""How often a question is asked in all, where its files are replaced each time."""
_Answer = TypeVar("_Answer")
_View = TypeVar("_View")
_Seen_co = TypeVar("_Seen_co", covariant=True)


class _Look(Protocol[_Seen_co]):
    """Takes a view on the event loop; what it returns completes the view in the thread of the question."""

    def __call__(self, *, budget: Budget) -> Callable[[], _Seen_co]: ...


class Questions:
    """Asks questions."""

    def __init__(
        self,
        *,
        clock: Clock,
        follower: Follower,
        history: History,
        registry: Registry,
        metric_definitions: MetricDefinitions,
        views: Views,
        limits: QuestionLimits,
        lanes: Lanes,
        computing: Computing,
    ) -> None:
        self.limits = limits
        self.memory = QuestionMemory(limits.questions_memory_max)
        self._clock = clock
        self._follower = follower
        self._history = history
        self._registry = registry
        self._metric_definitions = metric_definitions
        self._views = views
        self.lanes = lanes
        self._computing = computing
        self._here_from_ns = 0
        """When a question may be answered on the event loop again."""

    async def stats(self, device_id: str, *, is_deleted_included: bool = False) -> DeviceStats:
        """Uptime and average upload time over the whole life of a device. Raises: UnknownDevice."""
        number = self._registry.number_of(device_id, is_deleted_included=is_deleted_included)
        lifetime = await self.lifetime(number)
        return device_stats(lifetime.figures, lifetime.missing)

    async def lifetime(self, device: int) -> Lifetime:
        """Lifetime figures of a device, all acknowledged events included. Only late data takes a thread and blocks."""
        if self._follower.is_behind:
            async with self.lanes.turn("small") as ticket:
                await self._caught_up(ticket)
        self._follower.catch_up()
        fleet = self._follower.fleet
        is_late = bool(self._history.manifest.late) or any(map(self._history.has_closed, fleet.touched_days(device)))
        if is_late or fleet.has_doubtful_uploads(device):
            question = partial(lifetime_figures, upload_time=self._metric_definitions.kept()[UPLOAD_TIME])
            return await self.ask(self._device_cost_ms(0), partial(self._views.lifetime, device), question)
        return Lifetime(fleet.figures(device, known={}), [])

    def account(self, device: int) -> DeviceAccount:
        """How many events of a device there are; nothing is applied first, so that it tells what is pending."""
        return device_account(self._follower.fleet, device, pending=self._follower.pending_of(device))

    async def device(
        self,
        device_id: str,
        question: Callable[[FleetView], _Answer],
        *,
        start_ns: int,
        more_ms: float = 0,
        is_deleted_included: bool = False,
    ) -> _Answer:
        """Ask about the past of one device, a fleet of one, from `start_ns` on. Raises: UnknownDevice.

        Args: more_ms: about what the question costs more than reading that past.
        """

        def look(*, budget: Budget) -> Callable[[], FleetView]:
            # It may have been deleted meanwhile.
            number = self._registry.number_of(device_id, is_deleted_included=is_deleted_included)
            return self._views.device(device_id, number, start_ns=start_ns, budget=budget)

        return await self.ask(self._device_cost_ms(start_ns) + more_ms, look, question)

    async def status(self, device_id: str) -> tuple[Status, int, int]:
        """Status of a device now, since when, and when it was last heard (0: never), in ns. Raises: UnknownDevice."""
        now_ns = self._clock.now_ns()
        if self._may_answer_here(devices=1):
            number = self._registry.number_of(device_id)
            return self._answer_here(partial(self._views.device, device_id, number, start_ns=now_ns), device_status)
        return await self.device(device_id, device_status, start_ns=now_ns)

    async def fleet(
        self, question: Callable[[FleetView], _Answer], *, start_ns: int, cost_ms: float | None = None
    ) -> _Answer:
        """Ask about the past of all devices from `start_ns` on. `cost_ms`: of all that it is a part of."""
        cost_ms = self._fleet_cost_ms(start_ns) if cost_ms is None else cost_ms
        return await self.ask(cost_ms, partial(self._views.fleet_from, start_ns), question)

    def _device_cost_ms(self, start_ns: int) -> float:
        return device_cost_ms(self._history.manifest, start_ns=start_ns, now_ns=self._clock.now_ns())

    def _fleet_cost_ms(self, start_ns: int) -> float:
        devices, now_ns = self._registry.roster.count, self._clock.now_ns()
        return fleet_cost_ms(self._history.manifest, devices=devices, start_ns=start_ns, now_ns=now_ns)

    async def fleet_uptime(
        self,
        window: Window,
        *,
        by: str,
        labels: Labels,
        is_deleted_included: bool = False,
        formula: str = FORMULA,
        is_mean_wanted: bool = False,
    ) -> FleetUptime:
        """See `query.fleet.fleet_uptime`. Raises: OutOfRange: too many steps."""
        check_steps(window, groups=1, limits=self.limits)
        about = partial(
            fleet_uptime,
            window=window,
            by=by,
            labels=labels,
            is_deleted_included=is_deleted_included,
            formula=formula,
            is_mean_wanted=is_mean_wanted,
            limits=self.limits,
        )
        steps = window.buckets if window.step_ns is not None else 0
        series_ms = fleet_series_cost_ms(devices=self._registry.roster.count, steps=steps)
        cost_ms = self._fleet_cost_ms(window.start_ns) + series_ms
        return await self.fleet(about, start_ns=window.start_ns, cost_ms=cost_ms)

    async def fleet_stats(self, window: Window, *, labels: Labels, is_deleted_included: bool = False) -> FleetStats:
        """The fleet at a glance, with upload times of what retention leaves of the window."""
        about = partial(fleet_glance, window=window, labels=labels, is_deleted_included=is_deleted_included)
        glance = await self.fleet(about, start_ns=window.start_ns)
        ids = await self._ids_of([one.number for one in glance.worst])
        return fleet_stats(window, glance, await self.upload_times(window, glance.selection), ids=ids)

    async def upload_times(self, window: Window, selection: NDArray[np.bool_]) -> Uploads:
        """Upload times of what retention leaves of a window. Args: selection: whose, bool, shape (devices,)."""
        upload_time = self._metric_definitions.metrics[UPLOAD_TIME]
        kept = within_retention(window, upload_time, self._clock.now_ns())
        question = partial(upload_times, metric=upload_time, window=kept, selection=selection)
        return await self.samples(
            question, cost_ms=self._samples_cost_ms([MetricQuestion(0, upload_time, "p50")], kept)
        )

    async def worst_devices(self, window: Window, question: WorstQuestion) -> WorstDevices:
        """The devices with the lowest uptime, or availability."""
        about = partial(find_worst, window=window, question=question)
        found = await self.fleet(about, start_ns=window.start_ns)
        ids = await self._ids_of([one.number for one in found.devices])
        return worst_devices(window, found, measure=question.measure, ids=ids)

    async def _ids_of(self, numbers: Sequence[int]) -> dict[int, str]:
        records = await self._registry.records_of(numbers)
        return {number: record.device.id for number, record in zip(numbers, records, strict=True)}

    async def fleet_metrics(
        self,
        window: Window,
        metrics: Sequence[MetricQuestion],
        *,
        by: str,
        labels: Labels,
        is_deleted_included: bool = False,
    ) -> FleetMetrics:
        """See `query.metric_answers.fleet_metrics`. Raises: OutOfRange: the answer would be too large."""
        roster = self._registry.seen_roster
        groups = Groups.of(roster, by, roster.with_labels(labels, is_deleted_included=is_deleted_included))
        check_figures(self.limits, metrics, groups, window)
        now_ns = self._clock.now_ns()
        question = partial(fleet_metrics, questions=metrics, groups=groups, by=by, window=window, now_ns=now_ns)
        cost_ms = self._samples_cost_ms(metrics, window, groups=len(groups))
        declarations = declarations_used(self._views.declared, window, devices=sum(groups.sizes))
        answer = await self.samples(question, cost_ms=cost_ms)
        answer.declarations = declarations
        answer.notes += selection_notes(roster, labels, by=by)
        return answer

    async def devices(
        self, question: Callable[[tuple[FleetView, Listing]], _Answer], *, start_ns: int, is_uptime_wanted: bool = False
    ) -> _Answer:
        """Ask which devices there are. `is_uptime_wanted`: whether their uptime from `start_ns` on is looked at."""

        def look(*, budget: Budget) -> Callable[[], tuple[FleetView, Listing]]:
            fleet, listing = self._views.fleet_from(start_ns, budget=budget), self._registry.listing()
            return lambda: (fleet(), listing())

        if not is_uptime_wanted and self._may_answer_here(devices=self._registry.roster.count):
            return self._answer_here(look, question)
        cost_ms = self._fleet_cost_ms(start_ns) if is_uptime_wanted else list_cost_ms(self._registry.roster.count)
        return await self.ask(cost_ms, look, question)

    def _may_answer_here(self, *, devices: int) -> bool:
        """Whether a question about the status of so many devices is answered on the event loop.

        It reads no blocks, and of few devices takes less than to hand it to a thread, and its answer back. All such
        questions together get a third of the loop's time; those beyond it wait for their turns in the lane.
        """
        is_brief = devices <= HERE_DEVICES_MAX and self._views.is_plain and not self._follower.is_behind
        return is_brief and self._clock.monotonic_ns() >= self._here_from_ns

    def _answer_here(self, look: "_Look[_View]", question: Callable[[_View], _Answer]) -> _Answer:
        began_ns = self._clock.monotonic_ns()
        budget = Budget(memory=self.memory, question_memory_max=self.limits.question_memory_max)
        try:
            with self.lanes.on_loop("small"):
                self._follower.catch_up()
                return question(look(budget=budget)())
        finally:
            budget.close()
            now_ns = self._clock.monotonic_ns()
            self._here_from_ns = now_ns + HERE_PAUSE * (now_ns - began_ns)

    async def device_metrics(
        self, question: Callable[[Samples], _Answer], metrics: Sequence[MetricQuestion], window: Window
    ) -> _Answer:
        """Ask about metrics of one device over a window."""
        cost_ms = self._samples_cost_ms(metrics, window, is_of_one=True)
        return await self.samples(question, cost_ms=cost_ms)

    def _samples_cost_ms(
        self, metrics: Sequence[MetricQuestion], window: Window, *, groups: int = 1, is_of_one: bool = False
    ) -> float:
        return samples_cost_ms(self._history.manifest, metrics, window, groups=groups, is_of_one=is_of_one)

    async def samples(self, question: Callable[[Samples], _Answer], *, cost_ms: float) -> _Answer:
        """Ask about metrics."""
        return await self.ask(cost_ms, partial(self._views.samples, self._metric_definitions.kept()), question)

    async def ask(self, cost_ms: float, look: "_Look[_View]", question: Callable[[_View], _Answer]) -> _Answer:
        """The answer to a question of a view. Args: cost_ms: an estimate; small questions have a lane of their own."""
        # The view is taken when the turn has come: a question that waits holds no copies, and sees what is true then.
        is_small = cost_ms <= self.limits.small_question_ms
        computing = partial(self._computing.turn, SMALL if is_small else BIG)
        async with self.lanes.turn("small" if is_small else "big") as ticket:
            for tries_left in reversed(range(TRIES)):
                await self._caught_up(ticket)
                budget = self._budget(ticket.asker)
                manifest, complete = self._history.manifest, look(budget=budget)
                try:
                    found = await self.lanes.run(ticket, partial(_answer, question, complete, budget, computing))
                except DamagedData:
                    if manifest is self._history.manifest or not tries_left:
                        raise
                    continue  # a checkpoint has just replaced the file
                if manifest is self._history.manifest or not tries_left or not getattr(found, "missing", None):
                    keep_turn(self.lanes, ticket, self.memory, found, computing)
                    return found
        raise AssertionError("the last try answers or raises")

    async def _caught_up(self, ticket: Ticket) -> None:
        """Wait until all that is durable is applied, as long as the client waits and the question has time."""
        while self._follower.is_behind:
            await self.lanes.wait(ticket, self._follower.caught_up())
        self._follower.catch_up()

    def _budget(self, asker: Asker) -> Budget:
        assert asker.deadline_ns is not None, "its turn has set it"
        return Budget(
            memory=self.memory,
            question_memory_max=self.limits.question_memory_max,
            deadline_ns=asker.deadline_ns,
            timeout_s=self.limits.question_timeout_s,
            monotonic_ns=self._clock.monotonic_ns,
            is_gone=lambda: asker.is_gone,
        )


def _answer(
    question: Callable[[_View], _Answer],
    complete: Callable[[], _View],
    budget: Budget,
    computing: Callable[[], AbstractContextManager[Turn]],
) -> _Answer:
    try:
        with computing() as turn:
            budget.pass_on = turn.pass_on
            budget.check()
            return question(complete())
    except BaseException as error:
        # Else the traceback would keep everything that the question has read, for as long as the error is known.
        traceback.clear_frames(error.__traceback__)
        raise
    finally:
        is_large = budget.peak_bytes >= GIVEN_BACK_BYTES
        budget.close()
        if is_large:
            give_back()
