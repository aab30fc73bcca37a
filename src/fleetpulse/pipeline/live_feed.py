"""The live feed: who watches, and what they are told, once a second.

    fleet ── view, on the loop ──> thread `feed`: compare, encode ──> channel of each scope ──> its clients, in slices

Nobody watches most of the time: then nothing is compared. For a while after the last client of a scope has left, its
channel goes on, so that a client that comes back gets what it missed.

Nothing here survives the process. Clients that come back after a restart are told that they may have missed events.
"""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.access.gate import Gate, Shown
from fleetpulse.alert.round import Decided
from fleetpulse.errors import Answerable, Busy, NotAccepting
from fleetpulse.model.access import Principal, Scope
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.asker import Asker, set_asker
from fleetpulse.pipeline.feed_alerts import alert_events
from fleetpulse.pipeline.feed_channel import Channel, Event, Stream
from fleetpulse.pipeline.follow import Follower
from fleetpulse.pipeline.views import Views
from fleetpulse.query.status_changes import Found, StatusChanges
from fleetpulse.query.view import FleetView
from fleetpulse.stream_settings import StreamLimits
from fleetpulse.telemetry.counters import Counters

log = structlog.get_logger("feed")
ROUND_S = 1.0
KEEP_ALIVE_S = 15.0
"""After so long counts are told again, though they have not changed: so clients know that the connection is alive."""
KEPT_S = 60.0
"""How long a channel goes on without clients."""
RETRY_S = 5
WAKE_CLIENTS = 32
"""Clients that are woken in one turn of the loop: writing to them takes about a millisecond."""
WAKE_PAUSE_S = 0.004


@dataclass(eq=False, slots=True)
class Watcher:
    """A client: its stream, and by what it may watch."""

    stream: Stream
    shown: Shown
    principal: Principal | None


