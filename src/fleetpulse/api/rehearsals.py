"""Rehearsals: what a rule of alerts would have done."""

from fleetpulse.api.routes import route
from fleetpulse.api.window_parameters import read_month_window
from fleetpulse.ingest.rehearsal_declarations import RehearsalBody, proposed_rule
from fleetpulse.pipeline.rehearsals import Rehearsals
from fleetpulse.query.rehearsal_answers import Rehearsal
from fleetpulse.query.window import Window


@route(
    "POST /api/v1/alerts/rehearse",
    group="alerts",
    operation="rehearseAlertRule",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(404, 422),
    status=200,
    readers={"window": read_month_window},
)
async def rehearse_rule(payload: RehearsalBody, window: Window, rehearsals: Rehearsals) -> Rehearsal:
    """Play stored history against a rule: how many alerts and messages there would have been, when, and for whom.

    Nothing is declared, nobody is told. Routes, silences and labels are those of today. Rules about the service itself
    and about clocks of devices cannot be rehearsed, as what they are about is not stored.
    """
    rule = proposed_rule(payload) or rehearsals.declared(payload.name)
    return await rehearsals.rehearse(rule, window)
