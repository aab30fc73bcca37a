"""What `app` builds of alerts."""

from collections.abc import Collection
from functools import partial
from typing import Any

import numpy as np

from fleetpulse.alert.planner import plan
from fleetpulse.pipeline.acknowledging import Acknowledging
from fleetpulse.pipeline.alert_desk import AlertDesk
from fleetpulse.pipeline.alert_facts import AlertFacts
from fleetpulse.pipeline.alert_telemetry import AlertTelemetry
from fleetpulse.pipeline.alerting import Alerting
from fleetpulse.pipeline.disk_watch import DiskWatch
from fleetpulse.pipeline.housekeeping import Housekeeping
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.rehearsals import Rehearsals
from fleetpulse.pipeline.seen_alerts import SeenAlerts
from fleetpulse.pipeline.seen_rules import SeenRules
from fleetpulse.pipeline.service import Stages
from fleetpulse.pipeline.window_rules import WindowRules
from fleetpulse.settings import Settings


def build_alerting(
    settings: Settings, stages: Stages, readiness: Readiness, housekeeping: Housekeeping, disk_watch: DiskWatch
) -> Alerting:
    """The rounds of alerts."""
    telemetry = AlertTelemetry(
        clock=stages.clock,
        counters=stages.counters,
        writer=stages.writer,
        follower=stages.follower,
        housekeeping=housekeeping,
        disk_watch=disk_watch,
        watch=stages.watch,
    )
    facts = AlertFacts(
        clock=stages.clock,
        watch=stages.watch,
        intake=stages.intake,
        follower=stages.follower,
        views=stages.views,
        metric_definitions=stages.metric_definitions,
        telemetry=telemetry,
        settings=settings,
    )
    alerting = Alerting(
        book=stages.alert_book,
        clock=stages.clock,
        facts=facts,
        registry=stages.registry,
        readiness=readiness,
        settings=settings,
        thread=stages.threads.alerts,
        rules=lambda: stages.alert_rules.rules,
        routing=lambda: stages.receivers.routing,
        plan=partial(plan, alerts_max=settings.message_alerts_max),
        windows=WindowRules(
            clock=stages.clock,
            facts=facts,
            settings=settings,
            thread=stages.threads.alert_windows,
            computing=stages.threads.computing,
        ),
        add_messages=stages.deliveries.store,
        lease=stages.lease,
        listeners=[
            lambda decided: stages.deliveries.look() if decided.messages else None,
            stages.live_feed.take_alerts,
        ],
    )
    stages.deliveries.open_alerts = partial(_open_alerts, stages)
    return alerting


def build_desks(settings: Settings, stages: Stages, **desks: Any) -> dict[str, Any]:
    """What people do with alerts, themselves or by the link of a message, by the names that `Service` gives them.

    Args: desks: further ones.
    """
    desk = AlertDesk(book=stages.alert_book, clock=stages.clock, limits=settings)
    acknowledging = Acknowledging(
        catalog=stages.catalog,
        catalog_thread=stages.catalog_thread,
        clock=stages.clock,
        alert_book=stages.alert_book,
        link_key=stages.link_key,
        changing=stages.alert_book.changing,
    )
    return {**desks, "alert_desk": desk, "acknowledging": acknowledging}


def _open_alerts(stages: Stages, numbers: Collection[int]) -> Collection[int]:
    """Which of these alerts fire; an incident has its number with a minus, and lasts while a member fires."""
    firing = stages.alert_book.lives.open.of
    wanted = np.fromiter(numbers, np.int64, len(numbers))
    is_open = np.isin(wanted, firing["number"]) | ((wanted < 0) & np.isin(-wanted, firing["incident"]))
    return [int(number) for number in wanted[is_open]]


def build_seen_alerts(stages: Stages, alerting: Alerting) -> SeenAlerts:
    """What there is to see of alerts."""
    return SeenAlerts(
        book=stages.alert_book,
        alerting=alerting,
        alert_rules=stages.alert_rules,
        registry=stages.registry,
        metric_definitions=stages.metric_definitions,
        thread=stages.threads.rendering,
    )


def build_rehearsals(settings: Settings, stages: Stages, seen_rules: SeenRules, alerting: Alerting) -> Rehearsals:
    """What rehearses rules of alerts."""
    return Rehearsals(
        questions=stages.questions,
        views=stages.views,
        registry=stages.registry,
        metric_definitions=stages.metric_definitions,
        seen_rules=seen_rules,
        alerting=alerting,
        settings=settings,
    )
