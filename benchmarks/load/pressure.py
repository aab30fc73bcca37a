"""Clients that press a server as hard as its routes allow, all at once, and a tally of what they were answered.

The kinds: dear questions that are read to their end, or whose clients hang up; exports that are read slowly; a
connection that pipelines refused heartbeats; bodies in one-byte chunks; late beats over thousands of days; devices
that are registered anew; and small questions, of which each client waits for the answer.

A question about the past is asked once before, in quiet; every later 200 must have the same figures.
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pressure_tally import Answer, Tally, difference, figures_of

API = "/api/v1"
READ_BYTES = 65_536
LATE_DEVICES, LATE_DAYS, LATE_BATCH = 111, 9_000, 5_000
ANSWERED_WITHIN_S = 45.0
"""After the time of a question (question_timeout_s) and that of sending its answer to a client that reads."""


@dataclass
class Pressure:
    """A server under pressure, until a moment of the monotonic clock."""

    port: int
    devices: int
    until_s: float
    chance: random.Random
    now: datetime
    tally: Tally = field(default_factory=Tally)
    quiet: dict[str, Any] = field(default_factory=dict)

    # One exchange

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """A request without its body."""
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers, "", ""]).encode()

    async def ask(
        self,
        request: bytes,
        *,
        hang_up_s: float | None = None,
        pause_s: float = 0.0,
        read_bytes: int = READ_BYTES,
        parts: list[bytes] | None = None,
    ) -> Answer | None:
        """Send a request on a connection of its own and read its answer; None where the client hung up or was cut."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=READ_BYTES)
        try:
            writer.write(request)
            for part in parts or []:
                writer.write(part)
                await writer.drain()
            if hang_up_s is not None:
                await asyncio.sleep(hang_up_s)
                return None
            return await self._read(reader, pause_s, read_bytes)
        except (ConnectionError, asyncio.IncompleteReadError):
            return None
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, pause_s: float, read_bytes: int) -> Answer:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split(" ", 2)[1])
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = bytearray()
        if fields.get("transfer-encoding") == "chunked":
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
        else:
            left = int(fields.get("content-length", "0"))
            while left:
                piece = await reader.read(min(left, read_bytes))
                if not piece:
                    raise asyncio.IncompleteReadError(bytes(body), left)
                body += piece
                left -= len(piece)
                await asyncio.sleep(pause_s)
        return Answer(status, bytes(body), fields.get("retry-after"))

    # Questions about the past

    def past(self, question: str) -> str:
        """A path whose window ended an hour before these clients began."""
        until = (self.now - timedelta(hours=1)).replace(microsecond=0)
        days = int(question.rpartition("days=")[2])
        start = until - timedelta(days=days)
        return f"{API}{question.rpartition('&days=')[0]}&from={start:%Y-%m-%dT%H:%M:%SZ}&to={until:%Y-%m-%dT%H:%M:%SZ}"

    def comparable(self) -> dict[str, str]:
        """Questions, by kind, whose answers nothing that these clients send may change."""
        device = "/devices/device-0000007"
        return {
            "ranks by the minute": self.past("/fleet/metrics?types=cpu,memory&step=1m&aggregation=p99&days=30"),
            "by site": self.past("/fleet/metrics?types=cpu&group_by=site&days=1"),
            "a month by the minute": self.past(f"{device}/metrics?types=cpu&step=1m&days=30"),
            "an hour of a device": self.past(f"{device}/metrics?types=cpu,memory&days=1"),
            "uptime of a device": self.past(f"{device}/uptime?explain=true&days=30"),
        }

    async def learn(self) -> None:
        """Ask the comparable questions in quiet."""
        for kind, path in self.comparable().items():
            answer = await self.ask(self.head("GET", path))
            assert answer and answer.status == 200, (kind, answer)
            self.quiet[path] = figures_of(answer.body)

    async def _question(self, kind: str, path: str, *, pause_s: float = 0.0, read_bytes: int = READ_BYTES) -> None:
        answer = await self.ask(self.head("GET", path), pause_s=pause_s, read_bytes=read_bytes)
        if answer is None:
            self.tally.fault(f"{kind}: the connection was cut before its answer")
            return
        self.tally.note(kind, answer)
        known = self.quiet.get(path)
        if known and answer.status == 200 and (found := figures_of(answer.body)) != known:
            self.tally.fault(f"{kind}: not the answer of the quiet server: {difference(known, found)}")

    async def ranks(self) -> None:
        """Exact quantiles by the minute over a month of the whole fleet."""
        await self._question("ranks by the minute", self.comparable()["ranks by the minute"])

    async def ranks_hung_up(self) -> None:
        """The same, but the client goes away."""
        path = self.comparable()["ranks by the minute"]
        await self.ask(self.head("GET", path), hang_up_s=self.chance.uniform(0.02, 1.0))
        self.tally.outcomes["ranks, hung up"] += 1

    async def by_site(self) -> None:
        """A day of the fleet by site."""
        await self._question("by site", self.comparable()["by site"])

    async def month(self) -> None:
        """A device by the minute."""
        await self._question("a month by the minute", self.comparable()["a month by the minute"])

    async def sorted_list(self) -> None:
        """The list of devices, sorted by their uptime of ten years."""
        await self._question("sorted list", f"{API}/devices?sort=uptime&uptime_window=3660d&uptime_below=99")

    async def long_uptime(self) -> None:
        """Uptime of ten years in steps."""
        await self._question("uptime of ten years", f"{API}/fleet/uptime?window=3660d&step=10d")

    async def small(self) -> None:
        """A question that a person waits for."""
        kind = self.chance.choice(["an hour of a device", "uptime of a device"])
        path = self.chance.choice([self.comparable()[kind], f"{API}/devices?limit=20"])
        started_s = time.perf_counter()
        await self._question("small question", path)
        self.tally.small_s.append(time.perf_counter() - started_s)
        await asyncio.sleep(0.05)

    async def slow_export(self) -> None:
        """An export whose reader takes little at a time, and gives up."""
        form = self.chance.choice(
            ["samples&format=parquet&types=cpu", "presence&format=csv", "samples&format=csv&types=cpu"]
        )
        request = self.head("GET", f"{API}/export?window=30d&what={form}")
        head = b""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=4096)
        try:
            writer.write(request)
            async with asyncio.timeout(self.chance.uniform(2, 10)):
                head = await reader.readline()
                while await reader.read(4096):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            self.tally.outcomes[
                f"slow export, {'status ' + head.split()[1].decode() if head else 'no answer yet'}"
            ] += 1
        except ConnectionError:
            self.tally.outcomes["slow export, cut"] += 1
        finally:
            writer.close()

    # What is sent

    async def pipelined(self) -> None:
        """60,000 heartbeats of a device that nobody declared, on one connection, without waiting."""
        count, body = 60_000, b'{"sent_at":"2026-01-01T00:00:00Z"}'
        one = self.head(
            "POST", f"{API}/devices/nobody/heartbeat", "Content-Type: application/json", f"Content-Length: {len(body)}"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            sending = asyncio.ensure_future(self._send(writer, (one + body) * count))
            answers, status_line, rest = 0, b"HTTP/1.1 404", b""
            while answers < count and (piece := await reader.read(READ_BYTES)):
                answers += (rest + piece).count(status_line)
                rest = (rest + piece)[1 - len(status_line) :]  # a status line may be cut in two
            await sending
            self.tally.outcomes["pipelined 404"] += answers
            if answers != count:
                self.tally.fault(f"pipelined: {answers} of {count} answers")
        finally:
            writer.close()
        await asyncio.sleep(1)

    @staticmethod
    async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def chunked(self) -> None:
        """A bulk body in chunks of one byte, with about as many lines as are allowed."""
        request = self.head("POST", f"{API}/events", "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")
        line = json.dumps({"device_id": "device-0000001", "sent_at": f"{datetime.now(UTC).isoformat()}"}).encode()
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in line + b"\n") + b"1\r\n\n\r\n" * 150_000
        answer = await self.ask(request, parts=[body, b"0\r\n\r\n"])
        if answer:
            self.tally.note("one-byte chunks", answer, allowed={200, 400, 408, 413})
        await asyncio.sleep(1)

    async def late(self) -> None:
        """Beats over many days of the past."""
        lines = []
        for _ in range(LATE_BATCH):
            at = self.now - timedelta(days=self.chance.randrange(1, LATE_DAYS), minutes=self.chance.randrange(1440))
            device = f"late-{self.chance.randrange(LATE_DEVICES)}"
            lines.append(f'{{"device_id":"{device}","sent_at":"{at:%Y-%m-%dT%H:%M:%SZ}"}}\n')
        body = "".join(lines).encode()
        request = self.head(
            "POST", f"{API}/events", "Content-Type: application/x-ndjson", f"Content-Length: {len(body)}"
        )
        answer = await self.ask(request + body)
        if answer is None:
            self.tally.fault("late beats: cut")
            return
        self.tally.note("late beats", answer)
        await asyncio.sleep(0.2)

    async def registered(self) -> None:
        """A device more, or once more, and the first page of the list."""
        body = json.dumps({"id": f"press-{self.chance.randrange(500)}", "labels": {"kind": "press"}}).encode()
        request = self.head("POST", f"{API}/devices", "Content-Type: application/json", f"Content-Length: {len(body)}")
        answer = await self.ask(request + body)
        if answer:
            self.tally.note("registered", answer, allowed={200, 201, 409})
        await self._question("first page", f"{API}/devices?limit=100")
        await asyncio.sleep(0.05)

    async def declare_late(self) -> None:
        """Declare the devices whose beats come late."""
        for number in range(LATE_DEVICES):
            body = json.dumps({"id": f"late-{number}"}).encode()
            head = self.head("POST", f"{API}/devices", "Content-Type: application/json", f"Content-Length: {len(body)}")
            answer = await self.ask(head + body)
            assert answer and answer.status in (200, 201, 409), answer

    async def press(self) -> None:
        """Run all clients until time is up."""
        await self.declare_late()
        kinds = {
            self.ranks: 2, self.ranks_hung_up: 20, self.by_site: 2, self.month: 10, self.sorted_list: 2,
            self.long_uptime: 2, self.small: 2, self.slow_export: 20, self.pipelined: 1, self.chunked: 1,
            self.late: 1, self.registered: 1,
        }  # fmt: skip
        tasks = [
            asyncio.create_task(self._repeat(kind), name=kind.__name__)
            for kind, count in kinds.items()
            for _ in range(count)
        ]
        _, unanswered = await asyncio.wait(tasks, timeout=self.until_s + ANSWERED_WITHIN_S - time.monotonic())
        for task in unanswered:
            task.cancel()
            self.tally.fault(f"{task.get_name()}: no answer within {ANSWERED_WITHIN_S} s")
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, client: Callable[[], Coroutine[None, None, None]]) -> None:
        while time.monotonic() < self.until_s:
            try:
                await client()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.tally.fault(f"{getattr(client, '__name__', client)}: {type(error).__name__} {error}")
                await asyncio.sleep(0.1)


async def press(port: int, *, devices: int, seconds: float, seed: int) -> Tally:
    """Press a server that serves a generated history, whose metrics are cpu and memory."""
    pressure = Pressure(port, devices, 0.0, random.Random(seed), datetime.now(UTC))
    await pressure.learn()
    print("learned", flush=True)
    pressure.until_s = time.monotonic() + seconds
    await pressure.press()
    return pressure.tally


def main() -> None:
    """Press, and print the tally as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    tally = asyncio.run(press(chosen.port, devices=chosen.devices, seconds=chosen.seconds, seed=chosen.seed))
    ordered = sorted(tally.small_s) or [0.0]
    small = {"p50_ms": 1000 * ordered[len(ordered) // 2], "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)]}
    print(json.dumps({"outcomes": dict(sorted(tally.outcomes.items())), "small": small, "faults": tally.faults}))


if __name__ == "__main__":
    main()
