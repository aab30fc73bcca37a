"""Bulk: NDJSON lines to one batch of events, and a verdict for every line.

    {"device_id": "…", "sent_at": "…"}                       a heartbeat
    {"device_id": "…", "sent_at": "…", "upload_time": 123}   a sample of upload_time
    {"device_id": "…", "sent_at": "…", "metrics": {…}}       a sample of every metric named

Lines are read some hundred at a time as columns; a piece in which anything is unusual is read again line by line, by
the same functions that read single requests, so that the verdicts say what is wrong and where.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from fleetpulse.errors import Answerable, Malformed, TooLarge, UnknownDevice, UnknownMetric
from fleetpulse.ingest.bodies import EVENT_FIELDS, Event, MetricValues, RefusedLine
from fleetpulse.ingest.decode import check_upload_time, sent_at_out_of_range
from fleetpulse.ingest.malformed import BOM, malformed, whole_number
from fleetpulse.ingest.report import KnownMetrics
from fleetpulse.ingest.unknown_fields import unknown_names
from fleetpulse.limits import IngestLimits
from fleetpulse.model.events import EventBatch
from fleetpulse.model.metric import INTEGER_HIGHEST, UPLOAD_TIME
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from fleetpulse.notation.timestamp_columns import parse_rfc3339_column

PIECE_BYTES = 65_536
_COMMA = ord(",")
PIECE_LINES = 500
"""Lines read one by one before the event loop gets a turn."""
_EXPECTED = (
    'expected {"device_id": "<id>", "sent_at": "<RFC 3339>"}, and "upload_time": <nanoseconds> or '
    '"metrics": {"<name>": <number>, …} in it where it reports values'
)


_decoder = msgspec.json.Decoder(Event)


class Numbers(Protocol):
    """The numbers, by id, of the devices that a body may report of."""

    def get(self, device_id: str, /) -> int | None:
        """The number of a device; None: there is none."""
        ...

    def __contains__(self, device_id: object, /) -> bool: ...


class BulkReader:
    """Reads one body, piece by piece, so that the event loop gets a turn between the pieces.

    The accepted events are in `events`, the refused lines (the first `refusals_listed_max` of them) in `refused`.
    """

    def __init__(
        self, body: bytes, *, numbers: Numbers, metrics: KnownMetrics, latest_ns: int, limits: IngestLimits
    ) -> None:
        """Raises: TooLarge: more than bulk_lines_max lines."""
        lines = body.count(b"\n") + (not body.endswith(b"\n"))
        if lines > limits.bulk_lines_max:
            text = f"the body has {lines} lines, more than {limits.bulk_lines_max} (bulk_lines_max); send it in parts"
            raise TooLarge(text, reason="bulk_lines")
        self.lines = lines
        """How many lines the body has, empty ones included."""
        self.events = EventBatch()
        self.refused: list[RefusedLine] = []
        self.refused_reasons: Counter[str] = Counter()
        self.unknown: dict[str, list[tuple[int, Event]]] = {}
        """(line number, line) by the id of a device that is not registered, until `settle_unknown` is called for it."""
        self.undefined: list[tuple[int, Event]] = []
        """(line number, line) of lines with a metric that has no definition, until `settle_undefined` is called."""
        self.not_measured = 0
        """Metrics of accepted lines that were null."""
        self.ignored: list[tuple[str, frozenset[str]]] = []
        """Of accepted lines with fields that are not known: the id of the device, and the names."""
        self._ignored_of: dict[int, frozenset[str]] = {}
        self._body = body
        self._numbers = numbers
        self._metrics = metrics
        self._earliest_ns, self._latest_ns = limits.earliest_ns, latest_ns
        self._listed_max = limits.refusals_listed_max
        self._line_bytes_max = limits.line_bytes_max
        self._line = 0

    @property
    def refused_count(self) -> int:
        """How many lines are refused, listed or not."""
        return self.refused_reasons.total()

    def pieces(self) -> Iterator[None]:
        """Read the body; yields after each piece of some hundred lines."""
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
        """Accept all lines of a piece. Returns False, and accepts none, where a line is not usual."""
        stripped = piece.removesuffix(b"\n")
        if len(stripped) > PIECE_BYTES + self._line_bytes_max:
            return False  # its last line is too long
        if self._line_bytes_max < PIECE_BYTES and max(map(len, stripped.split(b"\n"))) > self._line_bytes_max:
            return False
        newlines = stripped.count(b"\n")
        # Every line begins with { and ends with }, and below there are as many values as lines: so each line is one
        # value.
        if not stripped.startswith(b"{") or stripped.count(b"\n{") != newlines or stripped.count(b"}\n") != newlines:
            return False
        try:
            lines = _decoder.decode_lines(stripped)
            if not stripped.isascii():
                stripped.decode()  # the decoder skips unknown fields, whatever bytes they have
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return False
        devices: list[Any] = list(map(self._numbers.get, [line.device_id for line in lines]))
        times = parse_rfc3339_column([line.sent_at for line in lines])
        if len(lines) != newlines + 1 or None in devices or times is None:
            return False
        if int(times.min()) < self._earliest_ns or int(times.max()) > self._latest_ns:
            return False
        uploads = [line.upload_time for line in lines]
        reports = [line.metrics for line in lines]
        numbers = array("I", devices)
        samples_before = len(self.events.sample_devices)
        if reports.count(UNSET) != len(reports):
            if uploads.count(UNSET) != len(uploads) or not self._take_reports(
                np.frombuffer(numbers, np.uint32), times, reports
            ):
                return False
        elif uploads.count(UNSET) == len(uploads):
            self.events.heartbeat_devices.extend(numbers)
            self.events.heartbeat_sent_at_ns.frombytes(times.tobytes())
        elif not self._take_mixed(np.frombuffer(numbers, np.uint32), times, uploads):
            return False
        self._line += len(lines)
        commas = int(np.count_nonzero(np.frombuffer(stripped, np.uint8) == _COMMA))
        if commas > len(lines) + len(self.events.sample_devices) - samples_before:  # perhaps fields that are not known
            for line, text in zip(lines, stripped.split(b"\n"), strict=True):
                if names := unknown_names(text, EVENT_FIELDS):
                    self.ignored.append((line.device_id, names))
        return True

    def _take_mixed(
        self, devices: NDArray[np.uint32], at_ns: NDArray[np.int64], uploads: list[int | float | UnsetType]
    ) -> bool:
        """Accept lines without (UNSET) and with upload_time. All arguments have one length; `at_ns` is sent_at."""
        values = [upload for upload in uploads if upload is not UNSET]
        if min(values) < 0 or max(values) > INTEGER_HIGHEST:
            return False
        try:
            packed = array("q", cast("list[int]", values))
        except TypeError:
            return False  # one is written as 5.0 or 1e3
        is_sample = np.fromiter((upload is not UNSET for upload in uploads), bool, len(uploads))
        self.events.heartbeat_devices.frombytes(devices[~is_sample].tobytes())
        self.events.heartbeat_sent_at_ns.frombytes(at_ns[~is_sample].tobytes())
        self.events.sample_devices.frombytes(devices[is_sample].tobytes())
        self.events.sample_sent_at_ns.frombytes(at_ns[is_sample].tobytes())
        self.events.sample_values.extend(packed)
        self.events.sample_metrics.frombytes(bytes(2 * len(values)))
        return True

    def _take_reports(
        self, devices: NDArray[np.uint32], at_ns: NDArray[np.int64], reports: list[MetricValues | UnsetType]
    ) -> bool:
        """Accept lines without (UNSET) and with metrics. All arguments have one length; `at_ns` is sent_at.

        A report of which nothing was measured is a heartbeat.
        """
        numbers = array("H")
        values: list[bytes] = []
        counts: list[int] = []
        reported = 0
        try:
            for report in reports:
                if report is UNSET:
                    counts.append(0)
                else:
                    metrics, packed = self._metrics.read(report)
                    numbers.extend(metrics)
                    values.append(packed)
                    counts.append(len(metrics))
                    reported += len(report)
        except Answerable:
            return False
        events = self.events
        self.not_measured += reported - len(numbers)
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
            text = raw.strip().removeprefix(BOM)  # in the middle they stem from files that were joined
            if not text:
                continue
            try:
                if len(text) > self._line_bytes_max:
                    limit = f"{self._line_bytes_max} bytes (line_bytes_max)"
                    raise Malformed(f"the line is longer than {limit}; {_EXPECTED}", reason="line_bytes")
                try:
                    line = _decoder.decode(text)
                    if not text.isascii():
                        text.decode()
                except (ValueError, RecursionError) as error:
                    raise malformed(error, _EXPECTED, text) from error
                if names := unknown_names(text, EVENT_FIELDS):
                    self._ignored_of[self._line] = names
                if line.device_id in self._numbers:
                    self._take_or_defer(self._line, line)
                else:
                    self._check(line)
                    self.unknown.setdefault(line.device_id, []).append((self._line, line))
            except Answerable as error:
                self.refuse(self._line, error)

    def _check(self, line: Event) -> int:
        try:
            sent_at_ns = parse_rfc3339_ns(line.sent_at)
        except ValueError as error:
            raise malformed(error, _EXPECTED, b"") from error
        if not self._earliest_ns <= sent_at_ns <= self._latest_ns:
            raise sent_at_out_of_range(sent_at_ns, earliest_ns=self._earliest_ns, latest_ns=self._latest_ns)
        if line.upload_time is not UNSET:
            if line.metrics is not UNSET:
                raise Malformed(f"a line has `upload_time` or `metrics`, not both; {_EXPECTED}")
            line.upload_time = whole_number("upload_time", line.upload_time)
            check_upload_time(line.upload_time)
        return sent_at_ns

    def _take_or_defer(self, number: int, line: Event) -> None:
        try:
            self._take(line, number)
        except UnknownMetric:
            self.undefined.append((number, line))

    def _take(self, line: Event, number: int) -> None:
        sent_at_ns = self._check(line)
        device = self._numbers.get(line.device_id)
        if device is None:
            raise UnknownDevice  # it was deleted while the lines of others were settled
        events = self.events
        metrics, values = (array("H"), b"") if line.metrics is UNSET else self._metrics.read(line.metrics)
        if line.metrics is not UNSET:
            self.not_measured += len(line.metrics) - len(metrics)
        if metrics:
            events.sample_devices.extend([device] * len(metrics))
            events.sample_sent_at_ns.extend([sent_at_ns] * len(metrics))
            events.sample_metrics.extend(metrics)
            events.sample_values.frombytes(values)
        elif line.upload_time is UNSET:
            events.heartbeat_devices.append(device)
            events.heartbeat_sent_at_ns.append(sent_at_ns)
        else:
            events.sample_devices.append(device)
            events.sample_sent_at_ns.append(sent_at_ns)
            events.sample_metrics.append(UPLOAD_TIME)
            events.sample_values.append(int(line.upload_time))
        if number in self._ignored_of:
            self.ignored.append((line.device_id, self._ignored_of.pop(number)))

    def settle_unknown(self, device_id: str, error: Answerable | None) -> Iterator[None]:
        """Accept the lines of a device that was registered meanwhile, or refuse them all with `error`.

        Yields after each piece of some hundred lines.
        """
        for place, (number, line) in enumerate(self.unknown.pop(device_id), 1):
            if place % PIECE_LINES == 0:
                yield
            if error is None:
                try:
                    self._take_or_defer(number, line)
                except Answerable as refused:
                    self.refuse(number, refused)
            else:
                self.refuse(number, error)

    def settle_undefined(self, error: Answerable | None = None) -> Iterator[None]:
        """Accept the lines whose metrics were defined meanwhile, and refuse the others. Yields as `settle_unknown`.

        Args: error: why the metrics were not defined, where it is not their own fault.
        """
        lines, self.undefined = self.undefined, []
        for place, (number, line) in enumerate(lines, 1):
            if place % PIECE_LINES == 0:
                yield
            try:
                self._take(line, number)
            except UnknownMetric as refused:
                self.refuse(number, error or refused)
            except Answerable as refused:
                self.refuse(number, refused)

    def refuse(self, line: int, error: Answerable) -> None:
        """Count a refused line, and list it unless `refusals_listed_max` are listed."""
        self.refused_reasons[error.reason] += 1
        if len(self.refused) < self._listed_max:
            detail = error.detail if error.detail != error.msg else msgspec.UNSET
            self.refused.append(RefusedLine(line, error.msg, detail))
