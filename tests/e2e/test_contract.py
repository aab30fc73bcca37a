"""The published contract, over the real command and real HTTP, on both paths of the edge."""

import random
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from conftest import PUBLISHED, Server
from http_client import Client

START = datetime(2026, 1, 5, 7, 0, tzinfo=UTC)
PRESENT = dict(zip(PUBLISHED, [479, 480, 446, 474, 479], strict=True))
UPTIME = dict(zip(PUBLISHED, ["99.79167", "100.00000", "92.91667", "98.75000", "99.79167"], strict=True))
CONNECTIONS = 4
HEARTBEAT, STATS = "/api/v1/devices/{}/heartbeat", "/api/v1/devices/{}/stats"


@pytest.fixture(params=["front door", "handed over"])
def connect(request: pytest.FixtureRequest, serve: Callable[..., Server]) -> Callable[[], Client]:
    """Makes one more connection to the server."""
    port = serve().port

    def connect() -> Client:
        client = Client(port)
        if request.param == "handed over":
            assert client.ask("GET", "/") == (200, "OK.")
        return client

    return connect


@pytest.fixture
def client(connect: Callable[[], Client]) -> Iterator[Client]:
    client = connect()
    yield client
    client.close()


@pytest.fixture(scope="module")
def unheard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all tests whose requests must change nothing, which each of them checks at its end."""
    server = Server(tmp_path_factory.mktemp("unheard") / "data")
    yield server
    assert server.stop() == 0


@pytest.fixture(params=["front door", "handed over"])
def refused(request: pytest.FixtureRequest, unheard: Server) -> Iterator[Client]:
    client = Client(unheard.port)
    if request.param == "handed over":
        assert client.ask("GET", "/") == (200, "OK.")
    yield client
    client.close()


def published_run(seed: int) -> list[tuple[str, str]]:
    chance = random.Random(seed)
    run = []
    for device, present in PRESENT.items():
        minutes = {0, 480, *chance.sample(range(1, 480), present - 2)}
        run += [(device, (START + timedelta(minutes=m, seconds=chance.randrange(60))).isoformat()) for m in minutes]
    chance.shuffle(run)
    return run


def uptimes(client: Client) -> dict[str, str]:
    return {device: f"{client.ask('GET', STATS.format(device))[1]['uptime']:.5f}" for device in PUBLISHED}


def test_before_any_data_the_figures_are_zero(refused: Client) -> None:
    assert refused.ask("GET", STATS.format(PUBLISHED[0])) == (200, {"uptime": 0.0, "avg_upload_time": "0s"})


def send(connect: Callable[[], Client], run: list[tuple[str, str]]) -> None:
    """Send heartbeats over several connections at once, so that many share a commit."""

    def send_share(number: int) -> None:
        with closing(connect()) as client:
            for device, sent_at in run[number::CONNECTIONS]:
                assert client.ask("POST", HEARTBEAT.format(device), {"sent_at": sent_at}) == (204, None)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send_share, range(CONNECTIONS)))


def test_the_published_run_gives_the_published_uptime_however_often_it_is_replayed(
    connect: Callable[[], Client], client: Client
) -> None:
    for seed in (1, 1):
        send(connect, published_run(seed))
        assert uptimes(client) == UPTIME


def test_the_average_upload_time_is_exact_to_the_nanosecond(client: Client) -> None:
    path = STATS.format(PUBLISHED[0])
    for second, value in enumerate((2**63 - 1, 2**63 - 1, 1, 2, 3)):
        sent_at = START + timedelta(seconds=second)
        assert client.ask("POST", path, {"sent_at": sent_at.isoformat(), "upload_time": value})[0] == 204
    assert client.ask("GET", path)[1]["avg_upload_time"] == "1024819h6m54.741910324s"


@pytest.mark.parametrize(
    ("path", "body", "status", "text"),
    [
        (HEARTBEAT, b"", 400, "sent_at"),
        (HEARTBEAT, b"{", 400, "sent_at"),
        (HEARTBEAT, b"[]", 400, "sent_at"),
        (HEARTBEAT, b"\xff", 400, "sent_at"),
        (HEARTBEAT, b"[" * 60_000, 400, "expected"),
        (HEARTBEAT, {"sent_at": "yesterday"}, 400, "RFC 3339"),
        (HEARTBEAT, {"sent_at": 5}, 400, "sent_at"),
        (HEARTBEAT, {"sent_at": "1970-01-01T00:00:59Z"}, 422, "device's clock"),
        (HEARTBEAT, {"sent_at": "2000-01-05T00:00:00Z"}, 422, "2020-01-01T00:00:00Z and"),
        (STATS, {"sent_at": "1980-01-06T00:00:00Z", "upload_time": 1}, 422, "device's clock"),
        (HEARTBEAT, {"sent_at": "2999-12-31T23:59:59Z"}, 422, "between"),
        (HEARTBEAT, {"sent_at": "0001-01-01T00:00:00+23:00"}, 422, "between"),
        (STATS, {"sent_at": "2026-01-01T00:00:00Z"}, 400, "upload_time"),
        (STATS, {"sent_at": "2026-01-01T00:00:00Z", "upload_time": -1}, 422, "upload_time"),
        (STATS, {"sent_at": "2026-01-01T00:00:00Z", "upload_time": 2**64}, 422, "upload_time"),
        (STATS, {"sent_at": "2026-01-01T00:00:00Z", "upload_time": 10**40}, 400, "upload_time"),
        (STATS, {"sent_at": "2026-01-01T00:00:00Z", "upload_time": 1.5}, 400, "upload_time"),
        (STATS, {"sent_at": "2026-01-01T00:00:00Z", "upload_time": "1"}, 400, "upload_time"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(
    refused: Client, path: str, body: object, status: int, text: str
) -> None:
    answered, problem = refused.ask("POST", path.format(PUBLISHED[0]), body)
    assert (
        answered in ((status, 422) if body and "10000000000" in str(body) else (status,)),
        text in problem["msg"],
    ) == (True, True), problem
    assert refused.ask("GET", STATS.format(PUBLISHED[0]))[1] == {"uptime": 0.0, "avg_upload_time": "0s"}


def test_an_unknown_device_is_not_found(refused: Client) -> None:
    body = {"sent_at": "2026-01-01T00:00:00Z", "upload_time": 1}
    for method, path in (("POST", HEARTBEAT), ("POST", STATS), ("GET", STATS)):
        status, problem = refused.ask(method, path.format("nobody"), body if method == "POST" else None)
        assert (status, problem["msg"]) == (404, "Device not found")


def test_bulk_gives_a_verdict_a_line(client: Client) -> None:
    lines = [
        f'{{"device_id": "{PUBLISHED[0]}", "sent_at": "2026-01-01T00:00:00Z"}}',
        f'{{"device_id": "{PUBLISHED[0]}", "sent_at": "2026-01-01T00:01:00Z", "upload_time": 7}}',
        '{"device_id": "nobody", "sent_at": "2026-01-01T00:01:00Z"}',
        "",
        "nonsense",
    ]
    status, verdict = client.ask("POST", "/api/v1/events", "\n".join(lines).encode())
    assert (status, verdict["accepted"], [refused["line"] for refused in verdict["refused"]]) == (200, 2, [3, 5])
    assert client.ask("GET", STATS.format(PUBLISHED[0]))[1] == {"uptime": 100.0, "avg_upload_time": "7ns"}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_acknowledged_survives(serve: Callable[..., Server], number: int) -> None:
    run = published_run(3)
    half = len(run) // 2
    for part in (run[:half], run[half:], []):
        server = serve("--checkpoint-s", "0.3")
        send(partial(Client, server.port), part)
        if not part:
            with closing(Client(server.port)) as client:
                assert uptimes(client) == UPTIME
        status = server.stop(number)
        assert status == (0 if number == signal.SIGTERM else -signal.SIGKILL)
