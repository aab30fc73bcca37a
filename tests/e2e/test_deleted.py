"""What a deletion does to a device's pause, status and uptime, over the real command and a kill."""

import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from command import run_command
from conftest import PUBLISHED, Server
from http_client import Client

PATH = f"/api/v1/devices/{PUBLISHED[0]}"


def test_a_pause_ends_with_its_device_and_one_declared_again_is_not_paused_and_not_down(
    serve: Callable[..., Server],
) -> None:
    server = serve()
    client = Client(server.port)
    long_ago = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    assert client.ask("POST", f"{PATH}/heartbeat", {"sent_at": long_ago})[0] == 204
    assert client.ask("POST", f"{PATH}/pause", {})[1]["status"] == "paused"
    assert client.ask("DELETE", PATH)[0] == 200
    assert client.ask("GET", PATH)[0] == 404
    client.close()
    server.stop(signal.SIGKILL)
    server = serve()
    client = Client(server.port)
    assert client.ask("POST", "/api/v1/devices", {"id": PUBLISHED[0], "interval": "1s", "grace": "2s"})[0] == 201
    device = client.ask("GET", PATH)[1]
    assert device["status"] != "paused"
    explained = client.ask("GET", f"{PATH}/uptime?window=1h&explain=true")[1]
    assert {"paused", "deleted"} >= {interval["reason"] for interval in explained["intervals"]} & {"paused", "deleted"}
    client.close()


def test_the_history_of_a_deleted_device_is_answered_where_it_is_asked_for(serve: Callable[..., Server]) -> None:
    server = serve("--auto-define", "--checkpoint-s", "1000")  # so that samples stay in the tier they are in
    server.wait_for_log('"event": "checkpoint"')  # the first one of a new folder comes at once
    client = Client(server.port)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    start, end = (now - timedelta(minutes=minutes) for minutes in (10, 5))
    for minute in range(5):
        at = (start + timedelta(minutes=minute)).isoformat()
        for device in PUBLISHED[:2]:
            body = {"sent_at": at, "metrics": {"load": 1}}
            assert client.ask("POST", f"/api/v1/devices/{device}/metrics", body)[0] == 204
    window = f"from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
    fleet, metrics = f"/api/v1/fleet/uptime?{window}", f"/api/v1/fleet/metrics?types=load&aggregation=sum&{window}"
    of_device = [
        f"{PATH}/{what}{window}" for what in ("uptime?", "metrics?types=load&aggregation=sum&", "transitions?")
    ]
    before = [client.ask("GET", path)[1] for path in of_device]
    values = client.ask("GET", metrics)[1]["groups"][0]["metrics"]
    assert client.ask("GET", fleet)[1]["fleet"]["up_s"] == 600.0
    assert client.ask("DELETE", PATH)[0] == 200
    assert [client.ask("GET", path)[0] for path in of_device] == [404, 404, 404]
    assert client.ask("GET", fleet)[1]["fleet"]["up_s"] == 300.0
    for path, answer in zip(of_device, before, strict=True):
        again = client.ask("GET", f"{path}&include_deleted=true")[1]
        for name in {"up_s", "accountable_s", "metrics", "transitions", "status_before"} & answer.keys():
            assert again[name] == answer[name]
    assert client.ask("GET", f"{metrics}&include_deleted=true")[1]["groups"][0]["metrics"] == values
    included = client.ask("GET", f"{fleet}&include_deleted=true")[1]["fleet"]
    assert (included["up_s"], included["accountable_s"], included["devices"]) == (600.0, 600.0, 5)
    assert client.ask("GET", f"{fleet}&include_deleted=perhaps")[0] == 400
    used = client.ask("GET", fleet)[1]["declarations"]
    stats = f"/api/v1/fleet/stats?{window}"
    assert client.ask("GET", stats)[1]["uptime"]["up_s"] == 300.0
    glance = client.ask("GET", f"{stats}&include_deleted=true")[1]
    assert (glance["uptime"]["up_s"], glance["devices"]["total"], glance["declarations"]["devices"]) == (600.0, 5, 5)
    worst = [client.ask("GET", f"/api/v1/fleet/worst?{window}{more}")[1] for more in ("", "&include_deleted=true")]
    assert [PUBLISHED[0] in {one["device_id"] for one in answer["devices"]} for answer in worst] == [False, True]
    assert [answer["declarations"]["devices"] for answer in worst] == [4, 5]
    assert used == client.ask("GET", fleet)[1]["declarations"] == client.ask("GET", metrics)[1]["declarations"]
    assert client.ask("GET", f"{of_device[2]}&include_deleted=true")[1]["declarations"] == used | {"devices": 1}
    assert (used["devices"], used["changed_after_window"]) == (4, True)
    listed = client.ask("GET", "/api/v1/devices?include_deleted=true")[1]
    assert [device["id"] for device in listed["devices"] if "deleted_at" in device] == [PUBLISHED[0]]
    client.close()
    flags = ["--from", f"{start:%Y-%m-%dT%H:%M:%SZ}", "--to", f"{end:%Y-%m-%dT%H:%M:%SZ}", "--include-deleted"]
    for command in (
        ["report", "uptime", "--devices"], ["uptime", "device", PUBLISHED[0]], ["uptime", "fleet"], ["uptime", "worst"],
        ["metrics", "get", PUBLISHED[0], "--types", "load"], ["metrics", "fleet", "--types", "load"],
    ):  # fmt: skip
        done = run_command(*command, *flags, "--url", f"http://127.0.0.1:{server.port}")
        assert done.returncode == 0, done.stderr
        assert PUBLISHED[0] in done.stdout or "fleet" in command


def test_lifetime_figures_and_raw_data_of_a_deleted_device_stay_and_declarations_are_counted_over_restarts(
    serve: Callable[..., Server],
) -> None:
    server = serve()
    client = Client(server.port)
    at = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    assert client.ask("POST", f"{PATH}/heartbeat", {"sent_at": at})[0] == 204
    assert client.ask("POST", f"{PATH}/stats", {"sent_at": at, "upload_time": 5})[0] == 204
    export = f"/api/v1/export?what=presence&window=1h&device_id={PUBLISHED[0]}"
    paths = [f"{PATH}/stats", f"{PATH}/account"]
    before = [client.ask("GET", path) for path in paths]
    version = client.ask("GET", "/api/v1/fleet/uptime")[1]["declarations"]["version"]
    assert client.ask("POST", f"{PATH}/pause", {})[0] == 200
    window = {"all": True, "start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"}
    assert client.ask("POST", "/api/v1/maintenance", window)[0] == 201
    assert client.ask("DELETE", PATH)[0] == 200
    changed = client.ask("GET", "/api/v1/fleet/uptime")[1]["declarations"]["version"]
    assert changed >= version + 3
    client.close()
    server.stop(signal.SIGKILL)
    client = Client(serve().port)
    assert client.ask("GET", "/api/v1/fleet/uptime")[1]["declarations"]["version"] == changed
    assert [client.ask("GET", path)[0] for path in (*paths, export)] == [404, 404, 404]
    assert [client.ask("GET", f"{path}?include_deleted=true") for path in paths] == before
    client.connection.request("GET", f"{export}&include_deleted=true")
    lines = client.connection.getresponse().read().decode().splitlines()
    assert (len(lines), PUBLISHED[0] in lines[1]) == (2, True)
    client.close()
