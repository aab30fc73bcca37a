"""Rules of alerts: what people are to be told of."""

from fleetpulse.api.parameters import RuleNamePath
from fleetpulse.api.routes import route
from fleetpulse.ingest.alert_declarations import RuleBody, TriedRuleBody, new_rule
from fleetpulse.pipeline.rule_trials import RuleTrials
from fleetpulse.pipeline.seen_rules import SeenRules
from fleetpulse.query.alert_rule_answers import AlertRule, AlertRules, RulePreview
from fleetpulse.query.declaration_answers import Message


@route(
    "GET /api/v1/alerts/rules",
    group="alerts",
    operation="listAlertRules",
    permission="read",
    scope="labels",
    limit="key",
)
async def get_rules(seen_rules: SeenRules) -> AlertRules:
    """List all rules of alerts, also those that are not enabled."""
    return AlertRules(seen_rules.all())


@route(
    "GET /api/v1/alerts/rules/{rule:str}",
    group="alerts",
    operation="getAlertRule",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(404,),
)
async def get_rule(seen_rules: SeenRules, rule: RuleNamePath) -> AlertRule:
    """Show one rule."""
    return seen_rules.get(rule)


@route(
    "PUT /api/v1/alerts/rules/{rule:str}",
    group="alerts",
    operation="putAlertRule",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(422,),
)
async def put_rule(seen_rules: SeenRules, rule: RuleNamePath, payload: RuleBody) -> AlertRule:
    """Declare a rule, or replace the one of this name as a whole.

    A file of rules that is read later changes of it only what changes in the file.
    """
    return await seen_rules.put(new_rule(rule, payload))


@route(
    "DELETE /api/v1/alerts/rules/{rule:str}",
    group="alerts",
    operation="deleteAlertRule",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(404,),
)
async def delete_rule(seen_rules: SeenRules, rule: RuleNamePath) -> Message:
    """Remove a rule, one of those that came with the service, too; its alerts end."""
    await seen_rules.remove(rule)
    return Message(f"alert rule {rule} is removed, and its alerts end")


@route(
    "POST /api/v1/alerts/rules/preview",
    group="alerts",
    operation="previewAlertRule",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
)
async def preview_rule(rule_trials: RuleTrials, payload: TriedRuleBody) -> RulePreview:
    """Show what a rule would do if it were declared now: which alerts would fire, and why.

    Nothing is changed, and nobody is told.
    """
    return await rule_trials.preview(new_rule(payload.name, payload))
