"""JSON bodies to trusted values. Both HTTP paths, and bulk line by line, go through these functions."""

import msgspec

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.bodies import Heartbeat, MetricsReport, UploadStats
from fleetpulse.ingest.report import KnownMetrics, Report
from fleetpulse.model.events import UPLOAD_TIME_HIGHEST
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import EXPECTED, format_rfc3339, parse_rfc3339_ns

EARLIEST_SENT_AT_NS = 946_684_800_000_000_000
"""2000-01-01T00:00:00Z: before it a clock was never set."""


_decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
_decode_stats = msgspec.json.Decoder(UploadStats).decode
_decode_metrics = msgspec.json.Decoder(MetricsReport).decode


def decode_heartbeat(body: bytes, *, latest_ns: int) -> int:
    """`sent_at` in ns of a heartbeat's body. Raises: Malformed, OutOfRange (past `latest_ns` or before 2000)."""
    try:
        sent_at_ns = parse_rfc3339_ns(_decode_heartbeat(body).sent_at)
    except (ValueError, RecursionError) as error:
        raise malformed(error, 'expected {"sent_at": "<RFC 3339>"}') from error
    if not EARLIEST_SENT_AT_NS <= sent_at_ns <= latest_ns:
        raise sent_at_out_of_range(sent_at_ns, latest_ns=latest_ns)
    return sent_at_ns


def decode_stats(body: bytes, *, latest_ns: int) -> tuple[int, int]:
    """(`sent_at` in ns, `upload_time` in ns) of a stats body. Raises: Malformed, OutOfRange."""
    try:
        stats = _decode_stats(body)
        sent_at_ns = parse_rfc3339_ns(stats.sent_at)
    except (ValueError, RecursionError) as error:
        raise malformed(error, 'expected {"sent_at": "<RFC 3339>", "upload_time": <nanoseconds>}') from error
    if not EARLIEST_SENT_AT_NS <= sent_at_ns <= latest_ns:
        raise sent_at_out_of_range(sent_at_ns, latest_ns=latest_ns)
    check_upload_time(stats.upload_time)
    return sent_at_ns, stats.upload_time


def decode_metrics(body: bytes, *, latest_ns: int, known: KnownMetrics) -> Report:
    """The samples of a metrics body, all or none. Raises: Malformed, UnknownMetric, OutOfRange."""
    try:
        said = _decode_metrics(body)
        sent_at_ns = parse_rfc3339_ns(said.sent_at)
    except (ValueError, RecursionError) as error:
        raise malformed(error, 'expected {"sent_at": "<RFC 3339>", "metrics": {"<name>": <number>, …}}') from error
    if not EARLIEST_SENT_AT_NS <= sent_at_ns <= latest_ns:
        raise sent_at_out_of_range(sent_at_ns, latest_ns=latest_ns)
    return Report(sent_at_ns, *known.read(said.metrics))


def check_upload_time(upload_time: int) -> None:
    """Raises: OutOfRange."""
    if not 0 <= upload_time <= UPLOAD_TIME_HIGHEST:
        raise OutOfRange(
            f"upload_time must be 0 to {UPLOAD_TIME_HIGHEST} nanoseconds (signed 64-bit)", reason="upload_time_range"
        )


def sent_at_out_of_range(sent_at_ns: int, *, latest_ns: int) -> OutOfRange:
    """The refusal of a time that nobody should believe, with what was expected."""
    try:
        said = f", not {format_rfc3339(sent_at_ns)}"
    except OverflowError:  # an offset moved it before the year 1 or past 9999
        said = ""
    latest = format_rfc3339(latest_ns // NS_PER_S * NS_PER_S)
    return OutOfRange(
        f"sent_at must be between 2000-01-01T00:00:00Z and {latest}{said}: check the device's clock",
        reason="sent_at_range",
    )


def malformed(error: Exception, expected: str) -> Malformed:
    """The refusal of a body: what was wrong, where, and what was expected."""
    if isinstance(error, msgspec.MsgspecError):
        wrong = str(error)
    elif isinstance(error, RecursionError):
        wrong = "JSON is nested too deeply"
    elif isinstance(error, UnicodeDecodeError):
        wrong = "JSON is not UTF-8"
    else:
        wrong = f"sent_at is not {EXPECTED}"
    return Malformed(f"{wrong}; {expected}")
