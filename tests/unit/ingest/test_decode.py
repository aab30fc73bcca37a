import pytest

from fleetpulse.errors import Malformed, OutOfRange, UnknownMetric
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from stub_transport import intake_of

LATEST_NS = parse_rfc3339_ns("2026-06-01T00:00:00Z")
AT_NS = parse_rfc3339_ns("2026-01-01T00:00:00Z")
KNOWN = intake_of().metrics


def test_the_three_bodies_are_read() -> None:
    assert decode_heartbeat(b'{"sent_at": "2026-01-01T01:00:00+01:00", "more": [1]}', latest_ns=LATEST_NS) == AT_NS
    stats = b'{"sent_at": "2026-01-01T00:00:00.000000001Z", "upload_time": 7}'
    assert decode_stats(stats, latest_ns=LATEST_NS) == (AT_NS + 1, 7)
    body = b'{"sent_at": "2026-01-01T00:00:00Z", "metrics": {"upload_time": 7, "cpu": 2.5}}'
    report = decode_metrics(body, latest_ns=LATEST_NS, known=KNOWN)
    assert (report.sent_at_ns, report.metrics.tolist()) == (AT_NS, [0, 1])
    assert report.values == (7).to_bytes(8, "little") + b"\0\0\0\0\0\0\x04@"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "expected"),
        (b"[]", "expected"),
        (b'{"sent_at": 5}', "sent_at"),
        (b'{"sent_at": "yesterday"}', "sent_at is not an RFC 3339 time such as"),
        (b'{"more": ' + b"[" * 100_000, "nested too deeply; expected"),
        (b'{"sent_at": "\xff"}', "expected"),
    ],
)
def test_a_malformed_body_is_refused_with_the_form_that_is_expected(body: bytes, text: str) -> None:
    with pytest.raises(Malformed, match=text) as raised:
        decode_heartbeat(body, latest_ns=LATEST_NS)
    assert raised.value.msg.endswith('expected {"sent_at": "<RFC 3339>"}')


@pytest.mark.parametrize(
    ("sent_at", "text"),
    [
        (
            "1999-12-31T23:59:59.999Z",
            "between 2000-01-01T00:00:00Z and 2026-06-01T00:00:00Z, not 1999-12-31T23:59:59.999Z",
        ),
        ("2026-06-01T00:00:00.000000001Z", "not 2026-06-01T00:00:00.000000001Z; check the device's clock"),
        ("0001-01-01T00:00:00+23:00", "2026-06-01T00:00:00Z; check the device's clock"),
    ],
)
def test_a_time_that_is_too_early_or_too_late_is_refused_with_the_times_that_are_accepted(
    sent_at: str, text: str
) -> None:
    with pytest.raises(OutOfRange) as raised:
        decode_heartbeat(f'{{"sent_at": "{sent_at}"}}'.encode(), latest_ns=LATEST_NS)
    assert text in raised.value.msg
    assert raised.value.reason == "sent_at_range"


@pytest.mark.parametrize("upload_time", [-1, 2**63])
def test_an_upload_time_beyond_64_bits_is_refused(upload_time: int) -> None:
    body = f'{{"sent_at": "2026-01-01T00:00:00Z", "upload_time": {upload_time}}}'.encode()
    with pytest.raises(OutOfRange, match="upload_time must be 0 to 9223372036854775807"):
        decode_stats(body, latest_ns=LATEST_NS)


def test_a_report_is_refused_whole() -> None:
    with pytest.raises(UnknownMetric) as raised:
        decode_metrics(
            b'{"sent_at": "2026-01-01T00:00:00Z", "metrics": {"cpu": 1, "gpu": 1}}', latest_ns=LATEST_NS, known=KNOWN
        )
    assert raised.value.names == ["gpu"]