@dataclass(eq=False, kw_only=True)
class LiveFeed:
    """Used on the event loop only, but for the comparison."""

    gate: Gate
    follower: Follower
    views: Views
    counters: Counters
    limits: StreamLimits
    thread: Executor
    watchers: dict[Stream, Watcher] = field(default_factory=dict, init=False)
    """All clients."""
    _channels: dict[Scope, Channel] = field(default_factory=dict, init=False)
    _addresses: Counter[object] = field(default_factory=Counter, init=False)
    _senders: Counter[object] = field(default_factory=Counter, init=False)
    _changes: StatusChanges = field(init=False)
    _news: list[Decided] = field(default_factory=list, init=False)
    """Rounds of alerts that are not told yet."""
    _round_at_s: float = field(default=float("-inf"), init=False)
    _round: "asyncio.Task[None] | None" = field(default=None, init=False)
    _checking: "asyncio.Task[None] | None" = field(default=None, init=False)
    _to_wake: deque[Stream] = field(default_factory=deque, init=False)
    _is_waking: bool = field(default=False, init=False)
    _is_stopping: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._changes = self._new_changes()

    def _new_changes(self) -> StatusChanges:
        return StatusChanges(told_max=self.limits.stream_events_per_s_max)

    def open(
        self, principal: Principal | None, shown: Shown, *, address: str = "", last_event_id: str | None = None
    ) -> Stream:
        """Begin to tell a client, who must be closed at the end.

        Args:
            principal: who it is.
            shown: by what that is known; the stream ends when it is not valid any more.
            last_event_id: of the last event that it has had.
        Raises: Busy: there are too many; NotAccepting: the service stops.
        """
        if self._is_stopping:
            raise NotAccepting("stopping", reason="stopping")
        scope = () if principal is None else tuple(sorted(principal.scope))
        sender = _sender(principal)
        self._check_room(scope, address, sender)
        channel = self._channels.get(scope)
        if channel is None:
            epoch = secrets.token_hex(6)
            channel = self._channels[scope] = Channel(scope, epoch=epoch, kept_max=self.limits.stream_events_kept)
            self._round_at_s = float("-inf")
        stream = Stream(channel, last_event_id=last_event_id, address=address, sender=sender)
        channel.streams.add(stream)
        self.watchers[stream] = Watcher(stream, shown, principal)
        self._addresses[address] += 1
        self._senders[sender] += 1
        self.tick()
        return stream

    def _check_room(self, scope: Scope, address: str, sender: object) -> None:
        limits = self.limits
        is_new = scope not in self._channels
        if is_new:
            self._forget_channels(keeps_s=0.0 if len(self._channels) >= limits.stream_scopes_max else KEPT_S)
        for name, count, of_whom in (
            ("streams_max", len(self.watchers), ""),
            ("streams_per_address_max", self._addresses[address], " from your address"),
            ("streams_per_key_max", 0 if sender is None else self._senders[sender], " with your key"),
            ("stream_scopes_max", len(self._channels) if is_new else 0, " with other scopes"),
        ):
            if count >= getattr(limits, name):
                self.counters.streams_refused[name] += 1
                raise Busy(
                    f"{count} {'scopes' if is_new and 'scopes' in name else 'clients'} watch the live feed{of_whom}, "
                    f"as many as may ({name}); ask again after the seconds of Retry-After",
                    reason=name,
                    retry_after_s=RETRY_S,
                )

    def close(self, stream: Stream) -> None:
        """The client has left, or its stream has ended; closing again does nothing."""
        if self.watchers.pop(stream, None) is None:
            return
        stream.channel.streams.discard(stream)
        stream.channel.left_at_s = self._now_s()
        for counts, key in ((self._addresses, stream.address), (self._senders, stream.sender)):
            counts[key] -= 1
            if not counts[key]:
                del counts[key]
        self.counters.stream_events_missed += stream.missed
        self.counters.streams_ended[stream.end or "left"] += 1

    def _now_s(self) -> float:
        return self.views.clock.monotonic_ns() / NS_PER_S

    def tick(self) -> None:
        """Begin a round where one is due, and look whether all may still watch."""
        if not self._channels or self._is_stopping:
            return
        now_s = self._now_s()
        if self._round is None and now_s >= self._round_at_s + ROUND_S and not self.follower.is_away:
            self._round_at_s = now_s
            self._round = asyncio.get_running_loop().create_task(self._run_round())
        if self._checking is None and self.watchers:
            self._checking = asyncio.get_running_loop().create_task(self._check())

    async def _run_round(self) -> None:
        set_asker(Asker())  # a round is of the whole fleet, whoever's request began it
        try:
            self._forget_channels(keeps_s=KEPT_S)
            if not self._channels:
                self._news.clear()
                return
            await self.follower.caught_up()
            channels, look = list(self._channels.values()), self.views.fleet_from(self.views.clock.now_ns())
            news, self._news = self._news, []
            find = partial(self._find, look, channels, news)
            found = await asyncio.get_running_loop().run_in_executor(self.thread, find)
            for channel in channels:
                self._tell(channel, *found[channel.epoch])
        except Exception as error:
            log.error("the live feed could not find out what has changed", exc_info=error)
            self._changes = self._new_changes()
            for channel in self._channels.values():
                channel.lose()
                self._wake_clients(channel)
        finally:
            self._round = None
        self.tick()  # a channel may have come meanwhile

    def _find(
        self, look: Callable[[], FleetView], channels: Sequence[Channel], news: Sequence[Decided]
    ) -> dict[str, tuple[Found, list[Event]]]:
        """What has changed, and what is new of alerts, by channel. In the thread of the feed."""
        view, ids = look(), self.views.registry.ids
        changed = self._changes.look(view, ids, {channel.epoch: channel.scope for channel in channels})
        found = {}
        for channel in channels:
            roster, most, alerts = view.roster.within(channel.scope), self.limits.stream_events_per_s_max, list[Event]()
            for decided in news:
                alerts += alert_events(decided, roster, ids, most=most)
            found[channel.epoch] = changed[channel.epoch], alerts
        return found

    def take_alerts(self, decided: Decided) -> None:
        """Tell with the next round what a round of alerts has decided, once it is stored."""
        if self._channels and (len(decided.changes.fired) or len(decided.changes.resolved)):
            self._news.append(decided)

    def _tell(self, channel: Channel, found: Found, alerts: Sequence[Event]) -> None:
        now_s, events = self._now_s(), [*found.transitions, *alerts]
        if found.are_counts_new or now_s >= channel.counted_at_s + KEEP_ALIVE_S:
            channel.counts, channel.counted_at_s = found.counts, now_s
            events.append(("counts", found.counts))
        self._publish(channel, events)

    def _publish(self, channel: Channel, events: Sequence[Event]) -> None:
        if events:
            channel.publish(events)
            self.counters.stream_events += len(events)
            self._wake_clients(channel)

    def _wake_clients(self, channel: Channel) -> None:
        self._to_wake.extend(channel.streams)
        if not self._is_waking:
            self._wake()

    def _wake(self) -> None:
        """Wake some clients, and the others later: reports of devices must not wait for all of them."""
        for _ in range(min(WAKE_CLIENTS, len(self._to_wake))):
            self._to_wake.popleft().wake()
        self._is_waking = bool(self._to_wake)
        if self._is_waking:
            asyncio.get_running_loop().call_later(WAKE_PAUSE_S, self._wake)

    def _forget_channels(self, *, keeps_s: float) -> None:
        now_s = self._now_s()
        for scope, channel in list(self._channels.items()):
            if not channel.streams and now_s >= channel.left_at_s + keeps_s:
                del self._channels[scope]

    async def _check(self) -> None:
        """End the streams of those who may not watch any more, or other devices than before."""
        set_asker(Asker())
        try:
            by_shown: dict[Shown, list[Watcher]] = {}
            for watcher in self.watchers.values():
                by_shown.setdefault(watcher.shown, []).append(watcher)
            for shown, watchers in by_shown.items():
                try:
                    principal = await self.gate.identify(shown)
                except Answerable:
                    principal = None
                for watcher in watchers:
                    if principal is None or principal != watcher.principal:
                        watcher.stream.stop("access")
        finally:
            self._checking = None

    def stop(self) -> None:
        """End all streams: the service stops."""
        self._is_stopping = True
        for stream in list(self.watchers):
            stream.stop("stopping")


def _sender(principal: Principal | None) -> object:
    """By what clients are counted that are the same; None where nobody needs a key."""
    if principal is None or principal.kind == "open":
        return None
    return principal.key if principal.key is not None else (principal.kind, principal.subject or principal.name)
