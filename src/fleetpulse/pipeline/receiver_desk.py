"""What people ask of receivers: what there is, what waits for them, a test, and what a text would look like."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from fleetpulse.alert.message_text import check_templates, what_of
from fleetpulse.alert.receivers.outcome import Outcome
from fleetpulse.alert.sample_messages import sample_message
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.clock import Clock
from fleetpulse.errors import NotFound, OutOfRange
from fleetpulse.model.message import Message
from fleetpulse.model.outbox import OutboxCounts, OutboxEntry, OutboxState
from fleetpulse.model.receiver import Receiver, Route
from fleetpulse.notation.whole import whole
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.deliveries import Deliveries
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.sending import Sending
from fleetpulse.pipeline.threads import Threads
from fleetpulse.query import receiver_answers as answers

RETRIED_AT_ONCE = 10_000
NUMBER_HIGHEST = 2**63 - 1
"""The catalog stores numbers of messages in 64 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReceiverDesk:
    """The receivers, routes and messages of one service."""

    catalog: Catalog
    catalog_thread: CatalogThread
    clock: Clock
    threads: Threads
    receivers: Receivers
    sending: Sending
    deliveries: Deliveries

    async def all(self) -> answers.AlertReceivers:
        """All receivers, and how many messages wait for each."""
        counts = await self.catalog_thread.run(self.catalog.outbox.counts)
        found = self.receivers.routing.receivers.values()
        return answers.AlertReceivers(
            [answers.describe_receiver(one, counts.get(one.name, OutboxCounts())) for one in found]
        )

    async def get(self, name: str) -> answers.AlertReceiver:
        """A receiver. Raises: NotFound."""
        receiver = self.receivers.receiver(name)
        counts = await self.catalog_thread.run(self.catalog.outbox.counts)
        return answers.describe_receiver(receiver, counts.get(name, OutboxCounts()))

    async def put(self, receiver: Receiver) -> answers.AlertReceiver:
        """Declare a receiver, or replace the one of its name. Raises: OutOfRange; NotAccepting."""
        await self.receivers.put_receiver(receiver)
        return await self.get(receiver.name)

    def routes(self) -> answers.AlertRoutes:
        """The routes that are in effect."""
        return answers.AlertRoutes([self._described(route) for route in self.receivers.routing.routes])

    def route(self, name: str) -> answers.AlertRoute:
        """A route. Raises: NotFound."""
        return self._described(self.receivers.route(name))

    async def put_route(self, route: Route) -> answers.AlertRoute:
        """Declare a route, or replace the one of its name. Raises: OutOfRange; NotAccepting."""
        return self._described(await self.receivers.put_route(route))

    def _described(self, route: Route) -> answers.AlertRoute:
        return answers.describe_route(route, is_declared=route.name in self.receivers.routes)

    async def page(
        self, *, state: OutboxState | None, receiver: str | None, before: int | None, limit: int
    ) -> answers.Outbox:
        """Messages, the newest first. Raises: NotAccepting."""
        read = partial(self.catalog.outbox.page, state=state, receiver=receiver, before=before, limit=limit + 1)
        entries = await self.catalog_thread.run(read)
        listed = entries[:limit]
        messages = [answers.describe_message(entry, _what(entry)) for entry in listed]
        return answers.Outbox(messages, str(listed[-1].number) if len(entries) > limit else None)

    async def retry(self, numbers: Sequence[float], *, receiver: str | None, is_all: bool) -> answers.RetriedMessages:
        """Have messages that were given up sent again. Raises: OutOfRange: which is not said, or of none; NotFound."""
        if sum((bool(numbers), receiver is not None, is_all)) != 1:
            raise OutOfRange("say which: `numbers`, a `receiver`, or `all`", reason="retry")
        if len(numbers) > RETRIED_AT_ONCE:
            raise OutOfRange(f"`numbers` lists more than {RETRIED_AT_ONCE} messages", reason="retry")
        chosen = [_message_number(number) for number in numbers]
        if receiver is not None or is_all:
            read = partial(
                self.catalog.outbox.page, state="dead", receiver=receiver, before=None, limit=RETRIED_AT_ONCE
            )
            chosen = [entry.number for entry in await self.catalog_thread.run(read)]
        retried = await self.deliveries.retry(chosen)
        if numbers and not retried:
            raise NotFound("none of these messages was given up, or they are forgotten", reason="unknown_message")
        return answers.RetriedMessages(retried)

    async def test(self, name: str) -> answers.TestedReceiver:
        """Send a test message to a receiver now, past the outbox. Raises: NotFound."""
        receiver = self.receivers.receiver(name)
        now_ns = self.clock.now_ns()
        message = Message(key=f"test-{now_ns}", receiver=name, kind="test", at_ns=now_ns, severity="info")
        executor = self.threads.apprise if receiver.kind == "apprise" else self.threads.deliveries
        send = partial(self.sending.send, message, receiver)
        outcome: Outcome = await asyncio.get_running_loop().run_in_executor(executor, send)
        return answers.TestedReceiver(name, outcome.is_delivered, outcome.text)

    def preview(self, kind: str, *, receiver: str | None, title: str | None, body: str | None) -> answers.PreviewedText:
        """The text that a message would have, by the templates of a receiver, or by these.

        Raises: NotFound; OutOfRange: a template is wrong, or there is no such kind.
        """
        known = Receiver(name="preview", kind="webhook") if receiver is None else self.receivers.receiver(receiver)
        changes = {"title_template": title, "body_template": body}
        known = msgspec.structs.replace(known, **{name: text for name, text in changes.items() if text is not None})
        try:
            check_templates(known)
            message = sample_message(kind, receiver=known.name, now_ns=self.clock.now_ns())
        except ValueError as error:
            raise OutOfRange(str(error), reason="receiver") from error
        text = self.sending.preview(message, known)
        return answers.PreviewedText(text.title, text.body, text.trouble)


def _message_number(value: float) -> int:
    number = whole(value)
    if number is None or not 0 < number <= NUMBER_HIGHEST:
        raise OutOfRange(f"`numbers` must be whole numbers, 1 to {NUMBER_HIGHEST}", reason="retry")
    return number


def _what(entry: OutboxEntry) -> str:
    return "what it tells cannot be read: its row is damaged" if entry.is_damaged else what_of(entry.message)
