"""What a request names or shows and nobody here knows: another node may have put it into the catalog a moment ago.

Before an unknown id is answered 404, or an unknown key 401, the catalog is asked (`changes.py`). While it cannot be
read, the answer is 503: nobody can say then whether there is such a thing. What is known here goes on meanwhile.
Where the catalog belongs to one node alone, what is unknown in memory does not exist.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass
from typing import Any

from fleetpulse.access.gate import KEY_START, Gate, Shown
from fleetpulse.errors import Answerable, Refusal
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.changes import Changes
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.people import People
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.registry import Registry

_PERHAPS_NEWER = frozenset({"wrong_token", "session_ended", "unknown_subject", "unknown_certificate"})
"""Reasons of refusals that may end when more of the catalog is known."""


@dataclass(eq=False, kw_only=True)
class Newest:
    """See the module. On the event loop."""

    changes: Changes
    gate: Gate
    registry: Registry
    metric_definitions: MetricDefinitions
    people: People
    alert_rules: AlertRules
    alert_book: AlertBook
    receivers: Receivers

    @property
    def is_shared(self) -> bool:
        """Whether there are other nodes that may know more."""
        return self.changes.catalog.is_shared

    async def identify(self, shown: Shown) -> Principal | None:
        """Who asks, as Gate.identify says. Raises: Unauthenticated; Forbidden; NotAccepting: nobody can say."""
        try:
            return await self.gate.identify(shown)
        except Refusal as error:
            is_key = shown.token.startswith(KEY_START)
            is_newer = self.is_newer_key(shown.token.encode("ascii", "replace")) if is_key else may_be_newer(error)
            if not self.is_shared or not is_newer:
                raise
        await self.changes.ask_for_unknown()
        return await self.gate.identify(shown)

    def is_newer_key(self, key: bytes) -> bool:
        """Whether a key has a number that was not given yet, as far as is known here."""
        return self.is_shared and self.gate.keys.is_later(key)

    def hands_over(self, error: Answerable, key: bytes) -> bool:
        """Whether the front door leaves a refusal to the ASGI path, which can wait for the catalog."""
        return error.reason == "wrong_key" and self.is_newer_key(key)

    async def before_act(self) -> None:
        """Know what other nodes have changed, before somebody changes more. Raises: NotAccepting."""
        if self.is_shared:
            await self.changes.reach(0)

    async def look_for(self, named: Mapping[str, Any]) -> None:
        """Ask the catalog where a path names what nobody here knows. Raises: NotAccepting.

        Args: named: the parameters of the path.
        """
        if self.is_shared and not all(self._is_known(kind, str(name)) for kind, name in named.items()):
            await self.changes.ask_for_unknown()

    def _is_known(self, kind: str, name: str) -> bool:
        checks: dict[str, Callable[[], object]] = {
            "device_id": lambda: name in self.registry.numbers,
            "name": lambda: self.metric_definitions.known.get(name),
            "person": lambda: self.people.record(name),
            "rule": lambda: name in self.alert_rules.declared,
            "receiver": lambda: name in self.receivers.routing.receivers,
            "route": lambda: name in self.receivers.routes,
            "silence": lambda: any(str(one.number) == name for one in self.alert_book.silences),
        }
        return kind not in checks or bool(checks[kind]())

    async def look_for_devices(self, device_ids: Iterable[str]) -> None:
        """The same for ids of devices in a body."""
        if self.is_shared and any(device_id not in self.registry.numbers for device_id in device_ids):
            await self.changes.ask_for_unknown()

    async def look_for_metrics(self, names: Iterable[str]) -> bool:
        """The same for names of metrics; whether all are known now."""
        if not self.is_shared:
            return False
        await self.changes.ask_for_unknown()
        return all(self.metric_definitions.known.get(name) is not None for name in names)

    def find(self, device_id: str) -> "asyncio.Future[None]":
        """Look for one device, for the front door. The future ends with UnknownDevice, or with NotAccepting."""
        return asyncio.get_running_loop().create_task(self._find(device_id), context=Context())

    async def _find(self, device_id: str) -> None:
        await self.changes.ask_for_unknown()
        if device_id not in self.registry.numbers:
            raise self.registry.unknown(device_id)


def may_be_newer(error: Answerable) -> bool:
    """Whether what is refused may be right, and nobody here knows it yet."""
    return error.reason in _PERHAPS_NEWER
