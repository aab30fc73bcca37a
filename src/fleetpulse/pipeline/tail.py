"""The tail: this node follows what all nodes append to the shared journal, and applies it in the order of the stream.

In come entries from a thread of the journal, our own included; out they go to the follower, which holds the fleet.
What this node appends is not applied when it is acknowledged, but when it comes back: so the fleet of every node is a
function of the stream alone. An entry may name devices that the catalog has known for a moment only, so it says which
version of the catalog it needs; while the catalog cannot be read up to that, nothing is applied, and reads are refused.
Nothing here survives a crash: a start goes on behind the position of the snapshot.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence

import structlog

from fleetpulse.errors import Answerable, DamagedData, Malformed, NotAccepting
from fleetpulse.journal.entry import decode_entry
from fleetpulse.journal.journal import Journal
from fleetpulse.model.events import EventBatch, EventColumns, Position
from fleetpulse.pipeline.catalog_follower import CatalogFollower, Policies
from fleetpulse.pipeline.doubtful_entries import DoubtfulEntries
from fleetpulse.pipeline.follow import APPLY_AT_EVENTS, SLICE_S, Follower
from fleetpulse.pipeline.position_waits import PositionWaits
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("tail")
HANDED_OVER_MAX = 64
"""Pieces of the stream that wait for the event loop: then the thread of the journal waits, and NATS keeps the rest."""
PENDING_EVENTS_MAX = 4 * APPLY_AT_EVENTS
"""With so many events, what was taken is applied before more is, so that the stream cannot fill the memory."""
CATALOG_RETRY_S = 0.2
"""How often the catalog is read again for an entry that needs it."""
HEADER = "Fleetpulse-Position"
POSITION_DIGITS_MAX = 18
BEHIND = "behind"
"""The reason of refusals of questions that this node cannot answer yet."""


class Tail:
    """See the module. On the event loop, unless it says otherwise."""

    def __init__(
        self,
        *,
        journal: Journal,
        follower: Follower,
        catalog: CatalogFollower,
        policies: Policies,
        counters: Counters,
        metric_count: Callable[[], int],
        wait_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`metric_count`: how many metrics this node knows. `wait_s`: how long questions wait for entries."""
        self.acked: Position = 0
        """The last entry of this node whose senders were answered: what is asked here waits until it is applied."""
        self.on_acked: Callable[[Position], None] = _nothing
        """Is told `acked`, before the senders are answered."""
        self.on_missed: Callable[[Position], None] | None = None
        """Is told the first entry that is left in the stream, where ours is not: a newer snapshot must be loaded."""
        self.trouble: str = ""
        """Why entries cannot be applied at the moment; empty where they can."""
        self._journal = journal
        self._follower = follower
        self._catalog = catalog
        self._policies = policies
        self._counters = counters
        self._metric_count = metric_count
        self._wait_s = wait_s
        self._monotonic_s = monotonic_s
        self._broken: DamagedData | None = None
        self._entries: deque[tuple[Position, EventColumns]] = deque()
        self._own: deque[tuple[Position, int]] = deque()
        """Our acknowledged entries that have not come back yet, with their events."""
        self.doubts = DoubtfulEntries(counters)
        """Those of the writer."""
        self._own_taken = 0
        """Events of ours that have come back, and are not counted as applied yet."""
        self._waits = PositionWaits()
        self._reading: asyncio.Task[None] | None = None
        self._taken = 0
        """Pieces that were handed over and keep their room until all of them are applied."""
        self._run = 0
        """Counts how often following began, since what an earlier run hands over late must not be taken."""
        self._room = threading.Semaphore(HANDED_OVER_MAX)
        self._stop: Callable[[], None] | None = None
        follower.is_shared = True

    @property
    def position(self) -> Position:
        """The entry to which the next read sees the fleet."""
        return self._follower.position

    @property
    def waiting(self) -> int:
        """Entries that are here and cannot be applied yet."""
        return len(self._entries)

    @property
    def is_following(self) -> bool:
        """Whether entries are taken from the stream."""
        return self._stop is not None

    def begin(self) -> None:
        """Follow the stream behind the follower's position."""
        if self._broken is not None:
            return  # until the service starts anew
        self._loop = asyncio.get_running_loop()
        self._run += 1
        run, self._room = self._run, threading.Semaphore(HANDED_OVER_MAX)
        room = self._room

        def deliver(entries: Sequence[tuple[Position, bytes]]) -> None:
            self._hand_over(run, room, entries)

        def missed(first: Position) -> None:
            self._call(lambda: self._missed(run, first))

        self._stop = self._journal.follow(after=self._follower.position, deliver=deliver, missed=missed)

    def restart(self) -> None:
        """Follow anew, behind the position that the follower has now: it has loaded another snapshot."""
        self._end_following()
        self.begin()
        self._wake()

    def pause(self) -> None:
        """Follow no more, until `restart`: a snapshot is about to be loaded."""
        self._end_following()

    async def end(self) -> None:
        """Take nothing more."""
        self._end_following()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
        self._waits.end()

    def _end_following(self) -> None:
        stop, self._stop = self._stop, None
        self._run += 1
        self._entries.clear()
        self._taken = 0
        for _ in range(HANDED_OVER_MAX):
            self._room.release()  # the thread of the journal must not wait for us when it is asked to end
        if stop is not None:
            stop()

    def _call(self, work: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:
            log.debug("the loop has ended before the journal's thread")

    def _hand_over(self, run: int, room: threading.Semaphore, entries: Sequence[tuple[Position, bytes]]) -> None:
        """Read entries and pass them to the loop; in a thread of the journal, which waits here for room."""
        if run != self._run:
            return
        try:
            read = [(position, decode_entry(body, where=f"journal entry {position}")) for position, body in entries]
        except DamagedData as error:
            damage = error
            self._call(lambda: self._break(run, damage))
            return
        room.acquire()
        self._call(lambda: self._arrived(run, room, read))

    def _arrived(self, run: int, room: threading.Semaphore, entries: list[tuple[Position, EventColumns]]) -> None:
        if run != self._run:
            room.release()
            return
        self._taken += 1
        self._entries.extend(entries)
        if self._reading is None:
            self._take()

    def _missed(self, run: int, first: Position) -> None:
        if run == self._run:
            log.warning("the stream begins behind what was applied", applied=self.position, first=first)
            if self.on_missed is None:
                self._break(run, DamagedData(f"the stream begins at entry {first}; restart, to load a newer snapshot"))
            else:
                self.on_missed(first)

    def _break(self, run: int, error: DamagedData) -> None:
        if run == self._run:
            self.trouble, self._broken = str(error), error
            log.error("the stream cannot be followed any further", error=str(error))
            self._follower.break_off()
            self._end_following()  # else the whole stream would gather here

    def _take(self) -> None:
        """Give the follower what it can apply; where an entry needs more of the catalog, read that first."""
        follower, entries, monotonic_s = self._follower, self._entries, self._monotonic_s
        end_s = monotonic_s() + SLICE_S
        while entries and self._broken is None:
            position, columns = entries[0]
            version = int(columns.catalog_version.max(initial=follower.fleet.catalog_version))
            if version > self._catalog.known:
                self._begin(self._catalog_read(version))
                return
            if self._policies.is_due(version):
                self._begin(self._policies_changed(version))
                return
            if self._has_unknown(columns):
                self._begin(self._catalog_read(0))
                return
            if follower.pending_events >= PENDING_EVENTS_MAX or monotonic_s() >= end_s:
                self._begin(self._others_had_their_turn())
                return
            entries.popleft()
            follower.take(columns, position)
            self.doubts.came(columns)
        for _ in range(self._taken):
            self._room.release()
        self._taken = 0
        if follower.pending_events >= APPLY_AT_EVENTS or follower.is_behind:
            follower.go_on()
        self._wake()

    def _has_unknown(self, columns: EventColumns) -> bool:
        devices, metrics = self._follower.fleet.count, self._metric_count()
        return any(
            len(numbers) and int(numbers.max()) >= count
            for numbers, count in (
                (columns.heartbeat_devices, devices),
                (columns.sample_devices, devices),
                (columns.sample_metrics, metrics),
            )
        )

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        """Do what the next entry needs first; meanwhile nothing is taken."""
        self._wake()
        self._reading = self._loop.create_task(work)

    async def _others_had_their_turn(self) -> None:
        """Let the rest of the loop have its turn, and apply what was taken where it is much; then go on."""
        await asyncio.sleep(0)
        if self._follower.is_behind or self._follower.pending_events >= PENDING_EVENTS_MAX:
            await self._however_long(self._follower.caught_up)
        self._reading = None
        self._take()

    async def _catalog_read(self, version: int) -> None:
        """Bring memory to a version of the catalog, 0: to the newest, however long it takes, and go on."""
        run = self._run
        await self._however_long(lambda: self._catalog.reach(version))
        if run == self._run and not version and self._has_unknown(self._entries[0][1]):
            self._break(run, DamagedData(f"entry {self._entries[0][0]} names what the catalog has never known"))
            return
        self._take()

    async def _policies_changed(self, version: int) -> None:
        """Apply all that came before the next entry, let policies change, and go on."""

        async def change() -> None:
            await self._follower.caught_up()
            await self._policies.advance(version)

        await self._however_long(change)
        self._take()

    async def _however_long(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that needs the catalog, again and again while the catalog is away; the end of `_reading`."""
        run = self._run
        try:
            while run == self._run:
                try:
                    await work()
                    break
                except DamagedData:
                    raise
                except Exception as error:  # if it broke the follower, the next try says so
                    if not self.trouble:
                        is_defect = not isinstance(error, Answerable | OSError)
                        log.warning("entries wait for the catalog", error=str(error), exc_info=is_defect)
                    self.trouble = f"what other nodes received waits for the catalog: {error}"
                    await asyncio.sleep(CATALOG_RETRY_S)
            if self.trouble and self._broken is None:
                log.info("entries are applied again")
                self.trouble = ""
        except DamagedData as error:
            self._break(run, error)
        finally:
            self._reading = None

    def _wake(self) -> None:
        """Let those go on whose position is reached."""
        position = self._follower.position
        while self._own and self._own[0][0] <= position:
            self._own_taken += self._own.popleft()[1]
        self._waits.wake(position)

    def committed(self, batch: EventBatch, position: Position) -> None:
        """An entry of ours is durable. It is applied when it comes back."""
        self.acked = max(self.acked, position)
        if len(batch):
            self._own.append((position, len(batch)))
        self.on_acked(self.acked)

    @property
    def own_pending(self) -> int:
        """Acknowledged events of this node that are not applied yet. What is applied since is counted."""
        self._wake()
        if not self._follower.pending_events:
            self._counters.events_applied += self._own_taken
            self._own_taken = 0
        return self._own_taken + sum(events for _, events in self._own)

    def check(self) -> None:
        """Raises: DamagedData: nothing more can be applied."""
        if self._broken is not None:
            raise self._broken

    async def wait_for(self, shown: str | None) -> None:
        """Let a question go on when it sees what it must: all that was answered here, and the position that it shows.

        Raises: Malformed: that is none; NotAccepting: it takes too long.
        """
        position = self.acked
        if shown is not None:
            if not (shown.isascii() and shown.isdigit() and len(shown) <= POSITION_DIGITS_MAX):
                raise Malformed(f"{HEADER} must be a number, as an answer of this service had it")
            position = max(position, int(shown))
        if position > self._follower.position:
            await self.reach(position, within_s=self._wait_s)

    async def reach(self, position: Position, *, within_s: float) -> None:
        """Wait until the next read sees entry `position`. Raises: NotAccepting: it does not come in time."""
        if position <= self._follower.position:
            return
        if not await self._waits.reached(position, within_s=within_s):
            raise self.refusal(position)

    def refusal(self, position: Position) -> NotAccepting:
        """Why a question is not answered that must see entry `position`."""
        because = f": {self.trouble}" if self.trouble else ""
        return NotAccepting(
            f"this node has applied the journal up to {self.position}, and not yet up to {position}{because}; "
            "ask again after the seconds of Retry-After, or another node",
            reason=BEHIND,
            retry_after_s=1,
        )


def _nothing(_position: Position) -> None:
    pass
