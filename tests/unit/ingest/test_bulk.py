import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.errors import OutOfRange, TooLarge, UnknownDevice
from fleetpulse.ingest.bodies import RefusedLine
from fleetpulse.ingest.bulk import PIECE_BYTES, PIECE_LINES, BulkReader
from fleetpulse.limits import IngestLimits
from fleetpulse.model.metric import BUILT_IN, MetricDefinition
from stub_transport import intake_of

AT = "2026-01-01T00:00:00Z"
USUAL = st.fixed_dictionaries(
    {"device_id": st.sampled_from(["a", "b"]), "sent_at": st.just(AT)}, optional={"upload_time": st.integers(0, 99)}
)
REPORTS = st.fixed_dictionaries(
    {"device_id": st.sampled_from(["a", "b"]), "sent_at": st.just(AT)},
    optional={"metrics": st.dictionaries(st.sampled_from(["cpu", "upload_time"]), st.integers(0, 99), min_size=1)},
)
ODD = st.sampled_from(
    ["", "  ", "nonsense", "[1]", "{}", '{"device_id": "a"}', json.dumps({"device_id": "nobody", "sent_at": AT}),
     json.dumps({"device_id": "a", "sent_at": "2026-01-01T00:00:00.5+01:00"}),
     json.dumps({"device_id": "a", "sent_at": "1999-01-01T00:00:00Z"}),
     json.dumps({"device_id": "a", "sent_at": AT, "upload_time": -1}),
     json.dumps({"device_id": "a", "sent_at": AT, "metrics": {"cpu": 101}}),
     json.dumps({"device_id": "a", "sent_at": AT, "metrics": {"cpu": 1}, "upload_time": 1}),
     json.dumps({"device_id": "a", "sent_at": AT}) * 2]
)  # fmt: skip


def reader_of(body: bytes, **limits: int) -> BulkReader:
    intake = intake_of()
    return BulkReader(
        body, numbers=intake.numbers, metrics=intake.metrics, latest_ns=intake.latest_ns, limits=IngestLimits(**limits)
    )


def read(body: bytes, **limits: int) -> BulkReader:
    reader = reader_of(body, **limits)
    for _ in reader.pieces():
        pass
    return reader


def lines(*events: dict[str, Any] | str) -> bytes:
    return "\n".join(line if isinstance(line, str) else json.dumps(line) for line in events).encode()


