"""Shapes that real clients send: what is read, and what is said of the rest, alike in single bodies and bulk lines."""

import json
import struct
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fleetpulse.errors import Answerable, Malformed, OutOfRange
from fleetpulse.ingest.bulk import BulkReader
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.malformed import without_bom
from fleetpulse.limits import IngestLimits
from fleetpulse.notation.timestamp import parse_rfc3339_ns
from stub_transport import intake_of

AT = "2026-01-01T00:00:00Z"
AT_NS = parse_rfc3339_ns(AT)
INTAKE = intake_of()
KNOWN, LATEST_NS = INTAKE.metrics, INTAKE.latest_ns
EARLIEST_NS = INTAKE.earliest_ns
BEAT = b'{"sent_at":"2026-01-01T00:00:00Z"'


def single(body: bytes) -> Any:
    """What one request holds: its time and samples, or the text of its refusal."""
    try:
        if b'"upload_time":' in body.partition(b'"metrics"')[0]:
            at_ns, upload_time = decode_stats(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS)
            return at_ns, [(0, upload_time)]
        if b'"metrics"' in body:
            report = decode_metrics(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS, known=KNOWN)
            values = [report.values[place : place + 8] for place in range(0, len(report.values), 8)]
            return report.sent_at_ns, [
                (number, int.from_bytes(value, "little", signed=True))
                for number, value in zip(report.metrics, values, strict=True)
            ]
        return decode_heartbeat(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS), []
    except Answerable as error:
        return error.msg.partition("; expected")[0]


def bulk(body: bytes, *, others: int) -> Any:
    """The same of one line, alone or between `others`, which are usual."""
    text = body.lstrip(b"\xef\xbb\xbf")
    bom = body[: len(body) - len(text)]
    line = bom + text.replace(b"{", b'{"device_id":"a",', 1) if text.startswith(b"{") else body
    usual = b'{"device_id":"b","sent_at":"2026-01-01T00:00:00Z"}'
    reader = BulkReader(
        b"\n".join([*[usual] * others, line, *[usual] * others]),
        numbers=INTAKE.numbers,
        metrics=KNOWN,
        latest_ns=LATEST_NS,
        limits=IngestLimits(),
    )
    for _ in reader.pieces():
        pass
    for _ in reader.settle_undefined():
        pass
    if reader.refused:
        return reader.refused[0].msg.partition("; expected")[0]
    batch = reader.events
    assert len(batch.heartbeat_devices) + (len(batch.sample_devices) > 0) == 2 * others + 1
    at = {*batch.heartbeat_sent_at_ns, *batch.sample_sent_at_ns} - ({AT_NS} if others else set())
    return at.pop() if at else AT_NS, list(zip(batch.sample_metrics, batch.sample_values, strict=True))


