"""Which part of the service has in memory what a table of the catalog says, and so reads it again after a change."""

from collections.abc import Callable
from dataclasses import dataclass

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.change_log import DEVICE_TABLES, CatalogChanges
from fleetpulse.pipeline.alert_book import AlertBook
from fleetpulse.pipeline.alert_rules import AlertRules
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.issuers import Issuers
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.people import People
from fleetpulse.pipeline.planned_downtime import PlannedDowntime
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.token_key_file import TokenKeyFile


@dataclass(eq=False, kw_only=True)
class Reloading:
    """Brings all parts to what changed, in an order in which no part sees what another one does not know yet.

    Attributes:
        is_holder: whether this node makes the rounds of alerts: then it knows them better than the catalog.
    """

    catalog: Catalog
    catalog_thread: CatalogThread
    registry: Registry
    key_ring: KeyRing
    metric_definitions: MetricDefinitions
    planned_downtime: PlannedDowntime
    token_keys: TokenKeyFile
    people: People
    issuers: Issuers
    alert_rules: AlertRules
    alert_book: AlertBook
    receivers: Receivers
    is_holder: Callable[[], bool]

    async def reload(self, changes: CatalogChanges) -> None:
        """Read again what changed. Raises: NotAccepting; OutcomeUnknown; DamagedData: the catalog cannot be read."""
        await self.reload_access(changes)
        await self._reload_fleet(changes)
        if changes.concerns("access_key"):
            await self.key_ring.reload(changes.access_keys)  # new ones only now: the gate looks up the devices of keys
        await self._reload_alerts(changes)

    async def reload_access(self, changes: CatalogChanges) -> None:
        """Refuse whom other nodes have shut out; it needs nothing of the fleet, which may take a minute to read.

        Raises: as `reload`.
        """
        if changes.concerns("access_key"):
            await self.key_ring.reload_known(changes.access_keys)
        if changes.concerns("shared_secret"):
            await self.catalog_thread.run(self.token_keys.load)
        if changes.concerns("person", "session"):
            await self.people.reload()
        if changes.concerns("issuer_keys"):
            await self.issuers.reload()

    async def _reload_fleet(self, changes: CatalogChanges) -> None:
        if changes.concerns("metric", "retention_grace"):
            await self.metric_definitions.adopt()
        devices = changes.devices
        if changes.concerns("default_policy") and await self.registry.policies.reload_defaults():
            devices = None  # those with an interval of their own have the grace of the service, or the other way round
        if devices is None or changes.concerns(*DEVICE_TABLES):
            count = await self.catalog_thread.run(self.catalog.device_count) if devices is None else 0
            await self.registry.reload(range(count) if devices is None else devices)
        if changes.concerns("pause", "maintenance"):
            await self.planned_downtime.reload()

    async def _reload_alerts(self, changes: CatalogChanges) -> None:
        if changes.concerns("alert_rule"):
            await self.alert_rules.adopt()
        if changes.concerns("receiver_or_route"):
            await self.receivers.adopt()
        is_round = not self.is_holder() and changes.concerns("alert_piece", "alert_pending", "alert_round", "incident")
        if is_round or changes.concerns("alert_decision", "silence"):
            await self.alert_book.reload(is_round=is_round)
