"""Deliveries: what the outbox holds goes to its receivers, at least once, in order per alert, and nothing is lost.

    outbox (catalog) → lane of a receiver → a thread tries → the catalog records what came of it → the next one

Nothing is tried that is not stored. What was delivered counts only once the catalog has recorded it: a crash between
the two has the message sent again, with the same key. Receivers do not wait for each other, as long as there are
threads: a try ends after `delivery_timeout_s`, and one that failed waits outside of them.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import structlog

from fleetpulse.alert.receivers.alertmanager import forwarded_of, resent
from fleetpulse.alert.receivers.outcome import Outcome, failed
from fleetpulse.alert_settings import DeliverySettings
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.holding import holding
from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, Deposed, OperatorError
from fleetpulse.model.message import Message
from fleetpulse.model.outbox import OutboxAdded, OutboxEntry, Waiting
from fleetpulse.model.receiver import Receiver
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.delivery_lanes import RESENDING, WINDOW, DeliveryLane
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.sending import Sending
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("deliveries")
S_PER_H = 3_600
PRUNE_EVERY = 100
"""So many messages end until older ones that have ended are forgotten."""
RESEND_AT_ONCE = 500


@dataclass(eq=False, kw_only=True)
class Deliveries:
    """Tries to deliver what waits. On the event loop; `tick` is called a few times a second.

    Attributes:
        jitter: a number in [0, 1) at each call, so that receivers that fail together are not tried together.
        open_alerts: which of these alerts are still open; those that are not are no longer forwarded.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    counters: Counters
    threads: Threads
    receivers: Receivers
    sending: Sending
    lease: Lease
    limits: DeliverySettings
    jitter: Callable[[], float]
    open_alerts: Callable[[Collection[int]], Collection[int]] = field(default=lambda numbers: numbers)
    waiting: int = field(default=0, init=False)
    """How many messages wait for their delivery."""
    lanes: dict[str, DeliveryLane] = field(default_factory=dict, init=False)
    _is_running: bool = field(default=False, init=False)
    _must_look: bool = field(default=True, init=False)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _added: list[OutboxAdded] = field(default_factory=list, init=False)
    _ended_since_prune: int = field(default=0, init=False)
    _is_looking: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Deliver from now on: what waits since the last time, too."""
        self._is_running = True
        self.wake()

    def restart(self) -> None:
        """Know nothing of what waits but what the outbox says: another node delivers now, or did so until now."""
        self.lanes.clear()
        self.waiting, self._must_look = 0, True

    def wake(self) -> None:
        """Messages were stored: look for them now."""
        self._must_look = True
        self.tick()

    def store(self, messages: Sequence[Message]) -> OutboxAdded:
        """Put messages into the outbox. Blocks; on the catalog's thread, in the transaction of what they tell of."""
        added = self.catalog.outbox.add(messages, at_ns=self.clock.now_ns(), waiting_max=self.limits.outbox_max)
        self._added.append(added)
        return added

    def look(self) -> None:
        """Messages were stored, and are in effect: deliver them."""
        added, self._added = self._added, []
        for one in added:
            self._note(one)
        self.wake()

    def _note(self, added: OutboxAdded) -> None:
        """Say what had no room in the outbox."""
        if added.left_out or added.given_up:
            self.counters.messages_dropped["reminder"] += added.left_out
            self.counters.messages_dropped["full"] += added.given_up
            log.error(
                "the outbox is full (outbox_max): messages were given up",
                reminders_left_out=added.left_out,
                given_up=added.given_up,
                todo="see `fleetpulse alerts outbox`: mend the receivers, or remove them",
            )

    def oldest_s(self) -> float:
        """For how long the oldest message has waited; 0: none waits."""
        oldest_ns = [lane.queue[0].stored_at_ns for lane in self.lanes.values() if lane.queue]
        return max(0, self.clock.now_ns() - min(oldest_ns)) / NS_PER_S if oldest_ns else 0.0

    def tick(self) -> None:
        """Begin whatever is due."""
        if not (self._is_running and self.lease.is_held):
            return
        if self._must_look and not self._is_looking:
            self._is_looking, self._must_look = True, False
            self._begin(self._look())
        now_ns = self.clock.monotonic_ns()
        for name, receiver in self.receivers.routing.receivers.items():
            if receiver.kind == "alertmanager":
                self._lane(name)
        for lane in self.lanes.values():
            self._move(lane, now_ns)

    def _move(self, lane: DeliveryLane, now_ns: int) -> None:
        if lane.trying:
            return
        receiver = self.receivers.routing.receivers.get(lane.receiver)
        waiting = lane.next(now_ns)
        if waiting is not None:
            lane.trying = waiting.number
            self._begin(self._deliver(lane, waiting, receiver), lane)
        elif receiver is not None and receiver.kind == "alertmanager" and now_ns >= lane.resend_ns:
            lane.trying, lane.resend_ns = RESENDING, now_ns + int(self.limits.alertmanager_resend_s * NS_PER_S)
            self._begin(self._resend(receiver), lane)

    async def _look(self) -> None:
        """Read from the catalog which messages wait."""
        try:
            self.waiting = await self.catalog_thread.run(self.catalog.outbox.waiting_count)
            for name in await self.catalog_thread.run(self.catalog.outbox.receivers):
                lane = self._lane(name)
                lane.is_complete = False
                await self._fill(lane)
        finally:
            self._is_looking = False
        self.tick()  # further messages may have been stored meanwhile

    async def _fill(self, lane: DeliveryLane) -> None:
        if lane.wants_more:
            read = partial(self.catalog.outbox.waiting, lane.receiver, after=lane.after, limit=WINDOW)
            more = await self.catalog_thread.run(read)
            lane.extend(more, limit=WINDOW, now_ns=self.clock.monotonic_ns(), wall_ns=self.clock.now_ns())

    async def _deliver(self, lane: DeliveryLane, waiting: Waiting, receiver: Receiver | None) -> None:
        """Try to deliver one message, and record what came of it."""
        entry = await self.catalog_thread.run(partial(self.catalog.outbox.get, waiting.number))
        if entry is None or entry.state != "waiting":
            lane.ended(waiting.number)  # it was given up meanwhile, since the outbox was full
            return
        if receiver is None:
            await self._give_up(lane, waiting, "there is no such receiver any more", waiting.tries)
            return
        if entry.is_damaged:
            await self._give_up(lane, waiting, "its row in the catalog is damaged: it cannot be sent", waiting.tries)
            return
        outcome = await self._try(receiver, partial(self.sending.send, entry.message, receiver, lost=lane.lost))
        self.counters.deliveries["delivered" if outcome.is_delivered else "failed"] += 1
        if outcome.is_delivered:
            await self._delivered(lane, waiting, entry, receiver, outcome)
        else:
            await self._failed(lane, waiting, entry, outcome)
        await self._fill(lane)

    async def _try(self, receiver: Receiver, call: Callable[[], Outcome]) -> Outcome:
        executor = self.threads.apprise if receiver.kind == "apprise" else self.threads.deliveries
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, call)
        except Exception as error:
            # A defect of a sender must hold up neither the receiver for good nor others: it is a try that failed.
            log.error("a message could not be handed over by a defect", receiver=receiver.name, exc_info=error)
            return failed(f"this service has a defect ({type(error).__name__}); its log says which")

    async def _delivered(
        self, lane: DeliveryLane, waiting: Waiting, entry: OutboxEntry, receiver: Receiver, outcome: Outcome
    ) -> None:
        lane.succeeded()
        forwarded = forwarded_of(entry.message) if receiver.kind == "alertmanager" else None
        record = partial(
            self.catalog.outbox.delivered,
            waiting.number,
            outcome=outcome.text,
            tries=waiting.tries + 1,
            at_ns=self.clock.now_ns(),
            forwarded=forwarded,
        )
        await self._record(lane, waiting.number, record)
        lane.lost = 0
        log.info("delivered", receiver=lane.receiver, message=entry.message.key, kind=entry.message.kind)

    async def _failed(self, lane: DeliveryLane, waiting: Waiting, entry: OutboxEntry, outcome: Outcome) -> None:
        wall_ns, now_ns, limits = self.clock.now_ns(), self.clock.monotonic_ns(), self.limits
        changed = lane.failed(
            waiting,
            now_ns=now_ns,
            first_s=limits.delivery_retry_s,
            jitter=self.jitter,
            retry_after_s=outcome.retry_after_s,
        )
        is_too_old = wall_ns - waiting.stored_at_ns >= limits.delivery_give_up_h * S_PER_H * NS_PER_S
        if is_too_old or (outcome.is_refused and changed.tries >= limits.delivery_refusals_max):
            await self._give_up(lane, waiting, outcome.text, changed.tries)
            return
        log.warning(
            "a message could not be delivered; it is tried again",
            receiver=lane.receiver,
            message=entry.message.key,
            tries=changed.tries,
            error=outcome.text,
        )
        tries, next_ns = changed.tries, wall_ns + changed.next_try_ns - now_ns
        record = partial(
            self.catalog.outbox.tried, waiting.number, outcome=outcome.text, tries=tries, next_try_ns=next_ns
        )
        try:
            await self.catalog_thread.run(record)
        except Answerable as error:
            log.warning("how often a message was tried could not be recorded", error=str(error))

    async def _give_up(self, lane: DeliveryLane, waiting: Waiting, outcome: str, tries: int) -> None:
        lane.lost += 1
        self.counters.messages_dropped["dead"] += 1
        log.error(
            "a message was given up",
            receiver=lane.receiver,
            message=waiting.number,
            tries=tries,
            error=outcome,
            todo=f"mend the receiver, then `fleetpulse alerts outbox retry {waiting.number}`",
        )
        at_ns = self.clock.now_ns()
        record = partial(self.catalog.outbox.give_up, waiting.number, outcome=outcome, tries=tries, at_ns=at_ns)
        await self._record(lane, waiting.number, record)

    async def _record(self, lane: DeliveryLane, number: int, record: Callable[[], None]) -> None:
        """Record the end of a message. Until the catalog takes it, nothing else is sent to the receiver."""
        while True:
            try:
                await self.catalog_thread.run(record)
                break
            except Deposed:
                raise  # the node that has the lease delivers it once more, with the same key
            except Answerable as error:
                log.error("what was delivered could not be recorded; it is tried again", error=str(error))
                await asyncio.sleep(1)
        lane.ended(number)
        self.waiting = max(0, self.waiting - 1)
        self._ended_since_prune += 1
        if self._ended_since_prune >= PRUNE_EVERY:
            self._ended_since_prune = 0
            prune = partial(self.catalog.outbox.prune, kept_max=self.limits.outbox_kept_max)
            await self.catalog_thread.run(prune)

    async def _resend(self, receiver: Receiver) -> None:
        """Hand over again what fires, so that it does not end at an Alertmanager."""
        known = await self.catalog_thread.run(partial(self.catalog.outbox.forwarded, receiver.name))
        is_open = set(self.open_alerts(list(known)))
        ended = [number for number in known if number not in is_open]
        if ended:
            await self.catalog_thread.run(partial(self.catalog.outbox.end_forwarding, receiver.name, ended))
        bodies = [msgspec.json.decode(body) for number, body in known.items() if number in is_open]
        for start in range(0, len(bodies), RESEND_AT_ONCE):
            now_ns = self.clock.now_ns()
            alerts = resent(
                bodies[start : start + RESEND_AT_ONCE], at_ns=now_ns, resend_s=self.limits.alertmanager_resend_s
            )
            outcome = await self._try(receiver, partial(self.sending.resend, receiver, alerts))
            if not outcome.is_delivered:
                log.warning("alerts could not be handed over again", receiver=receiver.name, error=outcome.text)
                return

    async def retry(self, numbers: Collection[int]) -> int:
        """Have messages that were given up wait again. Returns: how many. Raises: NotAccepting; OutcomeUnknown."""
        count = await self.catalog_thread.run(partial(self.catalog.outbox.retry, list(numbers)))
        for lane in self.lanes.values():
            lane.restart()
        self.wake()
        return count

    def _lane(self, name: str) -> DeliveryLane:
        return self.lanes.setdefault(name, DeliveryLane(name))

    def _begin(self, work: Coroutine[Any, Any, None], lane: DeliveryLane | None = None) -> None:
        with holding(None):  # each piece of work is for the term in which it begins
            task = asyncio.get_running_loop().create_task(self._guarded(work, lane))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], lane: DeliveryLane | None) -> None:
        """Log what goes wrong; whatever waits is tried again."""
        try:
            with self.lease.holding():
                await work
        except Deposed as error:
            work.close()
            log.warning("deliveries are left to the node that has the lease", because=str(error))
            return
        except (Answerable, OperatorError, OSError) as error:
            log.error("deliveries could not go on; they are tried again", error=str(error))
            self._pause(lane)
        except Exception as error:
            log.error("deliveries could not go on by a defect; they are tried again", exc_info=error)
            self._pause(lane)
        if lane is not None and self.lanes.get(lane.receiver) is lane:
            lane.trying = 0
            if self._is_running:
                self._move(lane, self.clock.monotonic_ns())

    def _pause(self, lane: DeliveryLane | None) -> None:
        """Look into the outbox again, and wait before the next try at the receiver."""
        self._must_look = True
        if lane is not None:
            lane.not_before_ns = self.clock.monotonic_ns() + int(self.limits.delivery_retry_s * NS_PER_S)

    async def end(self, *, within_s: float) -> None:
        """Begin nothing new, wait for what is being tried, but not longer than this, and end the rest: it fails."""
        self._is_running = False
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=within_s)
        self.sending.close()
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=within_s)
            for task in late:
                task.cancel()
