"""kill -9 between the decision and the delivery of a message: nothing is lost, nothing is told out of order."""

import contextlib
import random
import secrets
import signal
import sys
import time
from pathlib import Path

from alert_messages import alert, message
from conftest import Server
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver
from receiving_server import HookServer, answer, status

ROUNDS, ALERTS, STEPS = 4, 6, 3


def store(folder: Path, messages: list[Message], *receivers: Receiver) -> None:
    """Put messages into the outbox of a service that does not run, as its rounds do."""
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    for receiver in receivers:
        catalog.receivers.put(receiver, before=None, after={})
    catalog.outbox.add(messages, at_ns=time.time_ns(), waiting_max=100_000)
    catalog.close()


def waiting(folder: Path) -> list[str]:
    catalog = SqliteCatalog(folder / "catalog.sqlite")
    found = [catalog.outbox.get(one.number) for one in catalog.outbox.waiting("hook", after=0, limit=1_000)]
    catalog.close()
    return [entry.message.key for entry in found if entry is not None]


def steps(round_number: int) -> list[Message]:
    """Several messages about each of some alerts, whose order matters."""
    return [
        message(alert(100 * round_number + number), key=f"{round_number}-{number}-{step}", at_ns=time.time_ns())
        for step in range(STEPS)
        for number in range(ALERTS)
    ]


def test_no_message_is_lost_or_out_of_order_when_the_process_is_killed(tmp_path: Path) -> None:
    chance = random.Random(7)
    folder = tmp_path / "data"
    Server(folder).stop()
    hooks = HookServer()
    slow = answer()

    def answer_slowly(connection: object) -> None:
        time.sleep(chance.uniform(0, 0.03))
        slow(connection)  # type: ignore[arg-type]  # the server gives a socket

    hooks.behaviours = [status(500), answer_slowly]
    hook = Receiver(name="hook", kind="webhook", url=hooks.url, allows_private=True)
    expected: list[str] = []
    left_behind = 0
    try:
        for number in range(ROUNDS):
            sent = steps(number)
            expected += [one.key for one in sent]
            store(folder, sent, hook)
            server = Server(folder, "--delivery-retry-s", "0.1")
            time.sleep(chance.uniform(0.0, 0.5))
            server.stop(signal.SIGKILL)
            left_behind += len(waiting(folder))
        assert left_behind, "no kill came before the end of the deliveries: the test did not try what it promises"
        server = Server(folder, "--delivery-retry-s", "0.1")
        deadline_s = time.monotonic() + 30
        while {body["key"] for body in hooks.bodies()} != set(expected) and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert server.stop() == 0
        assert waiting(folder) == []
    finally:
        hooks.close()
    arrived = [body["key"] for body in hooks.bodies()]
    assert set(arrived) == set(expected)
    first = {key: arrived.index(key) for key in expected}
    for number in range(ROUNDS):
        for one in range(ALERTS):
            places = [first[f"{number}-{one}-{step}"] for step in range(STEPS)]
            assert places == sorted(places)
    repeated = len(arrived) - len(set(arrived))
    assert repeated <= ROUNDS + 1, "a crash repeats at most the message that was under way, and a failure one try"
    keys = [headers["idempotency-key"] for _, headers, _ in hooks.requests]
    assert keys == arrived


def test_the_control_loses_a_message_since_it_records_deliveries_before_they_are_made(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    Server(folder).stop()
    hooks = HookServer()
    hooks.behaviours = [hooks.hang]
    try:
        store(folder, steps(0), Receiver(name="hook", kind="webhook", url=hooks.url, allows_private=True))
        wrong = [sys.executable, str(Path(__file__).with_name("serve_wrong.py")), "hasty", "serve", "--port", "0"]
        command = [*wrong, "--data", str(folder), "--log-format", "json"]
        server = Server.run(command, log=tmp_path / "wrong.log", folder=folder)
        lost = hooks.wait(1)[0]["key"]
        server.stop(signal.SIGKILL)
        hooks.behaviours, hooks.requests = [answer()], []
        server = Server(folder)
        assert lost not in {body["key"] for body in hooks.wait(ALERTS * STEPS - 1)}
        assert server.stop() == 0 and waiting(folder) == []
    finally:
        hooks.close()


def test_a_receiver_that_hangs_does_not_hold_up_the_end_of_the_service(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    Server(folder).stop()
    hooks = HookServer()
    hooks.behaviours = [hooks.hang]
    try:
        hook = Receiver(name="hook", kind="webhook", url=hooks.url, allows_private=True)
        store(folder, steps(0), hook)
        server = Server(folder, "--delivery-timeout-s", "60")
        hooks.wait(1)
        started_s = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started_s < 6
        assert len(waiting(folder)) == ALERTS * STEPS
    finally:
        hooks.close()


def test_no_secret_of_a_receiver_is_in_the_log(tmp_path: Path) -> None:
    folder, secret = tmp_path / "data", secrets.token_hex(16)  # of which no other process of the machine can know
    Server(folder).stop()
    hook = Receiver(name="hook", kind="webhook", url=f"http://127.0.0.1:9/{secret}?a={secret}", secret=secret)
    chat = Receiver(name="chat", kind="apprise", url=f"json://user:{secret}@127.0.0.1:9/{secret}", allows_private=True)
    store(folder, [*steps(0), message(alert(7), key="chat", receiver="chat")], hook, chat)
    server = Server(folder, "--delivery-retry-s", "0.1", "--delivery-refusals-max", "2")
    server.wait_for_log("a message was given up")
    server.wait_for_log('"receiver": "chat"')
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # a process that has ended meanwhile
            commands.append(path.read_bytes())
    assert server.stop() == 0
    assert secret not in server.log.read_text() and not any(secret.encode() in one for one in commands)
