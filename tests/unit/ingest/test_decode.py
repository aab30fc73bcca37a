import json

import pytest

from fleetpulse.errors import Malformed, OutOfRange, UnknownMetric
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from stub_transport import intake_of

EARLIEST_NS = parse_rfc3339_ns("2020-01-01T00:00:00Z")
LATEST_NS = parse_rfc3339_ns("2026-06-01T00:00:00Z")
AT_NS = parse_rfc3339_ns("2026-01-01T00:00:00Z")
KNOWN = intake_of().metrics


def test_the_three_bodies_are_read() -> None:
    assert (
        decode_heartbeat(
            b'{"sent_at": "2026-01-01T01:00:00+01:00", "more": [1]}', earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS
        )
        == AT_NS
    )
    stats = b'{"sent_at": "2026-01-01T00:00:00.000000001Z", "upload_time": 7}'
    assert decode_stats(stats, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS) == (AT_NS + 1, 7)
    body = b'{"sent_at": "2026-01-01T00:00:00Z", "metrics": {"upload_time": 7, "cpu": 2.5}}'
    report = decode_metrics(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS, known=KNOWN)
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
        decode_heartbeat(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS)
    assert raised.value.msg.endswith('expected {"sent_at": "<RFC 3339>"}')


RESET_VALUES = {
    "Unix": "1970-01-01T00:00:00Z",
    "GPS": "1980-01-06T00:00:00Z",
    "DS1307, DS3231, STM32": "2000-01-01T00:00:00Z",
    "the same, days after": "2000-01-05T13:07:11Z",
    "the last moment": "2019-12-31T23:59:59.999999999Z",
    "with an offset": "2020-01-01T00:59:59+01:00",
    "before the years of a date": "0001-01-01T00:00:00+23:00",
}


@pytest.mark.parametrize("sent_at", RESET_VALUES.values(), ids=list(RESET_VALUES))
@pytest.mark.parametrize("report", [{}, {"upload_time": 1}, {"metrics": {"cpu": 1}}], ids=["beat", "stats", "metrics"])
def test_a_clock_that_was_never_set_is_named_by_the_refusal_of_every_report(
    sent_at: str, report: dict[str, object]
) -> None:
    assert refused_reason(sent_at, report, earliest_ns=EARLIEST_NS) == "sent_at_early"


def test_the_old_rule_believes_a_real_time_clock_that_was_never_set() -> None:
    year_2000_ns = parse_rfc3339_ns("2000-01-01T00:00:00Z")
    believed = [at for at in RESET_VALUES.values() if refused_reason(at, {}, earliest_ns=year_2000_ns) == ""]
    assert "2000-01-05T13:07:11Z" in believed
    assert len(believed) == 4


def refused_reason(sent_at: str, report: dict[str, object], *, earliest_ns: int) -> str:
    """Why a report is refused; empty where it is taken."""
    body = json.dumps({"sent_at": sent_at, **report}).encode()
    try:
        if "metrics" in report:
            decode_metrics(body, earliest_ns=earliest_ns, latest_ns=LATEST_NS, known=KNOWN)
        elif "upload_time" in report:
            decode_stats(body, earliest_ns=earliest_ns, latest_ns=LATEST_NS)
        else:
            decode_heartbeat(body, earliest_ns=earliest_ns, latest_ns=LATEST_NS)
    except OutOfRange as refusal:
        return refusal.reason if "check the device's clock, which seems never to have been set" in refusal.msg else "?"
    return ""


def test_a_time_that_is_too_early_or_too_late_is_refused_with_the_times_that_are_accepted() -> None:
    for sent_at, reason in (
        ("2019-12-31T23:59:59.999Z", "sent_at_early"),
        ("2026-06-01T00:00:00.001Z", "sent_at_range"),
    ):
        with pytest.raises(OutOfRange) as raised:
            decode_heartbeat(f'{{"sent_at": "{sent_at}"}}'.encode(), earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS)
        expected = f"between 2020-01-01T00:00:00Z and 2026-06-01T00:00:00Z, not {sent_at}; check the device's clock"
        assert expected in raised.value.msg
        assert raised.value.reason == reason


@pytest.mark.parametrize("upload_time", [-1, 2**63])
def test_an_upload_time_beyond_64_bits_is_refused(upload_time: int) -> None:
    body = f'{{"sent_at": "2026-01-01T00:00:00Z", "upload_time": {upload_time}}}'.encode()
    with pytest.raises(OutOfRange, match="upload_time must be 0 to 9223372036854775807"):
        decode_stats(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS)


def test_a_report_is_refused_whole() -> None:
    with pytest.raises(UnknownMetric) as raised:
        decode_metrics(
            b'{"sent_at": "2026-01-01T00:00:00Z", "metrics": {"cpu": 1, "gpu": 1}}',
            earliest_ns=EARLIEST_NS,
            latest_ns=LATEST_NS,
            known=KNOWN,
        )
    assert raised.value.names == ["gpu"]