def bits(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


READ: list[tuple[bytes, list[tuple[int, int]]]] = [
    (BEAT + b"}", []),
    (b"\xef\xbb\xbf" + BEAT + b"}", []),
    (b'{"sent_at":"2026-01-01T01:00:00+0100"}', []),
    (b'{"sent_at":"2026-01-01T01:00:00,000+01"}', []),
    (b'{"sent_at":"2026-01-01 00:00:00.000Z"}', []),
    (BEAT + b',"note":"caf\xc3\xa9"}', []),
    (BEAT + b',"upload_time":5.0}', [(0, 5)]),
    (BEAT + b',"upload_time":1e3}', [(0, 1000)]),
    (BEAT + b',"upload_time":-0}', [(0, 0)]),
    (BEAT + b',"upload_time":-0.0}', [(0, 0)]),
    (BEAT + b',"upload_time":9007199254740992.0}', [(0, 2**53)]),
    (BEAT + b',"upload_time":9223372036854775807}', [(0, 2**63 - 1)]),
    (BEAT + b',"metrics":{"upload_time":5.0}}', [(0, 5)]),
    (BEAT + b',"metrics":{"upload_time":1E3,"cpu":1e0}}', [(0, 1000), (1, bits(1.0))]),
    (BEAT + b',"metrics":{"upload_time":null,"cpu":50}}', [(1, bits(50.0))]),
    (BEAT + b',"metrics":{"cpu":null}}', []),
    (BEAT + b',"metrics":{"cpu":null,"upload_time":null}}', []),
    (BEAT + b',"metrics":{"nobody":null,"upload_time":7}}', [(0, 7)]),
    (b"\xef\xbb\xbf" + BEAT + b',"metrics":{"upload_time":5.0}}', [(0, 5)]),
]
REFUSED: list[tuple[bytes, str]] = [
    (b"\xef\xbb\xbf\xef\xbb\xbf" + BEAT + b"}", "JSON is malformed"),
    (BEAT + b',"upload_time":5.5}', "upload_time must be a whole number, not 5.5"),
    (BEAT + b',"upload_time":-5.0}', "upload_time must be 0 to"),
    (BEAT + b',"upload_time":1e17}', "upload_time must be a whole number, not 1e+17: beyond 2^53 write it without"),
    (BEAT + b',"upload_time":1e400}', "Number out of range - at `$.upload_time`"),
    (BEAT + b',"upload_time":1' + b"0" * 400 + b"}", "upload_time must be 0 to"),
    (BEAT + b',"upload_time":1' + b"0" * 5000 + b"}", "Integer value out of range - at `$.upload_time`"),
    (BEAT + b',"upload_time":true}', "got `bool` - at `$.upload_time`"),
    (BEAT + b',"upload_time":NaN}', "`upload_time` is NaN, which JSON has no number for"),
    (BEAT + b',"metrics":{}}', "`metrics` names no metric"),
    (BEAT + b',"metrics":{"upload_time":5.5}}', "upload_time must be a whole number, as its kind is integer, not 5.5"),
    (BEAT + b',"metrics":{"upload_time":1e17}}', "not 1e+17: beyond 2^53 write it without fraction and exponent"),
    (BEAT + b',"metrics":{"cpu":1e400}}', "Number out of range - at `$.metrics.cpu`"),
    (BEAT + b',"metrics":{"cpu":1' + b"0" * 400 + b"}}", "cpu must be "),
    (BEAT + b',"metrics":{"upload_time":1,"cpu":1' + b"0" * 5000 + b"}}", "out of range - at `$.metrics.cpu`"),
    (BEAT + b',"metrics":{"upload_time":1,"cpu":true}}', "got `bool` - at `$.metrics.cpu`"),
    (BEAT + b',"metrics":{"upload_time":1,"cpu":"5"}}', "got `str` - at `$.metrics.cpu`"),
    (BEAT + b',"metrics":{"cpu":[1]}}', "got `array` - at `$.metrics.cpu`"),
    *(
        (BEAT + b',"metrics":{"upload_time":1, "cpu" : %s}}' % token, f"`cpu` is {token.decode()}, which JSON has no")
        for token in b"NaN nan -nan Infinity -Infinity inf -inf 1.#QNAN -1.#IND +Inf".split()
    ),
    (BEAT + b',"metrics":{"cpu":nonsense}}', "JSON is malformed: invalid character"),
    (BEAT + b',"metrics":{"nobody":1}}', "no such metric: nobody"),
    (b'{"sent_at":"\\ud800"}', r"\ud800, half of a surrogate pair, which is no character"),
    (b'{"sent_at":"\\udc00x"}', r"\udc00, half of a surrogate pair"),
    (b'{"sent_at":"\\ud800\\ud800"}', r"\ud800, half of a surrogate pair"),
    (b'{"sent_at":"\xff"}', "JSON is not UTF-8: byte 12 (0xff) does not fit"),
    (b'{"sent_at":"\xed\xa0\x80"}', "JSON is not UTF-8: byte 12 (0xed) does not fit"),
    # In fields that are ignored, too.
    *(
        (BEAT + b",%s}" % field, "JSON is not UTF-8: byte ")
        for field in (b'"x":"\xff"', b'"\xff":1', b'"x":{"y":["\xe9"]}', b'"x":"\xed\xa0\x80"', b'"x":"\xc0\xaf"')
    ),
    (BEAT + b',"metrics":{"cpu":1},"note":"\xff"}', "JSON is not UTF-8: byte "),
    (BEAT + b',"upload_time":1,"note":"\xff"}', "JSON is not UTF-8: byte "),
    (b'{"sent_at":"2026-01-01T00:00:60Z"}', "sent_at is not an RFC 3339 time such as"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "samples"), READ)
def test_shapes_of_real_clients_are_read_alike_single_and_in_bulk(body: bytes, samples: list[tuple[int, int]]) -> None:
    assert single(body) == (AT_NS, samples)
    assert bulk(body, others=0) == bulk(body, others=2) == (AT_NS, samples)


@pytest.mark.parametrize(("body", "text"), REFUSED)
def test_what_is_wrong_is_named_alike_single_and_in_bulk(body: bytes, text: str) -> None:
    assert text in single(body)
    for others in (0, 2):
        answer = bulk(body, others=others)
        if "0xff" in text or "0xed" in text:
            text = text.replace("byte 12", "byte 28")  # of the line, which has the id, too
        assert isinstance(answer, str)
        assert text in answer


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1" + b"0" * 5_000])
@pytest.mark.parametrize("field", [b'"upload_time":', b'"metrics":{"cpu":'])
def test_a_number_that_64_bits_do_not_hold_is_out_of_range_and_not_malformed(field: bytes, number: bytes) -> None:
    body = BEAT + b"," + field + number + (b"}}" if b"{" in field else b"}")
    decode = partial(decode_metrics, known=KNOWN) if b"{" in field else decode_stats
    with pytest.raises(OutOfRange, match="64 bits do not hold it") as refused:
        decode(body, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS)
    assert refused.value.reason == "number_range"


def test_metrics_that_were_not_measured_are_counted() -> None:
    report = decode_metrics(
        BEAT + b',"metrics":{"cpu":null,"upload_time":5,"x":null}}',
        earliest_ns=EARLIEST_NS,
        latest_ns=LATEST_NS,
        known=KNOWN,
    )
    assert (report.not_measured, report.events) == (2, 1)
    nothing = decode_metrics(
        BEAT + b',"metrics":{"cpu":null}}', earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS, known=KNOWN
    )
    assert (nothing.not_measured, nothing.events) == (1, 1)


def test_only_one_byte_order_mark_is_taken_off() -> None:
    assert without_bom(b"\xef\xbb\xbf{}") == b"{}"
    assert without_bom(b"{}") is None
    assert without_bom(b"\xef\xbb\xbf" * 50_000) is None


def test_a_refusal_is_quick_whatever_the_body_holds() -> None:
    for filler in (b'"', b'\\"', b'":[', b" ", b"\\ud800", b"1.#", b"{"):
        with pytest.raises(Malformed):
            decode_heartbeat(
                b'{"a":"' + filler * (60_000 // len(filler)) + b"NaN", earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS
            )


def test_json_of_pythons_own_is_refused_by_the_name_of_the_metric() -> None:
    body = json.dumps({"sent_at": AT, "metrics": {"free": 1, "température": float("nan")}}, ensure_ascii=False).encode()
    assert "`température` is NaN" in single(body)


@pytest.mark.parametrize(
    "rest",
    [b', "b": ?}}', b"", b', "b": "\xff"}}', b', "b": ' + b"[" * 100_000, b'}, "metrics": 5}', b', "b": "\\ud800"}}'],
)
@pytest.mark.parametrize("wrong", [b'"x"', b"[]", b"true", b"[" * 100_000 + b"]" * 100_000])
def test_what_is_wrong_behind_a_wrong_value_is_refused_with_it(wrong: bytes, rest: bytes) -> None:
    fields = BEAT + b',"metrics":{"cpu":' + wrong + rest
    with pytest.raises(Malformed):
        decode_metrics(fields, earliest_ns=EARLIEST_NS, latest_ns=LATEST_NS, known=KNOWN)
    good = b'{"device_id":"a",' + BEAT[1:] + b"}\n"
    limits = replace(IngestLimits(), line_bytes_max=1_000_000)
    reader = BulkReader(
        good + b'{"device_id":"b",' + fields[1:] + b"\n" + good, numbers={"a": 0, "b": 1}, metrics=KNOWN,
        latest_ns=LATEST_NS, limits=limits,
    )  # fmt: skip
    for _ in reader.pieces():
        pass
    assert (len(reader.events), reader.refused_count) == (2, 1)
