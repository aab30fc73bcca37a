"""A client of the live feed has each event once and in order, or knows that it missed some, whatever happens.

The model is the list of all events ever published. A client remembers the last id that it was given, leaves and comes
back, reads slowly or not at all; the feed restarts, or forgets a scope that nobody watches.
"""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.json import decode

from examples import examples
from fleetpulse.pipeline.feed_channel import Channel, Stream

KEPT = 6
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 9)),
        st.tuples(st.just("take"), st.integers(0, 2)),
        st.tuples(st.just("take all"), st.integers(0, 2)),
        st.tuples(st.just("leave"), st.integers(0, 2)),
        st.tuples(st.just("cut"), st.integers(0, 2)),
        st.tuples(st.just("join"), st.integers(0, 2)),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("lose"), st.just(0)),
    ),
    max_size=60,
)


class Client:
    """What a client knows: `known` are the events that it may rely on, since it last read the state anew."""

    def __init__(self) -> None:
        self.last_id: str | None = None
        self.stream: Stream | None = None
        self.unread = b""
        self.known: list[int] = []
        self.missed: int | None = 0

    def read(self, piece: bytes) -> None:
        """Take events in. The end of the bytes may be in the midst of one, which then has not come."""
        frames = (self.unread + piece).split(b"\n\n")
        self.unread = frames.pop()
        for frame in frames:
            event_id, kind, data = (line.partition(": ")[2] for line in frame.decode().split("\n"))
            self.last_id = event_id
            if kind == "missed":
                self.known = []
                self.missed = decode(data)["events"]
            elif kind == "event":
                self.known.append(int(data))


class World:
    """The feed, its clients, and the model."""

    def __init__(self) -> None:
        self.published = 0
        self.epochs = 0
        self.clients = [Client() for _ in range(3)]
        self.restart()

    def restart(self, _of: int = 0) -> None:
        for client in self.clients:
            client.stream = None
        self.epochs += 1
        self.channel = Channel((), epoch=f"t{self.epochs}", kept_max=KEPT)

    def publish(self, count: int) -> None:
        numbers = range(self.published, self.published + count)
        self.published += count
        self.channel.counts = b"{}"
        self.channel.publish([*(("event", b"%d" % number) for number in numbers), ("counts", b"{}")])

    def lose(self, _of: int) -> None:
        """The service could not find out what happened."""
        self.published += 1
        self.channel.lose()

    def take(self, of: int) -> bytes:
        client = self.clients[of]
        piece = b"" if client.stream is None else client.stream.take()
        client.read(piece)
        return piece

    def take_all(self, of: int) -> None:
        while self.take(of):
            pass

    def leave(self, of: int) -> None:
        self.clients[of].stream = None

    def cut(self, of: int) -> None:
        """The connection ends in the midst of what is sent."""
        client = self.clients[of]
        if client.stream is not None:
            piece = client.stream.take()
            client.read(piece[: len(piece) // 2])
            client.stream, client.unread = None, b""

    def join(self, of: int) -> None:
        client = self.clients[of]
        client.unread = b""
        if client.stream is None:
            if client.last_id is None:
                client.known = []
            client.stream = Stream(self.channel, last_event_id=client.last_id)


@given(STEPS)
@settings(max_examples=examples(300), deadline=None)
def test_each_client_has_every_event_once_and_in_order_or_knows_that_it_missed_some(
    steps: list[tuple[str, int]],
) -> None:
    world = World()
    for name, value in steps:
        getattr(world, name.replace(" ", "_"))(value)
        for client in world.clients:
            # What a client knows has no hole and no repetition, whatever came before.
            assert client.known == list(
                range(client.known[0], client.known[0] + len(client.known)) if client.known else []
            )
    for of, client in enumerate(world.clients):
        world.join(of)
        world.take_all(of)
        if client.known:
            assert client.known[-1] == world.published - 1, "it has come up to the latest event, and knows so"


@given(st.integers(1, 40), st.integers(0, 60))
@settings(max_examples=examples(100), deadline=None)
def test_the_number_of_missed_events_is_exact(before: int, after: int) -> None:
    channel = Channel((), epoch="t", kept_max=KEPT)
    for number in range(before):
        channel.publish([("event", b"%d" % number)])
    for number in range(before, before + after):
        channel.publish([("event", b"%d" % number)])
    client = Client()
    stream = Stream(channel, last_event_id=f"t-{before}")
    while piece := stream.take():
        client.read(piece)
    is_kept = after <= KEPT
    assert client.known == (list(range(before, before + after)) if is_kept else [])
    assert client.missed == (0 if is_kept else after)
