"""Bulk: NDJSON lines, perhaps compressed, to one trusted batch and a verdict for every line.

    {"device_id": "…", "sent_at": "…"}                       a heartbeat
    {"device_id": "…", "sent_at": "…", "upload_time": 123}   a sample of upload_time
    {"device_id": "…", "sent_at": "…", "metrics": {…}}       a sample of every metric named

Lines are read some hundred at a time as columns; a piece in which anything is unusual is read again line by line, by the
same functions that read single requests, so that the verdicts say what is wrong and where.
"""

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import zstandard

from fleetpulse.errors import Answerable, Malformed, TooLarge, UnknownMetric, UnsupportedMedia
from fleetpulse.ingest.bodies import Event
from fleetpulse.ingest.decode import EARLIEST_SENT_AT_NS, check_upload_time, malformed, sent_at_out_of_range
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.limits import IngestLimits
from fleetpulse.model.events import UPLOAD_TIME_HIGHEST, EventBatch
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.notation.timestamp_columns import parse_rfc3339_column

PIECE_BYTES = 65_536
LINE_BYTES_MAX = 65_536
PIECE_LINES = 500
"""Lines read one by one between two turns of the loop."""
GZIP_MEMBERS_MAX = 1_024
ZSTD_PIECE_BYTES = 256
ZSTD_WINDOW_BYTES_MAX = 8_388_608
_EXPECTED = 'expected {"device_id": "<id>", "sent_at": "<RFC 3339>"} and perhaps "upload_time": <nanoseconds> or "metrics": {"<name>": <number>, …}'


_decoder = msgspec.json.Decoder(Event)


def decompress(body: bytes, coding: str, limits: IngestLimits) -> bytes:
    """The body under its Content-Encoding (identity, gzip or zstd), bounded in size and ratio while it unfolds.

    Raises: UnsupportedMedia; TooLarge; Malformed.
    """
    if coding in ("", "identity"):
        return body
    # What may be sent as it is may be sent compressed, however well that went.
    by_ratio = max(limits.bulk_body_bytes_max, limits.decompress_ratio_max * len(body))
    most = min(limits.decompressed_bytes_max, by_ratio)
    try:
        if coding == "gzip":
            unfolded = _gunzip(body, most)
        elif coding == "zstd":
            unfolded = _unzstd(body, most)
        else:
            raise UnsupportedMedia(
                f"Content-Encoding `{coding}` is not taken; send identity, gzip or zstd, one of them"
            )
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise _not_compressed(coding, error) from error
    if len(unfolded) > most:
        if most < limits.decompressed_bytes_max:
            text = f"the body unfolds to over {most} bytes and {limits.decompress_ratio_max} times its size (decompress_ratio_max)"
            raise TooLarge(text, reason="decompress_ratio")
        raise TooLarge(
            f"the body unfolds to more than {most} bytes (decompressed_bytes_max)", reason="decompressed_bytes"
        )
    return unfolded


