"""What `app` builds to tell people of alerts: receivers, routes, and what delivers the outbox."""

import random
from typing import Any

from fleetpulse.alert.receivers.apprise_sender import AppriseSender
from fleetpulse.clock import Clock
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.deliveries import Deliveries
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.link_key_file import LinkKeyFile
from fleetpulse.pipeline.receivers import Receivers
from fleetpulse.pipeline.sending import Sending
from fleetpulse.pipeline.service import Stores
from fleetpulse.pipeline.shared_keys import SharedLinkKey
from fleetpulse.settings import Settings


def build_deliveries(
    settings: Settings, stores: Stores, *, clock: Clock, catalog_thread: CatalogThread, lease: Lease
) -> dict[str, Any]:
    """Those stages, by the names that `Stages` gives them."""
    is_shared = stores.catalog.is_shared
    link_key = SharedLinkKey(stores.catalog) if is_shared else LinkKeyFile(stores.ownership.folder)
    sending = Sending(
        limits=settings, link_key=link_key, apprise=AppriseSender(files=settings.receiver_files), now_ns=clock.now_ns
    )
    receivers = Receivers(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        limits=settings,
        link_key=link_key,
        apprise=sending.apprise,
        threads=stores.threads,
    )
    deliveries = Deliveries(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        counters=stores.counters,
        threads=stores.threads,
        receivers=receivers,
        sending=sending,
        lease=lease,
        limits=settings,
        jitter=random.random,
    )
    return {"link_key": link_key, "receivers": receivers, "sending": sending, "deliveries": deliveries}
