"""A client of the live feed gets each event once and in order, or is told that it has missed some."""

import asyncio

from fleetpulse.pipeline.feed_channel import PIECE_EVENTS, Channel, Stream


def channel(*, kept_max: int = 100) -> Channel:
    return Channel((), epoch="abc", kept_max=kept_max)


def publish(into: Channel, count: int) -> None:
    into.publish([("transition", b"%d" % number) for number in range(into.last + 1, into.last + 1 + count)])


def taken(stream: Stream) -> list[str]:
    """Kind and data of all events that a client is given now."""
    frames = []
    while piece := stream.take():
        frames += piece.decode().split("\n\n")[:-1]
    return [
        f"{kind.removeprefix('event: ')} {data.removeprefix('data: ')}"
        for _, kind, data in (frame.split("\n") for frame in frames)
    ]


def test_an_event_has_an_id_a_kind_and_one_line_of_data() -> None:
    feed = channel()
    stream = Stream(feed)
    feed.publish([("transition", b'{"to":"down"}')])
    assert stream.take() == b'id: abc-1\nevent: transition\ndata: {"to":"down"}\n\n'
    assert stream.take() == b""


def test_clients_that_are_not_behind_share_the_bytes() -> None:
    feed = channel()
    streams = [Stream(feed) for _ in range(3)]
    publish(feed, 5)
    pieces = [stream.take() for stream in streams]
    assert all(piece is pieces[0] for piece in pieces)


def test_a_client_that_is_behind_catches_up_in_pieces() -> None:
    feed = channel(kept_max=1_000)
    stream = Stream(feed)
    for _ in range(3):
        publish(feed, PIECE_EVENTS - 1)
    assert taken(stream) == [f"transition {number}" for number in range(1, 3 * PIECE_EVENTS - 2)]


def test_a_new_client_begins_with_the_latest_counts() -> None:
    feed = channel()
    feed.counts = b"{}"
    feed.publish([("counts", b"{}")])
    stream = Stream(feed)
    assert stream.take() == b"id: abc-1\nevent: counts\ndata: {}\n\n"
    publish(feed, 1)
    assert taken(stream) == ["transition 2"]


def test_a_slow_client_is_told_how_many_it_missed_and_then_goes_on() -> None:
    feed = channel(kept_max=10)
    stream = Stream(feed)
    publish(feed, 3)
    taken(stream)
    for _ in range(4):
        publish(feed, 5)
    missed, *rest = taken(stream)
    assert missed.startswith('missed {"events":20,"reason":"slow",')
    assert rest == []
    assert stream.missed == 20
    publish(feed, 1)
    assert taken(stream) == ["transition 24"]


def test_all_events_of_one_publication_are_kept_however_many() -> None:
    feed = channel(kept_max=2)
    stream = Stream(feed)
    publish(feed, 5)
    assert taken(stream) == [f"transition {number}" for number in range(1, 6)]
    publish(feed, 1)
    assert feed.first == 5


def test_a_client_that_comes_back_gets_what_came_meanwhile() -> None:
    feed = channel(kept_max=10)
    for _ in range(3):
        publish(feed, 3)
    assert taken(Stream(feed, last_event_id="abc-7")) == ["transition 8", "transition 9"]
    assert taken(Stream(feed, last_event_id="abc-9")) == []
    for _ in range(3):
        publish(feed, 3)
    assert taken(Stream(feed, last_event_id="abc-8")) == [f"transition {number}" for number in range(9, 19)]
    assert taken(Stream(feed, last_event_id="abc-7"))[0].startswith('missed {"events":11,"reason":"gone",')


def test_an_id_of_another_process_or_scope_or_none_at_all_has_missed_something() -> None:
    feed = channel()
    publish(feed, 3)
    for event_id in ("abd-2", "abc-4", "abc-", "abc--1", "2", "", "abc-²", "abc-" + "9" * 40, "abc-2 "):
        assert taken(Stream(feed, last_event_id=event_id))[0].startswith('missed {"events":null,"reason":"unknown_id"')


def test_a_client_that_missed_events_can_come_back_with_the_id_of_that() -> None:
    feed = channel()
    first = Stream(feed, last_event_id="other-5")
    assert b"id: abc-0\nevent: missed" in first.take()
    publish(feed, 2)
    assert taken(Stream(feed, last_event_id="abc-0")) == ["transition 1", "transition 2"]


def test_a_client_waits_for_events_and_for_the_end() -> None:
    async def test() -> None:
        feed = channel()
        stream = Stream(feed)
        waiting = asyncio.create_task(stream.wait())
        await asyncio.sleep(0)
        stream.wake()
        await asyncio.sleep(0)
        assert not waiting.done()
        publish(feed, 1)
        stream.wake()
        await waiting
        taken(stream)
        waiting = asyncio.create_task(stream.wait())
        await asyncio.sleep(0)
        stream.stop("stopping")
        stream.stop("access")
        await waiting
        assert stream.end == "stopping"

    asyncio.run(test())


def test_what_nobody_could_count_is_missed_by_everybody() -> None:
    feed = channel()
    stream = Stream(feed)
    publish(feed, 2)
    taken(stream)
    feed.lose()
    assert taken(stream)[0].startswith('missed {"events":null,"reason":"failed"')
    publish(feed, 1)
    assert taken(stream) == ["transition 4"]
    assert taken(Stream(feed, last_event_id="abc-2"))[0].startswith('missed {"events":null,"reason":"failed"')
    assert taken(Stream(feed, last_event_id="abc-3")) == ["transition 4"]
