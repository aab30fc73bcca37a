import time

from fleetpulse.telemetry.requests import NO_ROUTE, RequestTelemetry, Target, outcome_of

BEAT = ("POST", "/api/v1/devices/{device_id}/heartbeat")


def test_the_reports_of_a_batch_are_counted_when_it_is_answered() -> None:
    requests = RequestTelemetry()
    arrived = requests.arrived()
    arrived[b"heartbeat"] += [time.monotonic(), time.monotonic() - 0.03]
    assert requests.counts() == {}
    requests.answered(arrived, 204)
    assert requests.counts() == {(*BEAT, "204"): 2}
    durations = requests.durations()[*BEAT, "ok"]
    assert durations.total == 2
    assert 0.03 <= durations.sum < 1
    assert requests.totals() == (2, 0)


def test_batches_of_several_routes_and_outcomes_are_counted_apart() -> None:
    requests = RequestTelemetry()
    now_s = time.monotonic()
    for ages_s, code in (((0.02, 0.3), 204), ((0.004,), 503), ((), 204), ((0.03,), 204)):
        arrived = requests.arrived()
        arrived[b"heartbeat"] += [now_s - age_s for age_s in ages_s]
        arrived[b"metrics"] += [now_s + 60] * len(ages_s)
        requests.answered(arrived, code)
    counts, durations = requests.counts(), requests.durations()
    assert (counts[*BEAT, "204"], counts[*BEAT, "503"], requests.totals()) == (3, 1, (8, 2))
    assert 0.35 <= durations[*BEAT, "ok"].sum < 0.5
    assert durations[*BEAT, "failed"].total == 1
    metrics = ("POST", "/api/v1/devices/{device_id}/metrics")
    assert (durations[*metrics, "ok"].sum, durations[*metrics, "ok"].total) == (0.0, 3), "no time is below 0"


def test_nothing_is_counted_of_a_batch_that_nobody_measured() -> None:
    requests = RequestTelemetry()
    requests.answered(None, 204)
    assert (requests.counts(), requests.totals()) == ({}, (0, 0))


def test_the_code_of_an_answer_says_whether_the_sender_or_the_service_failed() -> None:
    requests = RequestTelemetry()
    for code in (200, 304, 404, 429, 500, 503):
        requests.count(Target("GET", "/"), code, 0.01)
    assert requests.totals() == (6, 2)
    assert {key[2]: durations.total for key, durations in requests.durations().items()} == {
        "ok": 2, "refused": 2, "failed": 2,
    }  # fmt: skip
    assert [outcome_of(code) for code in (204, 400, 499, 500)] == ["ok", "refused", "refused", "failed"]


def test_methods_that_strangers_make_up_share_one_series() -> None:
    requests = RequestTelemetry()
    for method in ("BREW", "PROPFIND", "GET"):
        requests.count(Target(method, NO_ROUTE), 405, 0.0)
    requests.unread(408)
    assert requests.counts() == {
        ("other", NO_ROUTE, "405"): 2, ("GET", NO_ROUTE, "405"): 1, (NO_ROUTE, NO_ROUTE, "408"): 1,
    }  # fmt: skip


def test_a_request_without_an_answer_counts_and_has_no_duration() -> None:
    requests = RequestTelemetry()
    requests.count(Target("GET", "/"), None, 3.0)
    assert (requests.counts(), requests.durations()) == ({("GET", "/", "none"): 1}, {})


def test_a_refusal_at_the_front_door_counts_under_its_route() -> None:
    requests = RequestTelemetry()
    requests.refused(b"stats", 422)
    assert requests.counts() == {("POST", "/api/v1/devices/{device_id}/stats", "422"): 1}
