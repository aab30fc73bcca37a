"""Raw data as a file that is made while it is read: a piece is made when the client has taken the one before.

What an export costs is bounded by how many there may be, by the size of its pieces, and by the time that a client may
take to read them: as long as an export runs, it keeps the files that it reads from being removed.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetpulse.blocks.history import History
from fleetpulse.errors import BrokenOff, Busy, DamagedData, NotAccepting
from fleetpulse.limits import ExportLimits
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.notation.cut_file import cut_text
from fleetpulse.pipeline.asker import current_asker
from fleetpulse.pipeline.computing import EXPORT, Computing
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.pace import Pace
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.views import Views
from fleetpulse.query.budget import abandoned
from fleetpulse.query.export import Piece, Selection, export_gaps, export_presence, export_samples
from fleetpulse.query.export_formats import Encoder, TimeUnit, has_finer_times, new_encoder
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.notes import ahead_notes
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("export")
PIECE_ROWS = {"csv": 8_192, "parquet": 65_536}
"""Rows of a piece: about 400 KB of CSV, or a row group of Parquet, which readers want larger, and which is smaller."""
STEP_S = 0.02
"""The longest that the thread looks for the next rows in one go, so that other exports have their turn."""
PAUSE_SHARE = 0.25
"""How long an export rests after a step, as a share of the step, so that it does not take a whole processor."""
RETRY_S = 5
LOOK_S = 0.1
"""How often it is looked at whether the client waits, before the first bytes: then a client that leaves is noticed."""
_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What is to be exported, of whom, and how; checked by `query.export_formats.check_export`."""

    what: str
    file_format: str
    window: Window
    labels: Sequence[tuple[str, str]]
    device_ids: Sequence[str]
    metrics: Sequence[MetricQuestion]
    is_deleted_included: bool = False


@dataclass(slots=True)
class ExportFile:
    """A file that is made while it is read. `body` must be closed, read or not."""

    media_type: str
    body: AsyncGenerator[bytes, None]
    notes: list[str]
    """On what the file leaves out."""