def _gunzip(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    size_bytes = place = members = 0
    member = zlib.decompressobj(31)
    while place < len(body) and size_bytes <= most:
        piece = body[place : place + PIECE_BYTES]
        parts.append(member.decompress(piece, most + 1 - size_bytes))
        size_bytes += len(parts[-1])
        place += len(piece) - len(member.unconsumed_tail) - len(member.unused_data)
        if member.eof:
            members += 1
            if members > GZIP_MEMBERS_MAX:
                raise EOFError(f"it has more than {GZIP_MEMBERS_MAX} members")
            member = zlib.decompressobj(31) if place < len(body) else member
    if size_bytes <= most and not member.eof:
        raise EOFError("it ends too early")
    return b"".join(parts)


def _unzstd(body: bytes, most: int) -> bytes:
    parts: list[bytes] = []
    size_bytes = place = 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
    frame = decompressor.decompressobj()
    # In small pieces: a few bytes may unfold to 128 KB, and the size is looked at in between.
    while place < len(body) and size_bytes <= most:
        if frame.eof:
            frame = decompressor.decompressobj()
        piece = body[place : place + ZSTD_PIECE_BYTES]
        parts.append(frame.decompress(piece))
        size_bytes += len(parts[-1])
        place += len(piece) - len(frame.unused_data)
    if size_bytes <= most and not frame.eof:
        raise EOFError("it ends too early")
    return b"".join(parts)


class BulkReader:
    """Reads one body, piece by piece, so that the loop gets its turn between the pieces."""

    def __init__(
        self, body: bytes, *, numbers: dict[str, int], metrics: KnownMetrics, latest_ns: int, limits: IngestLimits
    ) -> None:
        """Raises: TooLarge: more than bulk_lines_max lines."""
        lines = body.count(b"\n") + (not body.endswith(b"\n"))
        if lines > limits.bulk_lines_max:
            raise TooLarge(f"{lines} lines are more than {limits.bulk_lines_max} (bulk_lines_max)", reason="bulk_lines")
        self.events = EventBatch()
        self.refused: list[dict[str, object]] = []
        self.refused_reasons: Counter[str] = Counter()
        self.unknown: dict[str, list[tuple[int, Event]]] = {}
        """Lines of devices nobody knows yet, for whoever may register them, until `settle_unknown`."""
        self.undefined: list[tuple[int, Event]] = []
        """Lines with metrics nobody has defined, for whoever may define them, until `settle_undefined`."""
        self._body = body
        self._numbers = numbers
        self._metrics = metrics
        self._latest_ns = latest_ns
        self._listed_max = limits.refusals_listed_max
        self._line = 0

    @property
    def refused_count(self) -> int:
        """Lines refused, listed or not."""
        return self.refused_reasons.total()

    def pieces(self) -> Iterator[None]:
        """Read on; yields after each piece of some hundred lines."""
        start = 0
        body = self._body
        while start < len(body):
            end = body.find(b"\n", min(start + PIECE_BYTES, len(body) - 1)) + 1 or len(body)
            piece = body[start:end]
            if not self._read_columns(piece):
                lines = piece.removesuffix(b"\n").split(b"\n")
                for first in range(0, len(lines), PIECE_LINES):
                    self._read_lines(lines[first : first + PIECE_LINES])
                    yield
            start = end
            yield

    def _read_columns(self, piece: bytes) -> bool:
        """All of a piece at once; False, with nothing taken, where any of it is unusual."""
        stripped = piece.removesuffix(b"\n")
        if len(stripped) > PIECE_BYTES + LINE_BYTES_MAX:
            return False  # its last line is too long
        newlines = stripped.count(b"\n")
        # Each line begins and ends with its braces, and there is one value a line: then a value ends where a line does.
        if not stripped.startswith(b"{") or stripped.count(b"\n{") != newlines or stripped.count(b"}\n") != newlines:
            return False
        try:
            lines = _decoder.decode_lines(stripped)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        devices: list[Any] = list(map(self._numbers.get, [line.device_id for line in lines]))
        times = parse_rfc3339_column([line.sent_at for line in lines])
        if len(lines) != newlines + 1 or None in devices or times is None:
            return False
        if int(times.min()) < EARLIEST_SENT_AT_NS or int(times.max()) > self._latest_ns:
            return False
        uploads = [line.upload_time for line in lines]
        reports = [line.metrics for line in lines]
        numbers = array("I", devices)
        if reports.count(None) != len(reports):
            if uploads.count(None) != len(uploads) or not self._take_reports(
                np.frombuffer(numbers, np.uint32), times, reports
            ):
                return False
        elif uploads.count(None) == len(uploads):
            self.events.heartbeat_devices.extend(numbers)
            self.events.heartbeat_sent_at_ns.frombytes(times.tobytes())
        elif not self._take_mixed(np.frombuffer(numbers, np.uint32), times, uploads):
            return False
        self._line += len(lines)
        return True

    def _take_mixed(
        self, devices: "np.ndarray[tuple[int], np.dtype[np.uint32]]", times: object, uploads: list[int | None]
    ) -> bool:
        values = [upload for upload in uploads if upload is not None]
        if min(values) < 0 or max(values) > UPLOAD_TIME_HIGHEST:
            return False
        is_sample = np.fromiter((upload is not None for upload in uploads), bool, len(uploads))
        at_ns = np.asarray(times)
        self.events.heartbeat_devices.frombytes(devices[~is_sample].tobytes())
        self.events.heartbeat_sent_at_ns.frombytes(at_ns[~is_sample].tobytes())
        self.events.sample_devices.frombytes(devices[is_sample].tobytes())
        self.events.sample_sent_at_ns.frombytes(at_ns[is_sample].tobytes())
        self.events.sample_values.extend(values)
        self.events.sample_metrics.frombytes(bytes(2 * len(values)))
        return True

    def _take_reports(
        self,
        devices: "np.ndarray[tuple[int], np.dtype[np.uint32]]",
        times: object,
        reports: list[dict[str, int | float] | None],
    ) -> bool:
        numbers = array("H")
        values: list[bytes] = []
        counts: list[int] = []
        try:
            for report in reports:
                if report is None:
                    counts.append(0)
                else:
                    metrics, packed = self._metrics.read(report)
                    numbers.extend(metrics)
                    values.append(packed)
                    counts.append(len(metrics))
        except Answerable:
            return False
        at_ns = np.asarray(times)
        events = self.events
        is_heartbeat = np.array(counts) == 0
        if is_heartbeat.any():
            events.heartbeat_devices.frombytes(devices[is_heartbeat].tobytes())
            events.heartbeat_sent_at_ns.frombytes(at_ns[is_heartbeat].tobytes())
        events.sample_devices.frombytes(np.repeat(devices, counts).tobytes())
        events.sample_sent_at_ns.frombytes(np.repeat(at_ns, counts).tobytes())
        events.sample_metrics.extend(numbers)
        events.sample_values.frombytes(b"".join(values))
        return True

    def _read_lines(self, lines: Sequence[bytes]) -> None:
        for raw in lines:
            self._line += 1
            text = raw.strip()
            if not text:
                continue
            try:
                if len(text) > LINE_BYTES_MAX:
                    raise Malformed(f"a line of more than {LINE_BYTES_MAX} bytes; {_EXPECTED}")
                try:
                    line = _decoder.decode(text)
                except (ValueError, RecursionError) as error:
                    raise malformed(error, _EXPECTED) from error
                if line.device_id in self._numbers:
                    self._take_or_keep(self._line, line)
                else:
                    self._check(line)
                    self.unknown.setdefault(line.device_id, []).append((self._line, line))
            except Answerable as error:
                self.refuse(self._line, error)

    def _check(self, line: Event) -> int:
        try:
            sent_at_ns = parse_rfc3339_ns(line.sent_at)
        except ValueError as error:
            raise malformed(error, _EXPECTED) from error
        if not EARLIEST_SENT_AT_NS <= sent_at_ns <= self._latest_ns:
            raise sent_at_out_of_range(sent_at_ns, latest_ns=self._latest_ns)
        if line.upload_time is not None:
            if line.metrics is not None:
                raise Malformed(f"a line says `upload_time` or `metrics`, not both; {_EXPECTED}")
            check_upload_time(line.upload_time)
        return sent_at_ns

    def _take_or_keep(self, number: int, line: Event) -> None:
        try:
            self._take(line)
        except UnknownMetric:
            self.undefined.append((number, line))

    def _take(self, line: Event) -> None:
        sent_at_ns = self._check(line)
        device = self._numbers[line.device_id]
        events = self.events
        if line.metrics is not None:
            metrics, values = self._metrics.read(line.metrics)
            events.sample_devices.extend([device] * len(metrics))
            events.sample_sent_at_ns.extend([sent_at_ns] * len(metrics))
            events.sample_metrics.extend(metrics)
            events.sample_values.frombytes(values)
        elif line.upload_time is None:
            events.heartbeat_devices.append(device)
            events.heartbeat_sent_at_ns.append(sent_at_ns)
        else:
            events.sample_devices.append(device)
            events.sample_sent_at_ns.append(sent_at_ns)
            events.sample_metrics.append(UPLOAD_TIME)
            events.sample_values.append(line.upload_time)

    def settle_unknown(self, device_id: str, error: Answerable | None) -> None:
        """The lines of a device that was unknown: taken now that it is registered, or refused with `error`."""
        for number, line in self.unknown.pop(device_id):
            if error is None:
                try:
                    self._take_or_keep(number, line)
                except Answerable as refused:
                    self.refuse(number, refused)
            else:
                self.refuse(number, error)

    def settle_undefined(self) -> None:
        """The lines whose metrics were not defined: taken where they are now, else refused."""
        lines, self.undefined = self.undefined, []
        for number, line in lines:
            try:
                self._take(line)
            except Answerable as refused:
                self.refuse(number, refused)

    def refuse(self, line: int, error: Answerable) -> None:
        """Count a refused line, and list it while there is room."""
        self.refused_reasons[error.reason] += 1
        if len(self.refused) < self._listed_max:
            self.refused.append({"line": line, "msg": error.msg})


def _not_compressed(coding: str, error: Exception) -> Answerable:
    return malformed(msgspec.DecodeError(f"the body is not {coding}: {error}"), _EXPECTED)
