"""Raw data as a file: CSV or Parquet, streamed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import numpy as np
import structlog
from litestar import get
from litestar.response import Stream

from fleetpulse.api.metrics import read_labels, read_types
from fleetpulse.api.parameters import read_query, ready, window_of
from fleetpulse.api.problems import AnyRequest
from fleetpulse.errors import DamagedData, OutOfRange, UnknownDevice
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.pipeline.service import Service
from fleetpulse.query.devices import Listing
from fleetpulse.query.export import ALIASES, COLUMNS, NAMES, Piece, export_gaps, export_presence, export_samples
from fleetpulse.query.export_formats import FLOAT, INTEGER, CsvEncoder, Encoder, ParquetEncoder
from fleetpulse.query.metrics import Samples
from fleetpulse.query.view import FleetView

log = structlog.get_logger("api")
FORMATS = ("csv", "parquet")


@get("/api/v1/export")
async def get_export(request: AnyRequest, node: Service) -> Stream:
    """Raw samples, minutes of presence or reception gaps of a window: `?what=samples&types=cpu&window=1d&format=parquet`."""
    ready(node)
    asked = read_query(request, "what", "types", "format", "window", "from", "to", repeated=("label", "device"))
    name, kind = asked.get("what", "samples"), asked.get("format", "csv")
    if name not in NAMES or kind not in FORMATS:
        raise OutOfRange(
            f"what must be one of {', '.join(NAMES)}, and format one of {', '.join(FORMATS)}", reason="export"
        )
    what = ALIASES.get(name, name)
    window = window_of(asked, node, default="24h")
    chosen = node.registry.roster.with_labels(read_labels(request))
    named = request.query_params.getall("device", [])
    if named:
        numbers = [node.registry.numbers.get(device_id) for device_id in named]
        if None in numbers:
            raise UnknownDevice
        is_named = np.zeros(len(chosen), bool)
        is_named[[number for number in numbers if number is not None]] = True
        chosen &= is_named
    if "types" in asked and what != "samples":
        raise OutOfRange(f"`types` is of samples; {name} has none", reason="export")
    types = read_types(asked, node) if what == "samples" else []
    kinds = {metric.kind for _, metric, _ in types}
    if kind == "parquet" and len(kinds) > 1:
        raise OutOfRange(
            "one Parquet file holds values of one kind: ask for the integer metrics and the float ones apart",
            reason="export",
        )
    span = {"start_ns": window.start_ns, "end_ns": window.end_ns}

    def look() -> Iterator[Piece]:
        node.follower.catch_up()
        return pieces(node.registry.listing(), node.views.fleet_from(window.start_ns), node.views.samples())

    def pieces(
        listing: Callable[[], Listing], seen: Callable[[], FleetView], samples: Callable[[], Samples]
    ) -> Iterator[Piece]:
        ids = np.array(
            [safe_cell(device_id) if kind == "csv" else device_id for device_id in listing().ids], np.object_
        )
        asked_for = np.zeros(len(ids), bool)  # a device may have come since: it was not asked for
        asked_for[: len(chosen)] = chosen
        if what == "samples":
            yield from export_samples(
                samples(), ids, asked_for, [(number, metric) for number, metric, _ in types], **span
            )
        elif what == "presence":
            yield from export_presence(seen(), ids, asked_for, **span)
        else:
            yield from export_gaps(seen(), ids, asked_for, **span)

    value = INTEGER if kinds == {"integer"} else FLOAT
    encoder = CsvEncoder(COLUMNS[what]) if kind == "csv" else ParquetEncoder(COLUMNS[what], value=value)
    headers = {"content-disposition": f'attachment; filename="{name}.{kind}"'}
    # The first piece is made before anything is answered: what is damaged there is a refusal, and no file that breaks off.
    pieces_of_bytes = _stream(node, look, encoder)
    first = await anext(pieces_of_bytes, b"")
    # The framework adds the charset of a text by itself.
    return Stream(_joined(first, pieces_of_bytes), media_type=encoder.media_type.partition(";")[0], headers=headers)


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _stream(node: Service, look: Callable[[], Iterator[Piece]], encoder: Encoder) -> AsyncIterator[bytes]:
    """The bytes of all pieces. What goes wrong half way breaks the connection off: a file that ends early must not look whole."""
    loop = asyncio.get_running_loop()
    with node.history.pinned():
        source = look()

        def more() -> bytes | None:
            piece = next(source, None)
            return None if piece is None else encoder.piece(piece)

        try:
            while (body := await loop.run_in_executor(node.threads.export, more)) is not None:
                yield body
        except DamagedData as error:
            log.error("an export ended early", error=str(error), todo="run `fleetpulse verify`")
            raise
        yield encoder.end()
