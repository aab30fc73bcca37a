"""A million devices on one node: memory, CPU a heartbeat, answers under load, checkpoints, and restart.

Paper estimate: up to 200 MB of presence by the hour of the day, 60 MB of columns, 150 MB of ids, and 150 MB of
interpreter and libraries.

    python benchmarks/load/bench_million.py [--devices 1000000] [--replay-events 5000000] [--seconds 20]
"""

import argparse
import http.client
import json
import multiprocessing
import signal
import tempfile
import time
from datetime import UTC, datetime, timedelta
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

import uvloop
from harness import Process, fleetpulse, median_of, pace, percentiles, pin_load, record, write_devices, wrk

BULK = 10_000
RATE = 20_000


def say_all(port: int, count: int, *, times: int) -> None:
    """Every device says a heartbeat in each of `times` minutes up to now, in bulk."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(times):
        moment = datetime.now(UTC) - timedelta(minutes=number)
        tail = f'","sent_at":"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"}}'
        for start in range(0, count, BULK):
            devices = range(start, min(start + BULK, count))
            body = "\n".join(f'{{"device_id":"dev-{device}{tail}' for device in devices).encode()
            connection.request("POST", "/api/v1/events", body, {"Content-Type": "application/x-ndjson"})
            answer = connection.getresponse()
            text = answer.read().decode()
            assert answer.status == 200 and f'"accepted":{len(devices)}' in text, text
    connection.close()


def ask_forever(port: int, count: int, ending: "Event", latencies_s: "Queue[list[float]]") -> None:
    """GET …/stats of one device after the other; in a process of its own, so that only the server is measured."""
    pin_load()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    answers_s: list[float] = []
    while not ending.is_set():
        started_s = time.perf_counter()
        connection.request("GET", f"/api/v1/devices/dev-{len(answers_s) * 104_729 % count}/stats")
        answer = connection.getresponse()
        answer.read()
        answers_s.append(time.perf_counter() - started_s)
        assert answer.status == 200
        time.sleep(0.005)
    latencies_s.put(answers_s)


def ask_while_loaded(port: int, count: int, seconds: float) -> tuple[list[float], list[float]]:
    """Latencies in seconds: of GET …/stats, one after the other, and of the heartbeats that come in beside."""
    spawn = multiprocessing.get_context("spawn")
    ending, latencies_s = spawn.Event(), spawn.Queue()
    asking = spawn.Process(target=ask_forever, args=(port, count, ending, latencies_s))
    asking.start()
    beats = uvloop.run(pace(port, count=count, rate=RATE, seconds=seconds))
    ending.set()
    answers_s = latencies_s.get(timeout=30)
    asking.join()
    return answers_s, beats


def checkpoints(server: Process) -> list[dict[str, float]]:
    """What the log says of checkpoints so far."""
    assert server.log
    lines = (json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{"))
    return [{"seconds": line["seconds"]} for line in lines if line["event"] == "checkpoint"]


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--replay-events", type=int, default=5_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    pin_load()
    count = chosen.devices
    figures: dict[str, object] = {}
    goals: dict[str, tuple[float, float]] = {}
    rarely = ["--checkpoint-s", "1000000", "--checkpoint-journal-entries", "1000000000"]
    with tempfile.TemporaryDirectory() as few_name, tempfile.TemporaryDirectory() as name:
        few, many = Path(few_name), Path(name)
        write_devices(few / "devices.csv", 1_000)
        write_devices(many / "devices.csv", count)

        started_s = time.perf_counter()
        with fleetpulse(many, "--checkpoint-s", "4", devices=many / "devices.csv") as server:
            figures["first start, registering all, s"] = round(time.perf_counter() - started_s, 1)
            say_all(server.port, count, times=2)
            answers_s, _ = ask_while_loaded(server.port, count, 2)
            figures["memory, all reporting, MB"] = round(server.memory_mb(), 1)
            before = len(checkpoints(server))
            answers_s, beats = ask_while_loaded(server.port, count, chosen.seconds)
            taken = checkpoints(server)[before:]
            figures["20,000 heartbeats/s with checkpoints"] = {
                "GET stats": percentiles(answers_s),
                "heartbeat": percentiles(beats),
                "checkpoints": len(taken),
                "checkpoint s": max((one["seconds"] for one in taken), default=0),
            }
            goals["checkpoints missing while measured"] = (float(not taken), 0)
            goals["heartbeat p99 ms while checkpoints run"] = (percentiles(beats)["p99_ms"], 150)
            figures["memory peak, checkpoints included, MB"] = round(server.memory_mb("VmHWM"), 1)
            goals["resident memory MB, all reporting"] = (server.memory_mb(), 600)
            server.stop()
        with fleetpulse(many, *rarely) as server:
            answers_s, beats = ask_while_loaded(server.port, count, chosen.seconds)
            figures["20,000 heartbeats/s"] = {"GET stats": percentiles(answers_s), "heartbeat": percentiles(beats)}
            goals["GET stats p99 ms at 20,000 heartbeats/s"] = (percentiles(answers_s)["p99_ms"], 5)
            with fleetpulse(few, *rarely, devices=few / "devices.csv") as small:
                rounds = []
                for _ in range(chosen.rounds):
                    large, little = (
                        wrk(one, count=n, connections=128, seconds=4) for one, n in ((server, count), (small, 1_000))
                    )
                    rounds.append(
                        {
                            "ratio": large["cpu_us"] / little["cpu_us"],
                            "cpu_us": large["cpu_us"],
                            "cpu_us_1000": little["cpu_us"],
                        }
                    )
                figures["CPU a heartbeat"] = median_of(rounds)
                goals["CPU a heartbeat, a million over 1,000 devices"] = (median_of(rounds)["ratio"], 1.3)
            server.stop()
        with fleetpulse(many, *rarely) as server:
            say_all(server.port, count, times=-(-chosen.replay_events // count))
            server.stop(signal.SIGKILL)
        started_s = time.perf_counter()
        with fleetpulse(many, *rarely) as server:
            seconds = time.perf_counter() - started_s
            figures["restart with replay, s"] = round(seconds, 2)
            figures["memory peak of a restart, MB"] = round(server.memory_mb("VmHWM"), 1)
            goals[f"restart s, snapshot + {chosen.replay_events} events"] = (seconds, 15)
            goals["resident memory MB after a restart"] = (server.memory_mb(), 600)
    record("million", figures, goals)


if __name__ == "__main__":
    main()
