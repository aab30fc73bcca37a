"""deploy/compose.scale.yaml, run by an engine of the tests' own: three nodes, and what they share, under load.

One story in the order of the tests, since building and starting take most of the time.
"""

import csv
import io
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scale_stack import ENGINES, IMAGE, NEXT_IMAGE, NODES, Stack, await_true, built_stack
from test_containers import free_port

DEVICES_COUNT, PAUSE_S = 24, "0.4"
"""Of those that send; each so seldom that it stays within its own rate limit, however long the machine takes."""
SUBNET = "10.67.34.0/24"
FAULT_S = 6.0
SIMULATED_COUNT, SEED = 20, 7
DELAY_MAX_S = 30.0
"""Of a report, however often it is sent again, while something is away."""


@pytest.fixture(scope="module")
def stack(engine_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with built_stack(engine_environment, tmp_path_factory.mktemp("scale"), port=free_port(), subnet=SUBNET) as found:
        yield found


def test_engines_and_nodes_come_up_and_the_balancer_finds_the_nodes(stack: Stack) -> None:
    stack.up(*ENGINES)
    engines_s = stack.await_healthy(*ENGINES)
    stack.up(*NODES, "balancer")
    nodes_s = stack.await_healthy(*NODES)
    print(f"\nengines healthy after {engines_s:.1f} s, nodes after {nodes_s:.1f} s more")
    for node in NODES:
        assert stack.ask(node, "/readyz")[0] == 200
    await_true(lambda: stack.ask("balancer", "/readyz")[0] == 200, "the balancer finds a node")
    assert {stack.ask(node, "/api/v1/node")[1]["node"] for node in NODES} == set(NODES)


def test_nothing_is_lost_and_all_nodes_are_equal_while_containers_are_killed_paused_and_cut_off(stack: Stack) -> None:
    sender = start_sender(stack, "faults")
    time.sleep(3)
    stack.await_healthy("node1", other_than=stack.kill("node1"))
    with stack.paused("node2"):
        time.sleep(FAULT_S)
    with stack.cut_off("node3", "engines"):
        time.sleep(FAULT_S)
    stack.await_healthy(*NODES)
    stack.await_healthy("nats1", other_than=stack.kill("nats1"))
    with stack.paused("nats2"):
        time.sleep(FAULT_S)
    stack.await_healthy("postgres", other_than=stack.kill("postgres"))
    for engine in ("postgres", "s3"):
        with stack.paused(engine):
            time.sleep(FAULT_S)
    with stack.cut_off("s3", "engines"):
        time.sleep(FAULT_S)
    stack.await_healthy(*ENGINES, *NODES)
    ledger = end_sender(stack, sender)
    check(stack, ledger)
    assert ledger["longest_s"] < DELAY_MAX_S


def test_simulated_devices_have_right_figures_on_every_node_while_nodes_are_killed_and_paused(stack: Stack) -> None:
    declare(stack, [f"sim-{SEED}-{number:07d}" for number in range(1, SIMULATED_COUNT + 1)])
    words = f"simulate --url http://balancer:6733 --devices {SIMULATED_COUNT} --seed {SEED} --hours 10 --connections 4"
    simulating = stack.beside_balancer("-e", f"FLEETPULSE_KEY={stack.key}", IMAGE, *words.split(), "--json")
    time.sleep(2)
    former = stack.kill("node2")
    with stack.paused("node1"):
        time.sleep(FAULT_S)
    is_running = stack.run("docker", "inspect", "--format", "{{.State.Running}}", simulating).strip()
    status = stack.run("docker", "wait", simulating).strip()
    text = stack.run("docker", "logs", simulating, checked=False)
    assert (is_running, status) == ("true", "0"), text
    stack.await_healthy("node2", other_than=former)
    verdicts = json.loads(text[text.index("[{") : text.rindex("}]") + 2])
    expected = {
        verdict["device_id"]: figures(verdict["uptime_expected"], verdict["average_actual"]) for verdict in verdicts
    }
    assert len(expected) == SIMULATED_COUNT
    for node in NODES:
        await_true(lambda node=node: answered(stack, node, expected) == expected, f"{node} has the figures of the plan")
    # The control: a figure that is a little off is seen.
    device_id, (uptime, average) = next(iter(expected.items()))
    assert answered(stack, NODES[0], [device_id]) != {device_id: figures(float(uptime) - 0.001, average)}


def test_a_rolling_upgrade_refuses_no_report(stack: Stack) -> None:
    stack.run("docker", "build", "-q", "-t", NEXT_IMAGE, "--label", "upgraded=yes", "-f", "deploy/Dockerfile", ".")
    stack.environment["FLEETPULSE_IMAGE"] = NEXT_IMAGE
    sender = start_sender(stack, "upgrade")
    time.sleep(2)
    for node in NODES:
        before = stack.container(node)
        stack.up(node)
        assert stack.container(node) != before
        stack.await_healthy(node)
        await_true(lambda node=node: stack.ask(node, "/readyz")[0] == 200, f"{node} is ready")
        time.sleep(3)  # until the balancer has looked twice, and sends it devices again
    ledger = end_sender(stack, sender)
    check(stack, ledger)
    assert {device: failures for device, failures in ledger["failures"].items() if failures} == {}


def test_without_any_node_the_balancer_answers_in_the_form_of_the_service(stack: Stack) -> None:
    stack.compose("stop", *NODES)
    await_true(lambda: stack.ask("balancer", "/readyz")[0] == 503, "the balancer has seen that all nodes are gone")
    status, body = stack.ask("balancer", "/api/v1/devices/faults-0/stats")
    assert (status, body["status"], bool(body["msg"])) == (503, 503, True)


def figures(uptime: float, average: str) -> tuple[str, str]:
    """Uptime and average upload time of a device, as answers show them."""
    return f"{uptime:.5f}", average


def answered(stack: Stack, node: str, device_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """What a node says of devices."""
    found, address = {}, stack.address(node)
    for device_id in device_ids:
        status, answer = stack.ask(node, f"/api/v1/devices/{device_id}/stats", address=address)
        assert status == 200, answer
        found[device_id] = figures(float(answer["uptime"]), answer["avg_upload_time"])
    return found


def declare(stack: Stack, device_ids: Iterable[str]) -> str:
    """Make devices known. Returns: the table of their ids."""
    table = "\n".join(["device_id", *device_ids])
    status, answer = stack.answer(NODES[0], "/api/v1/devices.csv", csv_body=table)
    assert status < 300, answer
    return table


def start_sender(stack: Stack, prefix: str) -> str:
    """Let devices of their own begin to send through the balancer, from a container beside it. Returns: its id."""
    devices = [f"{prefix}-{number}" for number in range(DEVICES_COUNT)]
    table = declare(stack, devices)
    status, answer = stack.answer(NODES[0], "/api/v1/keys.csv", csv_body=table)
    assert status < 300, answer
    keys = {row["device_id"]: row["key"] for row in csv.DictReader(io.StringIO(answer))}
    source = f"{Path(__file__).parent / 'sender.py'}:/sender.py:ro"
    script = ["/sender.py", "http://balancer:6733", json.dumps(keys), PAUSE_S]
    return stack.beside_balancer("-v", source, "--entrypoint", "python", IMAGE, *script)


def end_sender(stack: Stack, sender: str) -> dict[str, Any]:
    stack.run("docker", "stop", "-t", "40", sender)
    ledger: dict[str, Any] = json.loads(stack.run("docker", "logs", sender))
    return ledger


def check(stack: Stack, ledger: dict[str, Any]) -> None:
    """Every node has what was acknowledged, and all nodes hold the same."""
    acknowledged = {device: set(values) for device, values in ledger["acknowledged"].items()}
    print(f"\n{sum(map(len, acknowledged.values()))} reports, none later than {ledger['longest_s']:.1f} s; meanwhile:")
    print(json.dumps({device: failures for device, failures in ledger["failures"].items() if failures}, indent=1))
    assert min(map(len, acknowledged.values())) > 20
    for node in NODES:
        await_true(lambda node=node: missing(stack, node, acknowledged) == {}, f"{node} has what was acknowledged")
    # The control: a report that nobody sent must be missed.
    unsent = {next(iter(acknowledged)): {10**9}}
    assert missing(stack, NODES[0], unsent) == unsent
    await_true(lambda: len({hashed(stack, node) for node in NODES}) == 1, "all nodes hold the same at one position")


def hashed(stack: Stack, node: str) -> tuple[int, str]:
    _, found = stack.ask(node, "/api/v1/node?hash=true")
    return found["position"], found["hash"]


def missing(stack: Stack, node: str, acknowledged: dict[str, set[int]]) -> dict[str, set[int]]:
    """The values that were acknowledged, and are not among the samples of a node, by device."""
    status, exported = stack.answer(node, "/api/v1/export?what=samples&types=upload_time&window=1h")
    assert status == 200, exported
    stored: dict[str, set[int]] = {}
    for row in csv.DictReader(io.StringIO(exported)):
        stored.setdefault(row["device_id"], set()).add(int(row["value"]))
    lost = {device: values - stored.get(device, set()) for device, values in acknowledged.items()}
    return {device: values for device, values in lost.items() if values}
