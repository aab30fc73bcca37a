"""`fleetpulse alerts`: what is wrong, of what people are told, and who."""

from fleetpulse.cli import alert_outbox, alert_receivers, alert_routes, alert_rules, incidents, silences
from fleetpulse.cli.alert_list import app
from fleetpulse.cli.alert_rehearsal import rehearse
from fleetpulse.cli.flags import action

app.command(silences.app)
app.command(incidents.app)
app.command(alert_rules.app)
app.command(alert_receivers.app)
app.command(alert_routes.app)
app.command(alert_outbox.app)
action(app, "fleetpulse alerts test hook")(alert_receivers.test_)
action(
    app, "fleetpulse alerts preview --kind incident", "fleetpulse alerts preview --receiver hook --body-from body.txt"
)(alert_receivers.preview)
action(
    app,
    "fleetpulse alerts rehearse --rule device-offline --window 30d",
    "fleetpulse alerts rehearse --file cpu-high.toml --window 7d",
)(rehearse)