@dataclass(eq=False, kw_only=True)
class Exports:
    """Makes files, a piece at a time, in a thread of its own."""

    follower: Follower
    history: History
    registry: Registry
    views: Views
    counters: Counters
    limits: ExportLimits
    thread: Executor
    computing: Computing
    monotonic_s: Callable[[], float] = time.monotonic
    running: int = field(default=0, init=False)
    """Exports that have begun and have not ended."""
    _is_stopping: bool = field(default=False, init=False)

    async def file(self, request: ExportRequest) -> ExportFile:
        """A file whose first bytes are ready.

        Raises: UnknownDevice; OutOfRange; Busy: there are too many; NotAccepting: the service stops; DamagedData: the
        first piece cannot be read; QuestionStopped: nobody waits for it. What cannot be read later, and a client that
        reads too slowly, end the bytes with an error: the connection has to be cut then, since a file that ends early
        must not look whole.
        """
        media_type = _encoder(request).media_type
        selected = self.registry.seen_roster.with_labels(
            request.labels, is_deleted_included=request.is_deleted_included
        )
        if request.device_ids:
            is_named = np.zeros(len(selected), bool)
            number_of = partial(self.registry.number_of, is_deleted_included=request.is_deleted_included)
            is_named[[number_of(device_id) for device_id in request.device_ids]] = True
            selected &= is_named
        if self._is_stopping:
            raise NotAccepting("stopping", reason="stopping")
        if self.running >= self.limits.exports_max:
            self.counters.exports_refused["exports_max"] += 1
            raise Busy(
                f"{self.running} exports are running, and there may be no more at the same time (exports_max); "
                "ask again after the seconds of Retry-After",
                reason="exports_max",
                retry_after_s=RETRY_S,
            )
        notes: list[str] = []
        place = self._take_place()
        body = self._counted(request, selected, notes, place)
        try:
            await _while_waited_for(anext(body))  # it stops before the first byte
        except BaseException:
            await body.aclose()
            place.close()  # a body that has not begun does not do it
            raise
        return ExportFile(media_type, body, notes)

    def stop(self) -> None:
        """Begin no further export, and break off those that run: nobody can wait for their end."""
        self._is_stopping = True

    def _take_place(self) -> ExitStack:
        """Count an export as running until the place is closed, however often that is done.

        At once, since the body begins only when the loop comes to it: until then all requests of a burst would find the
        places free.
        """

        def leave() -> None:
            self.running -= 1

        self.running += 1
        place = ExitStack()
        place.callback(leave)
        return place

    async def _counted(
        self, request: ExportRequest, selected: NDArray[np.bool_], notes: list[str], place: ExitStack
    ) -> AsyncGenerator[bytes, None]:
        """Nothing once the first bytes are ready, and then these and all others. It counts how the export ends."""
        ended, has_begun = "abandoned", False
        try:
            async with aclosing(self._pieces_of_file(request, selected, notes)) as pieces:
                first = await anext(pieces, b"")
                yield b""
                has_begun = True
                pace = Pace(self.limits.export_bytes_per_s_lowest, "export_bytes_per_s_lowest", self.monotonic_s)
                pace.give(len(first))
                yield first
                async for piece in pieces:
                    if self._is_stopping:
                        raise BrokenOff("the service stops")
                    pace.take()
                    pace.give(len(piece))
                    yield piece
                ended = "complete"
        except DamagedData as error:
            ended = "damaged"
            log.error("an export ended early", error=str(error), todo="run `fleetpulse verify`")
            if has_begun:
                yield cut_text(str(error))
            raise
        except BrokenOff as error:
            ended = "stopped" if self._is_stopping else "slow"
            log.warning("an export was broken off", reason=str(error))
            raise
        finally:
            place.close()
            self.counters.exports_ended[ended] += 1

    async def _pieces_of_file(
        self, request: ExportRequest, selected: NDArray[np.bool_], notes: list[str]
    ) -> AsyncGenerator[bytes, None]:
        await self.follower.caught_up()
        with self.history.pinned():  # nothing is awaited until the views are taken: they read what is pinned
            begin = self._pieces(request, selected)
            if request.metrics and request.window.ends_now:
                look = partial(self._notes_of_samples, request, selected, self.views.samples())
                notes += await asyncio.get_running_loop().run_in_executor(self.thread, look)
            # A Parquet file names the unit of its times first, so all of them are looked at before.
            unit: TimeUnit = "ns"
            if request.file_format == "parquet" and not await self._has_finer_times(begin()):
                unit = "us"
            encoder = _encoder(request, unit=unit)
            async with aclosing(self._in_thread(begin(), encoder.piece)) as bodies:
                async for body in bodies:
                    yield body
            yield encoder.end()

    def _notes_of_samples(
        self, request: ExportRequest, selected: NDArray[np.bool_], complete: Callable[[], Samples]
    ) -> list[str]:
        metrics = [(question.number, question.metric) for question in request.metrics]
        codes = np.where(selected, 0, -1).astype(np.int32)
        with self.computing.turn(EXPORT):
            return ahead_notes(complete(), metrics, request.window, codes=codes)

    async def _has_finer_times(self, pieces: Iterator[Piece]) -> bool:
        async with aclosing(self._in_thread(pieces, has_finer_times)) as answers:
            async for is_finer in answers:
                if is_finer:
                    return True
        return False

    async def _in_thread(self, pieces: Iterator[Piece], use: Callable[[Piece], _Made]) -> AsyncGenerator[_Made, None]:
        """What `use` makes of each piece that has rows, in the thread, where each step is short."""
        loop = asyncio.get_running_loop()
        end_of_pieces: Piece = {}

        def step() -> tuple[bool, _Made | None]:
            """Whether the pieces have ended, and what was made, if anything."""
            started_s = time.monotonic()
            made = None
            piece: Piece = {}
            with self.computing.turn(EXPORT):
                while not piece and time.monotonic() - started_s < STEP_S:
                    piece = next(pieces, end_of_pieces)
                    if piece is end_of_pieces:
                        return True, None
                if piece:
                    made = use(piece)
            time.sleep((time.monotonic() - started_s) * PAUSE_SHARE)
            return False, made

        while True:
            has_ended, made = await loop.run_in_executor(self.thread, step)
            if made is not None:
                yield made
            if has_ended:
                return

    def _pieces(self, request: ExportRequest, selected: NDArray[np.bool_]) -> Callable[[], Iterator[Piece]]:
        """Look at everything now, on the loop; the pieces are made when they are asked for, in the thread.

        They may be asked for more than once, and are the same each time.
        """
        self.follower.catch_up()
        listing = self.registry.listing()
        make = self._samples if request.what == "samples" else self._presence
        rows = make(request)  # a view of what is exported, and of nothing else, since each copies what is in memory

        def pieces() -> Iterator[Piece]:
            ids = listing().ids
            is_csv = request.file_format == "csv"
            name_of = (lambda number: str(safe_cell(ids[number]))) if is_csv else ids.__getitem__
            # A device that came since was not selected.
            selection = Selection(name_of, selected[: len(ids)], PIECE_ROWS[request.file_format])
            yield from rows(selection)

        return pieces

    def _samples(self, request: ExportRequest) -> Callable[[Selection], Iterator[Piece]]:
        complete, window = self.views.samples(), request.window
        metrics = [(question.number, question.metric) for question in request.metrics]
        return lambda selection: export_samples(
            complete(), selection, metrics, start_ns=window.start_ns, end_ns=window.end_ns
        )

    def _presence(self, request: ExportRequest) -> Callable[[Selection], Iterator[Piece]]:
        window = request.window
        complete = self.views.fleet_from(window.start_ns)
        export = export_presence if request.what == "presence" else export_gaps
        return lambda selection: export(complete(), selection, start_ns=window.start_ns, end_ns=window.end_ns)


async def _while_waited_for(work: Awaitable[bytes]) -> None:
    """Wait for work, as long as the client does. Raises: what `work` raises; QuestionStopped: it has hung up."""
    asker, task = current_asker(), asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_S))[0]:
            if asker.look():
                raise abandoned()
        task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


def _encoder(request: ExportRequest, *, unit: TimeUnit = "ns") -> Encoder:
    kinds = {question.metric.kind for question in request.metrics}
    return new_encoder(request.what, request.file_format, kinds, unit=unit)
