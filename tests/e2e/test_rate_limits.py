"""Rate limits over the real command and real HTTP: both paths refuse the same with the same words."""

import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

HEARTBEAT, STATS = "/api/v1/devices/{}/heartbeat", "/api/v1/devices/{}/stats"
SLOW = ("--device-per-s", "0.001", "--device-burst", "3", "--backlog-per-s", "0.001", "--backlog-burst", "2")
OLD = {"sent_at": "2026-01-05T07:00:00Z"}


def now() -> dict[str, str]:
    return {"sent_at": datetime.now(UTC).isoformat()}


def problem(client: Client, path: str, body: object) -> tuple[int, dict[str, str], dict[str, object]]:
    """Status, the headers of limits, and the body of an answer."""
    client.connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = client.connection.getresponse()
    named = {name.lower(): value for name, value in answer.getheaders()}
    text = answer.read()
    headers = {name: named.get(name, "") for name in ("retry-after", "ratelimit", "ratelimit-policy", "content-type")}
    return answer.status, headers, json.loads(text) if text else {}


def test_both_paths_answer_the_same_and_a_backlog_does_not_harm_the_beats(serve: Callable[..., Server]) -> None:
    server = serve(*SLOW)
    door, handed = Client(server.port), Client(server.port)
    assert handed.ask("GET", "/") == (200, "OK.")
    for device, client in ((PUBLISHED[0], door), (PUBLISHED[1], handed)):
        path = HEARTBEAT.format(device)
        statuses = [client.ask("POST", path, body)[0] for body in (OLD, OLD, OLD, now(), now(), now(), now(), OLD)]
        assert statuses == [204, 204, 429, 204, 204, 204, 429, 429]
    for body in (now(), OLD):
        # Each connection speaks for a device that has used up what the other one has.
        mine = problem(door, HEARTBEAT.format(PUBLISHED[0]), body)
        other = problem(handed, HEARTBEAT.format(PUBLISHED[1]), body)
        wait = [one[1].pop("retry-after") for one in (mine, other)]
        assert abs(int(wait[0]) - int(wait[1])) <= 2
        for one in (mine, other):
            one[1]["ratelimit"] = one[1]["ratelimit"].partition(";t=")[0]
            del one[2]["detail"]  # it has the seconds
        assert mine == other
        assert (mine[0], mine[2]["type"]) == (429, "urn:fleetpulse:problem:device_rate")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as page:
        text = page.read().decode()
    assert 'fleetpulse_events_refused_total{reason="device_rate"}' in text
    assert 'fleetpulse_events_refused_total{reason="backlog_rate"} 2' in text
    door.close()
    handed.close()


@pytest.mark.parametrize("flag", ["--rates=fast please", "--rates=role device 5/s burst 3", "--device-burst=0"])
def test_a_limit_that_is_none_ends_the_start_with_what_is_expected(flag: str, serve: Callable[..., Server]) -> None:
    with pytest.raises(AssertionError, match=r"(?s)no .* in the log.*(rates: `|device_burst must be)"):
        serve(flag)


def test_a_month_of_a_device_is_served_at_its_own_pace_in_bulk(serve: Callable[..., Server]) -> None:
    """On an open node nobody's key is charged: bulk bodies are bounded by their own limits."""
    client = Client(serve(*SLOW).port)
    start = datetime(2026, 1, 5, tzinfo=UTC)
    lines = [{"device_id": PUBLISHED[0], "sent_at": (start + timedelta(minutes=m)).isoformat()} for m in range(5_000)]
    body = "\n".join(json.dumps(line) for line in lines)
    for _ in range(2):
        status, verdict = client.ask("POST", "/api/v1/events", body.encode())
        assert (status, verdict["accepted"]) == (200, 5_000)
    assert client.ask("POST", HEARTBEAT.format(PUBLISHED[0]), now())[0] == 204
    client.close()
