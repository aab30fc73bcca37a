"""The follower: applies durable batches to the live fleet, in journal order.

Applying need not happen before the ack, only before the next read; so it is put off and done for thousands at once.
A large batch is applied in slices, between which the event loop serves others. Whoever reads waits for the slices.
After a crash the replay of the journal does the same work.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Generator

from fleetpulse.errors import DamagedData
from fleetpulse.live.fleet import Fleet
from fleetpulse.live.frozen import Freezing, FrozenFleet
from fleetpulse.model.events import EventBatch, EventColumns, Position
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.pipeline.readiness import blocks_away
from fleetpulse.telemetry.counters import Counters

APPLY_AT_EVENTS = 16_384
PIECE_EVENTS = 16_384
"""Applied in one go: two milliseconds, since fewer at a time would cost more each."""
PIECE_BATCHES = 1_024
"""So many small batches are applied in one go at most, however few events they have: a few milliseconds."""
LATE_PIECE_EVENTS = 4_096
"""The same of a large batch with late data, which costs several times as much."""
SLICE_S = 0.004
"""After so long other work of the loop has its turn; the piece that was begun may take some milliseconds more."""


def _next_turn(call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(call)


class Follower:
    """The only writer of events to the fleet. `position` is the journal entry that `catch_up` brings the fleet to."""

    def __init__(
        self,
        fleet: Fleet,
        counters: Counters,
        *,
        position: Position = 0,
        later: Callable[[Callable[[], None]], None] = _next_turn,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`later` has a call made when the rest of the loop has had its turn."""
        self.fleet = fleet
        self.position = position
        self._counters = counters
        self._later = later
        self._monotonic_s = monotonic_s
        self._pending: deque[EventColumns] = deque()
        self._pending_events = 0
        self._pending_since_s = 0.0
        self._is_broken = False
        self.is_away = False
        """The fleet has no snapshot, so nothing can be applied: the journal keeps the events until it is replayed."""
        self._freezing: Freezing | None = None
        """Copies of the fleet that are being made; what is durable waits for them."""
        self._is_on_hold = False
        self._is_turn_due = False
        self._waiting: list[asyncio.Future[None]] = []
        self.is_shared = False
        """Whether other nodes append to the journal, too: then time passes here by its entries, not by our clock."""
        self.on_cut: Callable[[Position, int], Freezing | None] | None = None
        """Is called, with position and time, right after the events of an entry with which a checkpoint begins."""
        self._cuts: deque[Position] = deque()

    @property
    def pending_events(self) -> int:
        """Durable events that are not applied yet."""
        return self._pending_events

    @property
    def lag_s(self) -> float:
        """How long ago the first of the events came that are not applied; 0 where there are none."""
        return self._monotonic_s() - self._pending_since_s if self._pending else 0.0

    def follow(self, batch: EventBatch, position: Position) -> None:
        """Take the next durable batch, which is entry `position` of the journal."""
        if self.is_away:
            self.position = position
            self._pending_events += len(batch)
            return
        self.take(EventColumns.of(batch), position)
        if self._pending_events >= APPLY_AT_EVENTS:
            self.go_on()

    def take(self, columns: EventColumns, position: Position) -> None:
        """Take the next durable entry, and apply it later."""
        self.position = position
        if not self._pending:
            self._pending_since_s = self._monotonic_s()
        events = len(columns)
        if events > LATE_PIECE_EVENTS:
            is_late = not columns.is_shared and self._is_late(columns)  # shared ones are cut alike by every node
            self._pending.extend(columns.cut(LATE_PIECE_EVENTS if is_late else PIECE_EVENTS))
        else:
            self._pending.append(columns)
        if len(columns.checkpoint_ns):
            self._cuts.append(position)
        self._pending_events += events

    def _is_late(self, columns: EventColumns) -> bool:
        open_from_ns = self.fleet.open_from_day * NS_PER_DAY
        return any(
            bool(len(sent_at_ns)) and int(sent_at_ns.min()) < open_from_ns
            for sent_at_ns in (columns.heartbeat_sent_at_ns, columns.sample_sent_at_ns)
        )

    def pending_of(self, device: int) -> int:
        """Durable events of one device that are not applied yet."""
        return sum(
            int((column == device).sum())
            for batch in self._pending
            for column in (batch.heartbeat_devices, batch.sample_devices)
        )

    def blind_ns(self) -> list[tuple[int, int]]:
        """The blind spans of all that is durable, applied or not. Quick. Raises: as `catch_up`."""
        self._check()
        if self.is_shared or any(len(batch.correction_ns) for batch in self._pending):
            self.catch_up()  # it changes spans of before; there are hardly any
        pending = [span for batch in self._pending for span in batch.blind_ns.tolist()]
        return [*self.fleet.blind_ns, *zip(pending[::2], pending[1::2], strict=True)]

    @property
    def is_behind(self) -> bool:
        """Whether there is more to do before a read than `catch_up` should do in one go."""
        most = PIECE_EVENTS if self._freezing is None and not self._is_on_hold else 0
        is_much = self._pending_events > most or len(self._pending) > PIECE_BATCHES
        return is_much and not self._is_broken and not self.is_away

    async def caught_up(self) -> None:
        """Apply all that is durable, in slices. Every read waits for this first, so it finds what was answered 204.

        When it returns, and until something else is awaited, the fleet is the one at `position`.

        Raises: DamagedData: see `catch_up`.
        """
        while self.is_behind:
            await self._next_slice()
        self.catch_up()

    async def _next_slice(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.go_on()
        await turn

    async def frozen(self) -> tuple[Position, FrozenFleet]:
        """Freeze the fleet for a checkpoint, in slices: the position, and the fleet as it is there.

        Raises: DamagedData: see `catch_up`.
        """
        await self.caught_up()
        position, self._freezing = self.position, self.fleet.freeze()
        return position, await self.completed(self._freezing)

    async def completed(self, freezing: Freezing) -> FrozenFleet:
        """What is being copied, when it is complete. Raises: DamagedData: see `catch_up`."""
        while not freezing.is_complete:
            await self._next_slice()
        if self._freezing is freezing:
            self._freezing = None
        return freezing.complete()

    @contextlib.contextmanager
    def hold(self) -> Generator[None, None, None]:
        """Let another thread read the whole fleet; reads wait that need more. One at a time, after `caught_up`.

        Who cannot wait changes the fleet nevertheless: its `revision` says so.
        """
        self._is_on_hold = True
        try:
            yield
        finally:
            self._is_on_hold = False
            if self._pending or self._waiting:
                self.go_on()

    def catch_up(self) -> None:
        """Apply all that is durable at once: for whoever cannot wait.

        Raises: DamagedData: an earlier call failed in its middle, so the fleet is no state of the journal.
            NotAccepting: the fleet has no snapshot yet.
        """
        self._check()
        while self._pending:
            self._apply_piece()

    def come_back(self, position: Position) -> None:
        """The fleet has its snapshot, and the journal was replayed up to `position`, where it ends."""
        self.position, self.is_away = position, False
        if not self.is_shared:
            self._counters.events_applied += self._pending_events
        self._pending_events = 0

    def advance(self, now_ns: int) -> None:
        """Apply all that is durable, and open the day of `now_ns` in the fleet. Raises: DamagedData: see `catch_up`."""
        self.catch_up()
        self._open_days(now_ns)

    def _open_days(self, now_ns: int) -> None:
        self.fleet.advance(self.fleet.alive_at_ns if self.is_shared else now_ns)

    def move_on(self, now_ns: int) -> None:
        """Do the same, in later turns of the loop where it is more than a piece. Raises: DamagedData."""
        self._check()
        if not self.is_behind:
            self.catch_up()
        self._open_days(now_ns)
        if self._pending or self.fleet.sparse.touches(self.fleet.dense):
            self.go_on()

    def _check(self) -> None:
        if self.is_away:
            raise blocks_away()
        if self._is_broken:
            raise DamagedData("the live fleet is half applied after a defect: restart, and the journal has everything")

    @property
    def is_broken(self) -> bool:
        """Whether nothing can be applied any more, until the service starts anew."""
        return self._is_broken

    def break_off(self) -> None:
        """Nothing can be applied any more, so nothing may read the fleet as if it were up to date."""
        self._is_broken = True

    def go_on(self) -> None:
        """Apply what is durable, in later turns of the loop."""
        if not self._is_turn_due and not self._is_broken and not self._is_on_hold:
            self._is_turn_due = True
            self._later(self._turn)

    def _turn(self) -> None:
        """Work for one slice of time; again in the next turn while more than a piece is left."""
        self._is_turn_due = False
        if self._is_on_hold:
            return  # its end goes on
        end_s = self._monotonic_s() + SLICE_S
        try:
            is_left = self._step()
            while is_left and self._monotonic_s() < end_s:
                is_left = self._step()
            if is_left:
                self.go_on()
        finally:
            waiting, self._waiting = self._waiting, []
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)

    def _step(self) -> bool:
        """Do one piece of work; whether there is more."""
        if self._freezing is not None and not self._freezing.is_complete:
            self._freezing.copy_piece()
            return True
        if self._pending:
            self._apply_piece()
            return bool(self._pending) or self.fleet.sparse.touches(self.fleet.dense)
        return self.fleet.sparse.settle_into(self.fleet.dense)

    def _apply_piece(self) -> None:
        """Apply the oldest batches, of at most PIECE_EVENTS events together."""
        if self._freezing is not None:
            self._freezing.complete()
            self._freezing = None
        piece = [self._pending.popleft()]
        events = len(piece[0])
        is_large = events >= LATE_PIECE_EVENTS or bool(self._cuts and len(piece[0].checkpoint_ns))
        while self._pending and not is_large and events + len(self._pending[0]) <= PIECE_EVENTS:
            if len(piece) >= PIECE_BATCHES:
                break
            is_large = len(self._pending[0]) >= LATE_PIECE_EVENTS
            is_large = is_large or bool(self._cuts and len(self._pending[0].checkpoint_ns))
            events += len(self._pending[0])
            piece.append(self._pending.popleft())
        # If applying fails, nothing may read the fleet any more; a checkpoint, above all, must not store it.
        self._is_broken = True
        self.fleet.revision += 1
        self.fleet.apply(piece)
        if self._cuts and len(piece[-1].checkpoint_ns):
            self._cut(int(piece[-1].checkpoint_ns[0]))
        self._is_broken = False
        if self.is_shared:
            self._counters.events_followed += events
        else:
            self._counters.events_applied += events
        self._pending_events -= events

    def _cut(self, checkpoint_ns: int) -> None:
        position = self._cuts.popleft()
        self.fleet.advance(max(self.fleet.alive_at_ns, checkpoint_ns))
        if self.on_cut is not None:
            self._freezing = self.on_cut(position, checkpoint_ns)
