"""Reports that come over the ASGI path: decoded, accepted, and answered when they are durable.

The front door answers plain reports by itself; here the same functions serve connections that were handed over, and
bulk bodies. Unknown devices are registered and unknown metrics defined on the way, where the service is set so.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import NamedTuple

from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.access_errors import TooManyRequests
from fleetpulse.clock import Clock
from fleetpulse.errors import (
    Answerable,
    DatabaseBusy,
    Malformed,
    NotAccepting,
    OutOfRange,
    Refusal,
    TooLarge,
    UnknownDevice,
    UnknownMetric,
)
from fleetpulse.ingest.bodies import HEARTBEAT_FIELDS, REPORT_FIELDS, STATS_FIELDS
from fleetpulse.ingest.bulk import BulkReader
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.decompress import decompress
from fleetpulse.ingest.future_waiter import FutureWaiter
from fleetpulse.ingest.intake import Intake
from fleetpulse.limits import IngestLimits
from fleetpulse.model.access import EVERYBODY
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.newcomers import Newcomers
from fleetpulse.pipeline.newest import Newest
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query import declaration_answers
from fleetpulse.telemetry.counters import Counters

_NOTHING = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
"""A bulk body without an event: whitespace at most, perhaps after a byte order mark."""
DEVICES_A_TURN = 32
"""Devices of a bulk body, unknown before, whose lines are settled before others of the loop have their turn."""
LINES_A_TURN = 1_000
"""Lines of a bulk body whose ignored fields are counted before others of the loop have their turn."""
REGISTERED_AT_ONCE = 1_000
"""Devices of a bulk body that are registered in one transaction: what follows on the event loop takes milliseconds."""


class Events(NamedTuple):
    """A call that adds decoded events of a device to the intake, for a waiter; their sent_at, and their number."""

    add: Callable[[int, FutureWaiter], None]
    sent_at_ns: int
    number: int = 1


@dataclass(eq=False, kw_only=True)
class Reception:
    """See the module."""

    clock: Clock
    intake: Intake
    registry: Registry
    newcomers: Newcomers
    rate_limits: RateLimits
    metric_definitions: MetricDefinitions
    newest: Newest
    counters: Counters
    limits: IngestLimits
    decompress_thread: Executor
    auto_define: bool
    _bulk_turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._bulk_turns = asyncio.Semaphore(self.limits.bulk_at_once_max)

    def refuse_request(self, error: Answerable) -> None:
        """Count a request that is refused before there is an event."""
        self.counters.requests_refused[error.reason] += 1

    async def heartbeat(self, device_id: str, body: bytes) -> None:
        """Accept a heartbeat. Raises: Answerable."""

        def decode() -> Events:
            sent_at_ns = decode_heartbeat(body, earliest_ns=self.intake.earliest_ns, latest_ns=self.intake.latest_ns)
            return Events(lambda device, waiter: self.intake.add_heartbeat(device, sent_at_ns, waiter), sent_at_ns)

        await self._accept(device_id, decode, body, HEARTBEAT_FIELDS)

    async def ping(self, device_id: str) -> None:
        """Accept a heartbeat at the time of the service's own clock. Raises: Answerable."""

        def now() -> Events:
            sent_at_ns = self.clock.now_ns()
            return Events(lambda device, waiter: self.intake.add_heartbeat(device, sent_at_ns, waiter), sent_at_ns)

        await self._accept(device_id, now, b"{}", ())

    async def stats(self, device_id: str, body: bytes) -> None:
        """Accept an upload time. Raises: Answerable."""

        def decode() -> Events:
            sent_at_ns, upload_time = decode_stats(
                body, earliest_ns=self.intake.earliest_ns, latest_ns=self.intake.latest_ns
            )
            return Events(
                lambda device, waiter: self.intake.add_sample(device, sent_at_ns, upload_time, waiter), sent_at_ns
            )

        await self._accept(device_id, decode, body, STATS_FIELDS)

    async def metrics(self, device_id: str, body: bytes) -> None:
        """Accept a report of metrics. Raises: Answerable."""

        def decode() -> Events:
            report = decode_metrics(
                body, earliest_ns=self.intake.earliest_ns, latest_ns=self.intake.latest_ns, known=self.intake.metrics
            )
            return Events(
                lambda device, waiter: self.intake.add_report(device, report, waiter), report.sent_at_ns, report.events
            )

        await self._accept(device_id, decode, body, REPORT_FIELDS)

    async def _accept(self, device_id: str, decode: Callable[[], Events], body: bytes, known: Collection[str]) -> None:
        lanes, known_device = self.rate_limits.devices, self.registry.numbers.get(device_id)
        try:
            self.intake.check()
            if known_device in lanes.spent:
                lanes.check(known_device)
            events = await self._decoded(device_id, decode)
            device = await self._known_device(device_id)
            self.intake.check(events.number)
            lanes.charge(device, events.sent_at_ns)
            waiter = FutureWaiter()
            events.add(device, waiter)
        except Answerable as error:
            if isinstance(error, Refusal) and known_device is not None:
                lanes.charge_refused(known_device)
            self.intake.received += 1
            self.counters.events_refused[error.reason] += 1
            raise
        # Counted only now: while its device is being registered, an event does not wait for the disk.
        self.intake.received += events.number
        self.intake.unknown_fields.look(device, body, known)
        await waiter.outcome

    async def _decoded(self, device_id: str, decode: Callable[[], Events]) -> Events:
        try:
            return decode()
        except UnknownMetric as error:
            if await self.newest.look_for_metrics(error.names):
                return decode()
            # A request whose device is unknown, and stays so, must not create metric definitions.
            is_known = device_id in self.registry.numbers or self.registry.auto_register
            if not self.auto_define or not is_known:
                raise
            await self.metric_definitions.define_unknown(error.names)
        return decode()

    async def _known_device(self, device_id: str) -> int:
        if self.registry.may_register(device_id):
            # Others wait for the same registration, so it must not be cancelled with this request.
            await asyncio.shield(self.newcomers.register(device_id, scope=current_asker().scope))
        return self.registry.number_of(device_id)

    async def bulk(self, body: bytes, coding: str) -> declaration_answers.BulkVerdict:
        """Accept many events at once; each line is accepted or refused on its own. Raises: Answerable."""
        async with self._bulk_turns:
            try:
                reader = await self._bulk_reader(body, coding)
            except Answerable as error:
                # How many events the body would have been is not known, so it counts as one request.
                self.refuse_request(error)
                raise
            self.rate_limits.charge_bulk(current_asker().principal or EVERYBODY, reader.lines)
            for _ in reader.pieces():
                await asyncio.sleep(0)
            try:
                await self._settle_unknown(reader)
            except (DatabaseBusy, NotAccepting) as error:
                self.refuse_request(error)
                raise
            await self._take(reader)
            return declaration_answers.BulkVerdict(
                len(reader.events), reader.refused, reader.refused_count, reader.refused_count > len(reader.refused)
            )

    async def _bulk_reader(self, body: bytes, coding: str) -> BulkReader:
        self.intake.check()
        self.intake.check_backlog()
        if coding not in ("", "identity"):
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(self.decompress_thread, decompress, body, coding, self.limits)
        reader = BulkReader(
            body,
            numbers=self.registry.seen_numbers,
            metrics=self.intake.metrics,
            latest_ns=self.intake.latest_ns,
            limits=self.limits,
        )
        if _NOTHING.fullmatch(body):
            raise Malformed("the body has no line, so nothing is reported; expected NDJSON, one event a line")
        return reader

    async def _take(self, reader: BulkReader) -> None:
        accepted = len(reader.events)
        self.intake.received += accepted + reader.refused_count
        self.counters.events_refused.update(reader.refused_reasons)
        if not accepted:
            return
        try:
            if accepted > self.intake.waiting_max:
                raise TooLarge(
                    f"{accepted} samples in one body are more than may ever wait for the disk (events_waiting_max): "
                    "send it in parts",
                    reason="events_in_body",
                )
            self.intake.check(accepted)
        except Answerable as error:
            self.counters.events_refused[error.reason] += accepted
            raise
        waiter = FutureWaiter()
        self.intake.not_measured += reader.not_measured
        self.intake.add_batch(reader.events, waiter)
        await waiter.outcome
        for place, (device_id, names) in enumerate(reader.ignored, 1):
            if place % LINES_A_TURN == 0:
                await asyncio.sleep(0)
            number = self.registry.numbers.get(device_id)
            if number is not None:
                self.intake.unknown_fields.count(number, names)

    async def _settle_unknown(self, reader: BulkReader) -> None:
        if not self.registry.auto_register:
            await self.newest.look_for_devices(reader.unknown)
        outcomes = await self._registered(list(filter(self.registry.may_register, reader.unknown)))
        for place, device_id in enumerate(list(reader.unknown)):
            if place % DEVICES_A_TURN == 0:
                await asyncio.sleep(0)
            error = outcomes[device_id] if device_id in outcomes else self._unknown(device_id)
            must_wait = isinstance(error, DatabaseBusy | NotAccepting)
            if error is not None and (must_wait or not isinstance(error, Answerable)):
                # A refused line is not sent again, and nothing of the body was accepted yet: the whole body is refused.
                raise error
            for _ in reader.settle_unknown(device_id, error):
                await asyncio.sleep(0)
        over_limit: TooManyRequests | None = None
        if reader.undefined:
            await self.newest.look_for_metrics(())
        if reader.undefined and self.auto_define:
            over_limit = await self._define({name for _, line in reader.undefined for name in line.metrics or ()})
        for _ in reader.settle_undefined(over_limit):
            await asyncio.sleep(0)
        reader.refused.sort(key=lambda refused: refused.line)

    def _unknown(self, device_id: str) -> UnknownDevice | None:
        """The refusal of a device; None: it is known meanwhile, since another node has declared it."""
        return None if device_id in self.registry.seen_numbers else self.registry.unknown(device_id)

    async def _registered(self, device_ids: Sequence[str]) -> dict[str, BaseException | None]:
        """Register the devices of a body, some at a time. What came of each; of none after one that must wait."""
        outcomes: dict[str, BaseException | None] = {}
        scope = current_asker().scope
        for first in range(0, len(device_ids), REGISTERED_AT_ONCE):
            piece = device_ids[first : first + REGISTERED_AT_ONCE]
            waited = (asyncio.shield(self.newcomers.register(device_id, scope=scope)) for device_id in piece)
            outcomes.update(zip(piece, await asyncio.gather(*waited, return_exceptions=True), strict=True))
            if any(isinstance(outcomes[device_id], DatabaseBusy | NotAccepting) for device_id in piece):
                break
        return outcomes

    async def _define(self, names: set[str]) -> TooManyRequests | None:
        """Define every name that can be one. Lines whose names cannot are refused later, each by itself.

        Returns: why there are no more today; None where all could be defined.
        """
        for name in sorted(names):
            try:
                await self.metric_definitions.define_unknown([name])
            except OutOfRange as error:
                if error.setting == "metrics_max":
                    return None
            except TooManyRequests as error:
                return error
            except (DatabaseBusy, NotAccepting):
                raise
            except Answerable:
                return None
        return None
