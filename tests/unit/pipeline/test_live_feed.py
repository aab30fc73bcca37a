"""The live feed: who may watch, how many, and that each is told what concerns it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import decode

from fleetpulse.access.gate import Shown
from fleetpulse.errors import Busy, NotAccepting
from fleetpulse.model.access import EVERYBODY, Principal, Role, Scope
from fleetpulse.model.device import Device
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.feed_channel import Stream
from fleetpulse.pipeline.live_feed import KEEP_ALIVE_S, KEPT_S, WAKE_CLIENTS, LiveFeed
from fleetpulse.pipeline.service import Service
from memory_service import SECOND, World, beat
from protected_service import add_key

PARIS: Scope = (("site", "paris"),)
ROME: Scope = (("site", "rome"),)


def person(scope: Scope = (), *, key: int = 1, role: Role = "read") -> Principal:
    return Principal(kind="key", name=f"key {key}", role=role, scope=scope, key=key)


class Fleet:
    """A service with a device in Paris and one in Rome."""

    def __init__(self, world: World, service: Service) -> None:
        self.world, self.service, self.feed = world, service, service.live_feed

    async def second(self, seconds: float = 1.0) -> None:
        """Let time pass, and the round end that is due then."""
        self.world.clock.ns += int(seconds * SECOND)
        self.feed.tick()
        await self.settled()

    async def settled(self) -> None:
        while any(task.get_coro().__qualname__.startswith("LiveFeed.") for task in asyncio.all_tasks()):  # type: ignore[union-attr]  # ours have coroutines
            await asyncio.sleep(0.001)

    def events_of(self, stream: Stream) -> list[tuple[str, Any]]:
        """Kind and data of the events of a stream."""
        frames = []
        while piece := stream.take():
            frames += piece.decode().split("\n\n")[:-1]
        return [
            (kind.partition(": ")[2], decode(data.partition(": ")[2]))
            for _, kind, data in (frame.split("\n") for frame in frames)
        ]

    def kinds(self, stream: Stream) -> list[str]:
        return [kind for kind, _ in self.events_of(stream)]


@asynccontextmanager
async def fleet(folder: Path, **settings: Any) -> AsyncGenerator[Fleet]:
    world = World(folder)
    service = await world.started(**settings)
    await service.registry.register_many([Device("p1", {"site": "paris"}), Device("r1", {"site": "rome"})])
    yield Fleet(world, service)
    await service.node.stop()


def test_a_client_is_told_counts_at_once_and_then_what_changes(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            stream = one.feed.open(EVERYBODY, Shown())
            await one.settled()
            (first,) = one.events_of(stream)
            assert (first[0], first[1]["total"], first[1]["by_status"]["new"]) == ("counts", 2, 2)
            await one.second()
            assert one.events_of(stream) == []
            await beat(one.service, "p1")
            await one.second()
            transition, counts = one.events_of(stream)
            assert (transition[1]["device_id"], transition[1]["to"]) == ("p1", "up")
            assert counts[1]["by_status"]["up"] == 1
            one.feed.close(stream)
            one.feed.close(stream)
            assert one.service.counters.streams_ended == {"left": 1}
            assert one.service.counters.stream_events == 3

    asyncio.run(test())


def test_counts_are_told_again_so_that_clients_know_that_the_connection_is_alive(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            stream = one.feed.open(EVERYBODY, Shown())
            await one.settled()
            one.events_of(stream)
            await one.second(KEEP_ALIVE_S - 1)
            assert one.kinds(stream) == []
            await one.second()
            assert one.kinds(stream) == ["counts"]

    asyncio.run(test())


def test_a_scope_sees_its_own_devices_whoever_began_the_round(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            paris, rome, everything = (
                one.feed.open(person(scope, key=key), Shown(token=str(key)))
                for key, scope in enumerate((PARIS, ROME, ()), 1)
            )
            await one.settled()
            assert [one.events_of(stream)[0][1]["total"] for stream in (paris, rome, everything)] == [1, 1, 2]
            await beat(one.service, "p1")
            # The request of somebody with a scope begins a round: it is one of the whole fleet nevertheless.
            asker = Asker()
            asker.principal = person(ROME)
            set_asker(asker)
            one.feed._checking = asyncio.create_task(asyncio.sleep(0))  # type: ignore[assignment]  # nobody is cut off
            await one.second()
            transitions = [one.kinds(stream).count("transition") for stream in (paris, rome, everything)]
            assert transitions == [1, 0, 1]

    asyncio.run(test())


@pytest.mark.parametrize(
    ("setting", "openings"),
    [
        ("streams_max", [((), "a", 1), ((), "b", 2), ((), "c", 3)]),
        ("streams_per_address_max", [((), "a", 1), ((), "a", 2), ((), "a", 3)]),
        ("streams_per_key_max", [((), "a", 1), ((), "b", 1), ((), "c", 1)]),
        ("stream_scopes_max", [((), "a", 1), (PARIS, "a", 2), (ROME, "a", 3)]),
    ],
)
def test_there_may_be_so_many_and_one_more_is_refused(
    tmp_path: Path, setting: str, openings: list[tuple[Scope, str, int]]
) -> None:
    async def test() -> None:
        async with fleet(tmp_path, **{setting: 2}) as one:

            def enter(scope: Scope, address: str, key: int) -> Stream:
                return one.feed.open(person(scope, key=key), Shown(token=str(key)), address=address)

            first, _ = (enter(*opening) for opening in openings[:2])
            with pytest.raises(Busy, match=setting) as refusal:
                enter(*openings[2])
            assert refusal.value.reason == setting
            assert one.service.counters.streams_refused == {setting: 1}
            one.feed.close(first)
            enter(*openings[2])

    asyncio.run(test())


def test_where_nobody_needs_a_key_clients_are_counted_by_address_alone(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, streams_per_key_max=1) as one:
            everybody = await one.service.gate.identify(Shown())
            streams = [one.feed.open(everybody, Shown(), address=address) for address in "abc"]
            await one.second(0.5)
            assert [stream.end for stream in streams] == [None] * 3

    asyncio.run(test())


def _number(stream: Stream, feed: LiveFeed) -> int:
    """The number of the key with which a stream was begun."""
    principal = feed.watchers[stream].principal
    assert principal is not None
    assert principal.key is not None
    return principal.key


def test_whose_key_is_revoked_expired_or_changed_may_not_watch_any_more(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, auth="required") as one:
            gate, now_s = one.service.gate, one.world.clock.ns / SECOND
            keys = [add_key(one.service, "read", expires_s=now_s + seconds) for seconds in (9e9, 9e9, 5)]
            streams = []
            for key in keys:
                shown = Shown(token=key)
                streams.append(one.feed.open(await gate.identify(shown), shown))
            await one.second()
            assert [stream.end for stream in streams] == [None] * 3
            gate.keys.remove(_number(streams[0], one.feed))
            await one.second(0.5)
            assert [stream.end for stream in streams] == ["access", None, None]
            gate.set_time(now_s + 6)
            await one.second(0.5)
            assert [stream.end for stream in streams] == ["access", None, "access"]
            number = _number(streams[1], one.feed)
            gate.keys.principals[gate.keys.row(number)] = person(PARIS, key=number)
            await one.second(0.5)
            assert streams[1].end == "access"
            for stream in streams:
                one.feed.close(stream)
            assert one.service.counters.streams_ended == {"access": 3}

    asyncio.run(test())


def test_who_needs_no_key_may_not_watch_once_a_key_is_needed(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            stream = one.feed.open(await one.service.gate.identify(Shown()), Shown())
            add_key(one.service, "read")
            await one.second(0.5)
            assert stream.end == "access"

    asyncio.run(test())


def test_a_client_that_comes_back_soon_has_missed_nothing_and_later_is_told_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            stream = one.feed.open(EVERYBODY, Shown())
            await one.settled()
            event_id = stream.take().decode().partition("\n")[0].removeprefix("id: ")
            one.feed.close(stream)
            await beat(one.service, "p1")
            await one.second(KEPT_S / 2)
            stream = one.feed.open(EVERYBODY, Shown(), last_event_id=event_id)
            assert one.kinds(stream) == ["transition", "counts"]
            one.feed.close(stream)
            for _ in range(3):
                await one.second(KEPT_S / 2)
            stream = one.feed.open(EVERYBODY, Shown(), last_event_id=event_id)
            await one.settled()
            missed, counts = one.events_of(stream)
            assert (missed[0], missed[1]["reason"], counts[0]) == ("missed", "unknown_id", "counts")

    asyncio.run(test())


def test_nothing_is_compared_while_nobody_watches(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            await beat(one.service, "p1")
            await one.second()
            assert one.feed._round_at_s == float("-inf")

    asyncio.run(test())


def test_many_clients_are_woken_in_slices(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            streams = [one.feed.open(EVERYBODY, Shown()) for _ in range(WAKE_CLIENTS + 1)]
            waiting = [asyncio.create_task(stream.wait()) for stream in streams]
            await asyncio.sleep(0)
            one.feed._publish(streams[0].channel, [("counts", b"{}")])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sum(task.done() for task in waiting) == WAKE_CLIENTS
            await asyncio.gather(*waiting)

    asyncio.run(test())


def test_all_streams_end_when_the_service_stops(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            stream = one.feed.open(EVERYBODY, Shown())
            waiting = asyncio.create_task(stream.wait())
            one.feed.stop()
            await waiting
            assert stream.end == "stopping"
            one.feed.close(stream)
            with pytest.raises(NotAccepting):
                one.feed.open(EVERYBODY, Shown())
            assert one.service.counters.streams_ended == {"stopping": 1}

    asyncio.run(test())


def test_alerts_are_told_once_they_are_stored(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path, interval_s=30, grace_s=30, alert_interval_s=1) as one:
            stream = one.feed.open(EVERYBODY, Shown())
            await beat(one.service, "p1")
            alerts: list[Any] = []
            for _ in range(60):
                one.world.clock.ns += 10 * SECOND
                one.service.node.tick()
                while (task := one.service.alerting._task) is not None and not task.done():
                    await asyncio.sleep(0.001)
                await one.second()
                alerts += [body for kind, body in one.events_of(stream) if kind == "alert"]
            (alert,) = [body for body in alerts if body["rule"] == "device-offline"]
            assert (alert["subject"], alert["state"], alert["severity"]) == ("p1", "firing", "critical")

    asyncio.run(test())


def test_what_the_service_could_not_find_out_is_missed_by_everybody(tmp_path: Path) -> None:
    async def test() -> None:
        async with fleet(tmp_path) as one:
            stream = one.feed.open(EVERYBODY, Shown())
            await one.second()
            one.events_of(stream)
            found, one.feed._changes = one.feed._changes, None  # type: ignore[assignment]  # so that the round fails
            await one.second()
            assert found is not one.feed._changes
            kind, body = one.events_of(stream)[0]
            assert (kind, body["reason"]) == ("missed", "failed")
            await one.second()
            assert one.kinds(stream) == ["counts"]

    asyncio.run(test())
