"""JSON bodies to checked values: the same functions serve the front door, the ASGI path and single lines of bulk.

The three decoders repeat a few lines, since a call for each event to share them would cost. The JSON decoder skips
fields that it does not know, bytes that are no UTF-8 included, so bodies beyond ASCII are looked at once more.
"""

import msgspec

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.bodies import Heartbeat, MetricsReport, UploadStats
from fleetpulse.ingest.malformed import malformed, whole_number, without_bom
from fleetpulse.ingest.report import KnownMetrics, Report
from fleetpulse.model.metric import INTEGER_HIGHEST
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.timestamp import format_rfc3339, parse_rfc3339_ns

_decode_heartbeat = msgspec.json.Decoder(Heartbeat).decode
_decode_stats = msgspec.json.Decoder(UploadStats).decode
_decode_metrics = msgspec.json.Decoder(MetricsReport).decode


def decode_heartbeat(body: bytes, *, earliest_ns: int, latest_ns: int) -> int:
    """sent_at, in nanoseconds, of the body of a heartbeat.

    Raises: Malformed; OutOfRange: sent_at is before `earliest_ns` or after `latest_ns`.
    """
    try:
        sent_at_ns = parse_rfc3339_ns(_decode_heartbeat(body).sent_at)
        if not body.isascii():
            body.decode()
    except (ValueError, RecursionError) as error:
        rest = without_bom(body)
        if rest is not None:
            return decode_heartbeat(rest, earliest_ns=earliest_ns, latest_ns=latest_ns)
        raise malformed(error, 'expected {"sent_at": "<RFC 3339>"}', body) from error
    if not earliest_ns <= sent_at_ns <= latest_ns:
        raise sent_at_out_of_range(sent_at_ns, earliest_ns=earliest_ns, latest_ns=latest_ns)
    return sent_at_ns


def decode_stats(body: bytes, *, earliest_ns: int, latest_ns: int) -> tuple[int, int]:
    """(sent_at, upload_time), both in nanoseconds, of the body of upload statistics. Raises: Malformed; OutOfRange."""
    try:
        stats = _decode_stats(body)
        sent_at_ns = parse_rfc3339_ns(stats.sent_at)
        if not body.isascii():
            body.decode()
    except (ValueError, RecursionError) as error:
        rest = without_bom(body)
        if rest is not None:
            return decode_stats(rest, earliest_ns=earliest_ns, latest_ns=latest_ns)
        raise malformed(error, 'expected {"sent_at": "<RFC 3339>", "upload_time": <nanoseconds>}', body) from error
    if not earliest_ns <= sent_at_ns <= latest_ns:
        raise sent_at_out_of_range(sent_at_ns, earliest_ns=earliest_ns, latest_ns=latest_ns)
    upload_time = stats.upload_time
    if type(upload_time) is not int:
        upload_time = whole_number("upload_time", upload_time)
    check_upload_time(upload_time)
    return sent_at_ns, upload_time


def decode_metrics(body: bytes, *, earliest_ns: int, latest_ns: int, known: KnownMetrics) -> Report:
    """The samples of the body of a metrics report, all or none. Raises: Malformed; UnknownMetric; OutOfRange."""
    try:
        report = _decode_metrics(body)
        sent_at_ns = parse_rfc3339_ns(report.sent_at)
        if not body.isascii():
            body.decode()
    except (ValueError, RecursionError) as error:
        rest = without_bom(body)
        if rest is not None:
            return decode_metrics(rest, earliest_ns=earliest_ns, latest_ns=latest_ns, known=known)
        raise malformed(
            error, 'expected {"sent_at": "<RFC 3339>", "metrics": {"<name>": <number>, …}}', body
        ) from error
    if not earliest_ns <= sent_at_ns <= latest_ns:
        raise sent_at_out_of_range(sent_at_ns, earliest_ns=earliest_ns, latest_ns=latest_ns)
    metrics, values = known.read(report.metrics)
    return Report(sent_at_ns, metrics, values, len(report.metrics) - len(metrics))


def check_upload_time(upload_time: int) -> None:
    """Raises: OutOfRange: `upload_time` is negative, or does not fit into 64 bits."""
    if not 0 <= upload_time <= INTEGER_HIGHEST:
        raise OutOfRange(
            f"upload_time must be 0 to {INTEGER_HIGHEST} nanoseconds (signed 64-bit)", reason="upload_time_range"
        )


def sent_at_out_of_range(sent_at_ns: int, *, earliest_ns: int, latest_ns: int) -> OutOfRange:
    """The refusal of a time that is too early or too late, with the times that are accepted.

    A time that is too early is that of a clock that was never set: such clocks begin in 1970, 1980 or 2000.
    """
    try:
        actual = f", not {format_rfc3339(sent_at_ns)}"
    except OverflowError:  # its offset from UTC moved it out of the years 1 to 9999
        actual = ""
    is_early = sent_at_ns < earliest_ns
    latest = format_rfc3339(latest_ns // NS_PER_S * NS_PER_S)
    return OutOfRange(
        f"sent_at must be between {format_rfc3339(earliest_ns)} and {latest}{actual}; check the device's clock"
        + (", which seems never to have been set" if is_early else ""),
        reason="sent_at_early" if is_early else "sent_at_range",
    )
