"""Raw data as a file that is made while it is sent."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np
import structlog

from fleetpulse.blocks.history import History
from fleetpulse.errors import DamagedData
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.views import Views
from fleetpulse.query.export import Piece, export_gaps, export_presence, export_samples
from fleetpulse.query.export_formats import Encoder, TimeUnit, new_encoder, unit_of
from fleetpulse.query.metric_answers import MetricQuestion
from fleetpulse.query.window import Window

log = structlog.get_logger("export")


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


@dataclass(eq=False, frozen=True, kw_only=True)
class Exports:
    """Makes files, a piece at a time, in a thread of its own."""

    follower: Follower
    history: History
    registry: Registry
    views: Views
    thread: Executor

    async def file(self, request: ExportRequest) -> tuple[str, AsyncIterator[bytes]]:
        """The media type of a file, and its bytes.

        Raises: UnknownDevice; OutOfRange; DamagedData: the first piece cannot be read. What cannot be read later ends
        the bytes with an error, so that the connection breaks off: a file that ends early must not look whole.
        """
        media_type = _encoder(request).media_type
        selected = self.registry.roster.with_labels(request.labels, is_deleted_included=request.is_deleted_included)
        if request.device_ids:
            is_named = np.zeros(len(selected), bool)
            number_of = partial(self.registry.number_of, is_deleted_included=request.is_deleted_included)
            is_named[[number_of(device_id) for device_id in request.device_ids]] = True
            selected &= is_named
        rest = self._bytes(request, selected)
        first = await anext(rest, b"")
        return media_type, _joined(first, rest)

    async def _bytes(
        self, request: ExportRequest, selected: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    ) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        with self.history.pinned():
            begin = self._pieces(request, selected)
            pieces = begin()

            def more() -> bytes | None:
                piece = next(pieces, None)
                return None if piece is None else encoder.piece(piece)

            try:
                # A Parquet file names the unit of its times first, so all of them are looked at before.
                is_parquet = request.file_format == "parquet"
                unit = await loop.run_in_executor(self.thread, unit_of, begin()) if is_parquet else "ns"
                encoder = _encoder(request, unit=unit)
                while (body := await loop.run_in_executor(self.thread, more)) is not None:
                    yield body
            except DamagedData as error:
                log.error("an export ended early", error=str(error), todo="run `fleetpulse verify`")
                raise
            yield encoder.end()

    def _pieces(
        self, request: ExportRequest, selected: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    ) -> Callable[[], Iterator[Piece]]:
        """Look at everything now, on the loop; the pieces are made when they are asked for, in the thread.

        They may be asked for more than once, and are the same each time.
        """
        self.follower.catch_up()
        window = request.window
        listing, seen, samples = (self.registry.listing(), self.views.fleet_from(window.start_ns), self.views.samples())

        def pieces() -> Iterator[Piece]:
            is_csv = request.file_format == "csv"
            ids = np.array([safe_cell(name) if is_csv else name for name in listing().ids], np.object_)
            is_selected = np.zeros(len(ids), bool)  # a device that came since was not selected
            is_selected[: len(selected)] = selected
            start_ns, end_ns = window.start_ns, window.end_ns
            if request.what == "samples":
                metrics = [(question.number, question.metric) for question in request.metrics]
                yield from export_samples(samples(), ids, is_selected, metrics, start_ns=start_ns, end_ns=end_ns)
            elif request.what == "presence":
                yield from export_presence(seen(), ids, is_selected, start_ns=start_ns, end_ns=end_ns)
            else:
                yield from export_gaps(seen(), ids, is_selected, start_ns=start_ns, end_ns=end_ns)

        return pieces


def _encoder(request: ExportRequest, *, unit: TimeUnit = "ns") -> Encoder:
    kinds = {question.metric.kind for question in request.metrics}
    return new_encoder(request.what, request.file_format, kinds, unit=unit)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
