"""Which receivers and routes there are: they are written to the catalog first, and in effect afterwards."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from fleetpulse.alert.message_text import check_templates
from fleetpulse.alert.receivers.apprise_sender import AppriseSender
from fleetpulse.alert_settings import DeliverySettings
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.errors import NotFound, OutOfRange
from fleetpulse.ingest.alerts_file import Entry
from fleetpulse.ingest.receiver_declarations import receiver_fields, receiver_with, route_fields, route_with
from fleetpulse.model.declaration_merge import Fields, Known, MergeReport, Merging, Rule
from fleetpulse.model.receiver import NO_ROUTING, Receiver, Route, Routing, routing_of
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.link_key_file import LinkKeyFile
from fleetpulse.pipeline.threads import Threads

NAMES_LISTED = 50
RECEIVER_SECTION, ROUTE_SECTION = "receiver", "route"
"""What they are called in alerts.toml; before a name it is what the catalog remembers of the file by."""
_SECRETS = ("url", "secret")


class Receivers:
    """All receivers and routes.

    Attributes:
        routing: what is in effect; replaced as a whole, and never changed.
        routes: those that are declared, by name.
        changing: held by whoever reads them, alters them and writes them back.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        catalog_thread: CatalogThread,
        limits: DeliverySettings,
        link_key: LinkKeyFile,
        apprise: AppriseSender,
        threads: Threads,
    ) -> None:
        self.routing: Routing = NO_ROUTING
        self.routes: Mapping[str, Route] = {}
        self.changing = asyncio.Lock()
        self._catalog = catalog
        self._catalog_thread = catalog_thread
        self._limits = limits
        self._link_key = link_key
        self._apprise = apprise
        self._threads = threads

    def load(self) -> None:
        """Read them from the catalog. Blocks; for the start, before events are accepted."""
        self._link_key.load()
        self._publish(self._read())

    def receiver(self, name: str) -> Receiver:
        """A receiver. Raises: NotFound."""
        found = self.routing.receivers.get(name)
        if found is None:
            raise NotFound(_unknown("receiver", name, self.routing.receivers), reason="unknown_receiver")
        return found

    def route(self, name: str) -> Route:
        """A route that is declared. Raises: NotFound."""
        found = self.routes.get(name)
        if found is None:
            raise NotFound(_unknown("route", name, self.routes), reason="unknown_route")
        return found

    async def put_receiver(self, receiver: Receiver) -> Receiver:
        """Declare a receiver, or replace the one of its name. Raises: OutOfRange; NotAccepting."""
        await self._check_url(receiver)
        async with self.changing:
            await self._change(partial(self._put_now, receiver))
        return self.receiver(receiver.name)

    async def put_route(self, route: Route) -> Route:
        """Declare a route, or replace the one of its name. Raises: OutOfRange; NotAccepting."""
        async with self.changing:
            await self._change(partial(self._put_now, route))
        return self.route(route.name)

    async def remove_receiver(self, name: str) -> None:
        """Remove a receiver that no route names. Raises: NotFound; OutOfRange: one does; NotAccepting."""
        async with self.changing:
            receiver = self.receiver(name)
            users = sorted(route.name for route in self.routes.values() if name in _named(route))
            if users:
                text = f"receiver {name} is named by the routes {', '.join(users)}: change or remove these first"
                raise OutOfRange(text, reason="receiver_in_use")
            await self._change(partial(self._remove_now, receiver))

    async def remove_route(self, name: str) -> None:
        """Remove a route. Raises: NotFound; NotAccepting."""
        async with self.changing:
            await self._change(partial(self._remove_now, self.route(name)))

    def with_secrets(self, receiver: Receiver) -> Receiver:
        """The receiver with URL and secret of the one in effect, where it names neither a URL nor a file with it."""
        known = self.routing.receivers.get(receiver.name)
        if known is None or known.kind != receiver.kind:
            return receiver
        secret, secret_file = receiver.secret, receiver.secret_file
        if not (secret or secret_file):
            secret, secret_file = known.secret, known.secret_file
        return msgspec.structs.replace(
            receiver, url=known.url, url_file=known.url_file, secret=secret, secret_file=secret_file
        )

    def write_merged_receivers(self, entries: Sequence[Entry], rule: Rule, report: MergeReport) -> None:
        """Write to the catalog the receivers that alerts.toml adds and changes; in effect after `load` or `adopt`.

        Reports, and what is remembered of the file, have fingerprints in place of secrets.
        Blocks; in a transaction, on the catalog's thread. Raises: OutOfRange; OSError.
        """
        in_effect = {receiver.name: receiver for receiver in self._catalog.receivers.receivers()}
        removed = set(self._catalog.receivers.removed(RECEIVER_SECTION))
        for entry in entries:
            before = in_effect.get(entry.name)
            secrets = {
                self.hide(secret): secret
                for one in (before, entry.body)
                if one is not None
                for secret in (one.url, one.secret)
                if secret
            }
            fields = None if before is None else receiver_fields(before, hide=self.hide)
            declare = partial(self._declare_receiver, entry.name, fields or {}, secrets)
            self._merge(RECEIVER_SECTION, entry, fields, declare, rule=rule, report=report, removed=removed)

    def _declare_receiver(
        self, name: str, before: Fields, secrets: Mapping[str, str], sets: Fields
    ) -> tuple[Receiver, Fields]:
        """The receiver of a file. Args: secrets: by what is shown in their place."""
        merged = {**before, **sets}
        for one, other in (
            ("url", "url_file"),
            ("url_file", "url"),
            ("secret", "secret_file"),
            ("secret_file", "secret"),
        ):
            if sets.get(one) and not sets.get(other):
                merged[other] = ""
        named = {field: secrets[str(value)] if _is_secret(field, value) else value for field, value in merged.items()}
        receiver = receiver_with(name, named)
        check_templates(receiver)
        return receiver, receiver_fields(receiver, hide=self.hide)

    def write_merged_routes(self, entries: Sequence[Entry], rule: Rule, report: MergeReport) -> None:
        """The same for routes, after the receivers that they name."""
        in_effect = {route.name: route for route in self._catalog.receivers.routes()}
        removed = set(self._catalog.receivers.removed(ROUTE_SECTION))
        for entry in entries:
            before = in_effect.get(entry.name)
            fields = None if before is None else route_fields(before)
            declare = partial(_declare_route, entry.name, fields or {})
            self._merge(ROUTE_SECTION, entry, fields, declare, rule=rule, report=report, removed=removed)

    def _merge(
        self,
        section: str,
        entry: Entry,
        before: Fields | None,
        declare: Callable[[Fields], tuple[Any, Fields]],
        *,
        rule: Rule,
        report: MergeReport,
        removed: set[str],
    ) -> None:
        key = f"{section} {entry.name}"
        last_read = self._catalog.last_read("alerts", key)
        known = Known(in_effect=before, was_deleted=entry.name in removed, last_read=last_read)
        changed, is_mergeable = Merging(rule, report).entry(entry.name, entry.named, known, declare)
        if is_mergeable:
            self._catalog.note_last_read("alerts", key, entry.named)
        if changed is not None:
            self._put_now(changed)

    async def adopt(self) -> None:
        """Bring memory to what was written, while events come in. Raises: NotAccepting."""
        self._publish(await self._catalog_thread.run(self._read))

    async def _check_url(self, receiver: Receiver) -> None:
        """Raises: OutOfRange: a template is wrong, or Apprise does not know the URL."""
        try:
            check_templates(receiver)
        except ValueError as error:
            raise OutOfRange(str(error), reason="receiver") from error
        if receiver.kind == "apprise" and receiver.url:
            check = partial(self._apprise.check, receiver.url, timeout_s=self._limits.delivery_timeout_s)
            trouble = await asyncio.get_running_loop().run_in_executor(self._threads.apprise, check)
            if trouble:
                raise OutOfRange(f"url: {trouble}", reason="receiver")

    def hide(self, secret: str) -> str:
        """What stands in place of a secret where changes of it must be noticed. From any thread."""
        return f"(hidden, fingerprint {self._link_key.fingerprint(secret)})"

    def _put_now(self, declared: Receiver | Route) -> None:
        """Blocks; in a transaction, on the catalog's thread."""
        records, most = self._catalog.receivers, self._limits.receivers_max
        known: Mapping[str, Receiver | Route]
        if isinstance(declared, Receiver):
            known = {receiver.name: receiver for receiver in records.receivers()}
        else:
            known = {route.name: route for route in records.routes()}
            _check_receivers(declared, {receiver.name for receiver in records.receivers()})
        before = known.get(declared.name)
        if before == declared:
            return
        if before is None and len(known) >= most:
            raise OutOfRange(f"there would be more than {most} of them (receivers_max)", setting="receivers_max")
        records.put(declared, before=None if before is None else _fields(before), after=_fields(declared))

    def _remove_now(self, declared: Receiver | Route) -> None:
        """Blocks; on the catalog's thread."""
        section = RECEIVER_SECTION if isinstance(declared, Receiver) else ROUTE_SECTION
        is_remembered = self._catalog.last_read("alerts", f"{section} {declared.name}") is not None
        self._catalog.receivers.remove(declared, before=_fields(declared), is_remembered=is_remembered)

    async def _change(self, change: Callable[[], None]) -> None:
        def change_and_read() -> tuple[list[Receiver], list[Route]]:
            change()
            return self._read()

        self._publish(await self._catalog_thread.run(change_and_read))

    def _read(self) -> tuple[list[Receiver], list[Route]]:
        return self._catalog.receivers.receivers(), self._catalog.receivers.routes()

    def _publish(self, found: tuple[list[Receiver], list[Route]]) -> None:
        self.routes = {route.name: route for route in found[1]}
        routing = routing_of(*found)
        if routing != self.routing:
            self.routing = routing


def _declare_route(name: str, before: Fields, sets: Fields) -> tuple[Route, Fields]:
    route = route_with(name, {**before, **sets})
    return route, route_fields(route)


def _named(route: Route) -> set[str]:
    return {*route.receivers, *(name for step in route.escalation for name in step.receivers)}


def _check_receivers(route: Route, known: set[str]) -> None:
    missing = sorted(_named(route) - known)
    if missing:
        raise OutOfRange(_unknown("receiver", missing[0], known), reason="unknown_receiver")


def _fields(declared: Receiver | Route) -> Fields:
    return receiver_fields(declared) if isinstance(declared, Receiver) else route_fields(declared)


def _is_secret(field: str, value: object) -> bool:
    return field in _SECRETS and bool(value)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    listed = ", ".join(sorted(known)[:NAMES_LISTED]) or "none"
    return f"no {what} is called {name[:100]}; there are: {listed}"