def events(reader: BulkReader) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Heartbeats and samples, sorted: a piece that is read as columns takes them in another order."""
    batch = reader.events
    heartbeats = zip(batch.heartbeat_devices, batch.heartbeat_sent_at_ns, strict=True)
    columns = (batch.sample_devices, batch.sample_sent_at_ns, batch.sample_metrics, batch.sample_values)
    return sorted(heartbeats), sorted(zip(*columns, strict=True))


@given(st.lists(USUAL, min_size=1, max_size=8) | st.lists(REPORTS, min_size=1, max_size=8))
def test_lines_read_as_columns_give_the_events_of_lines_read_one_by_one(objects: list[dict[str, Any]]) -> None:
    as_columns, one_by_one = reader_of(b""), reader_of(b"")
    assert as_columns._read_columns(lines(*objects))
    one_by_one._read_lines([json.dumps(line).encode() for line in objects])
    assert events(as_columns) == events(one_by_one)
    assert (as_columns._line, one_by_one.refused) == (len(objects), [])


@given(st.lists(USUAL | REPORTS | ODD, max_size=12))
def test_a_line_is_accepted_or_refused_whatever_stands_beside_it(objects: list[dict[str, Any] | str]) -> None:
    together = read(lines(*objects))
    apart = [read(lines(line)) for line in objects]
    assert events(together) == tuple(sorted(event for one in apart for event in events(one)[kind]) for kind in (0, 1))
    assert [line for line, one in enumerate(apart, start=1) if one.refused] == [
        verdict.line for verdict in together.refused
    ]


def test_a_verdict_says_which_line_is_wrong_and_why() -> None:
    usual = {"device_id": "a", "sent_at": AT}
    reader = read(lines(usual, "nonsense", "", {**usual, "upload_time": 2**63}, usual) + b"\n")
    assert [verdict.line for verdict in reader.refused] == [2, 4]
    assert "expected" in reader.refused[0].msg
    assert "upload_time must be 0 to" in reader.refused[1].msg
    assert (reader.refused_reasons, len(reader.events)) == ({"malformed": 1, "upload_time_range": 1}, 2)


@pytest.mark.parametrize("nothing", [{"upload_time": None}, {"metrics": None}])
def test_a_value_that_is_null_makes_no_heartbeat_of_a_line(nothing: dict[str, None]) -> None:
    usual = {"device_id": "a", "sent_at": AT}
    reader = read(lines(usual, {**usual, **nothing}))
    assert ([verdict.line for verdict in reader.refused], len(reader.events)) == ([2], 1)


def test_lines_are_numbered_through_all_pieces() -> None:
    usual = lines({"device_id": "a", "sent_at": AT}) + b"\n"
    count = 3 * PIECE_BYTES // len(usual)
    reader = read(usual * count + b"nonsense\n" + usual * count)
    assert ([verdict.line for verdict in reader.refused], len(reader.events)) == ([count + 1], 2 * count)


def test_refused_lines_are_all_counted_and_the_first_are_listed() -> None:
    reader = read(b"x\n" * 50, refusals_listed_max=3)
    assert (reader.refused_count, [verdict.line for verdict in reader.refused]) == (50, [1, 2, 3])


def test_too_many_lines_refuse_the_body_before_any_is_read() -> None:
    assert len(read(b"\n" * 5, bulk_lines_max=5).events) == 0
    with pytest.raises(TooLarge, match="the body has 6 lines, more than 5"):
        reader_of(b"\n" * 5 + b"x", bulk_lines_max=5)


def test_a_line_that_is_too_long_is_refused_alone() -> None:
    usual = {"device_id": "a", "sent_at": AT}
    reader = read(lines(usual, {**usual, "more": "x" * (PIECE_BYTES + IngestLimits().line_bytes_max)}, usual))
    assert ([verdict.line for verdict in reader.refused], len(reader.events)) == ([2], 2)
    assert f"longer than {IngestLimits().line_bytes_max} bytes (line_bytes_max)" in reader.refused[0].msg


def test_lines_of_an_unknown_device_wait_until_it_is_registered_or_refused() -> None:
    body = lines(*({"device_id": device, "sent_at": AT} for device in ("new", "other", "new")))
    reader = read(body)
    assert ({device: len(waiting) for device, waiting in reader.unknown.items()}, reader.refused_count) == (
        {"new": 2, "other": 1},
        0,
    )
    reader._numbers["new"] = 7
    for _ in reader.settle_unknown("new", None):
        pass
    for _ in reader.settle_unknown("other", UnknownDevice()):
        pass
    assert (reader.events.heartbeat_devices.tolist(), reader.unknown) == ([7, 7], {})
    assert reader.refused == [RefusedLine(2, "Device not found")]


def test_lines_with_an_undefined_metric_wait_until_it_is_defined_or_refused() -> None:
    events = [{"device_id": "a", "sent_at": AT, "metrics": {name: 1}} for name in ("gpu", "cpu", "ram")]
    reader = read(lines(*events))
    assert ([number for number, _ in reader.undefined], reader.refused_count) == ([1, 3], 0)
    reader._metrics.replace([(0, BUILT_IN), (1, MetricDefinition(name="cpu")), (2, MetricDefinition(name="gpu"))])
    for _ in reader.settle_undefined():
        pass
    assert (sorted(reader.events.sample_metrics), reader.undefined) == ([1, 2], [])
    assert [verdict.line for verdict in reader.refused] == [3]


def test_lines_that_waited_are_settled_some_hundred_at_a_time() -> None:
    unknown = read(lines(*[{"device_id": "new", "sent_at": AT}] * (2 * PIECE_LINES)))
    unknown._numbers["new"] = 7
    settling = unknown.settle_unknown("new", None)
    next(settling)
    assert len(unknown.events) < PIECE_LINES
    del unknown._numbers["new"]  # somebody deletes it meanwhile
    assert len(list(settling)) == 1
    assert unknown.refused_reasons == {"unknown_device": PIECE_LINES + 1}
    undefined = read(lines(*[{"device_id": "a", "sent_at": AT, "metrics": {"gpu": 1}}] * (2 * PIECE_LINES)))
    assert len(list(undefined.settle_undefined())) == 2
    assert undefined.refused_count == 2 * PIECE_LINES


def test_a_device_that_could_not_be_registered_gives_its_reason_to_each_of_its_lines() -> None:
    reader = read(lines(*[{"device_id": "new", "sent_at": AT}] * 2))
    for _ in reader.settle_unknown("new", OutOfRange("too many devices", reason="devices_max")):
        pass
    assert (reader.refused_reasons, reader.refused_count) == ({"devices_max": 2}, 2)


def test_a_line_of_a_clock_that_was_never_set_is_refused_and_counted_by_its_reason() -> None:
    reports: list[dict[str, object]] = [{}, {"upload_time": 1}, {"metrics": {"cpu": 1}}]
    times = ("1970-01-01T00:00:59Z", "1980-01-06T00:00:00Z", "2000-01-05T00:00:00Z", "2020-01-01T00:00:00Z")
    lines = [{"device_id": "a", "sent_at": at, **report} for report in reports for at in times]
    reader = read("\n".join(map(json.dumps, lines)).encode())
    assert (len(reader.events), reader.refused_reasons) == (3, {"sent_at_early": 9})
