"""`fleetpulse clock`: what the server's clock did, and accepting it as it is."""

from typing import Annotated

from cyclopts import App, Parameter

from fleetpulse.cli.flags import Service, action
from fleetpulse.cli.tables import Part, facts_of, time_cell
from fleetpulse.errors import SettingsError
from fleetpulse.query.declaration_answers import ServerClock

CLOCK = "/api/v1/clock"
app = App(name="clock")


@action(app, "fleetpulse clock show")
def show(*, service: Service = Service()) -> None:
    """Show the server's clock, and whether events are accepted and data expires by it."""
    service.ask(CLOCK, shape=ServerClock, parts=_parts)


@action(app, "fleetpulse clock accept", "fleetpulse clock accept --yes")
def accept(*, yes: Annotated[bool, Parameter(name="--yes")] = False, service: Service = Service()) -> None:
    """Accept the server's clock as it is now: after a time in which it was ahead, or after a very long leap.

    Without --yes it says what it would do, and changes nothing.

    Args:
        yes: Do it.
    """
    with service.client() as client:
        answer = client.get(CLOCK)
        clock = answer.into(ServerClock)
        if not yes:
            raise SettingsError(f"{_plan(clock)} Give --yes to do it.")
        answer = client.send("POST", f"{CLOCK}/accept", body={"latest": clock.latest})
    service.show(answer, ServerClock, _parts)


def _plan(clock: ServerClock) -> str:
    wrong = clock.would_correct
    if wrong is None:
        return f"The clock reads {clock.now}. It would be accepted as right, and data would expire by it again."
    heard = "1 device was" if wrong.devices == 1 else f"{wrong.devices} devices were"
    return (
        f"The clock reads {clock.now}. If it is right, it was ahead until {wrong.until}: whatever came in after "
        f"{wrong.since} would count as received now, and the time since then as blind. {heard} heard "
        "in that time. Nothing from before would change, nor would presence and samples."
    )


def _parts(clock: ServerClock) -> list[Part]:
    facts = [
        ("server's clock", time_cell(clock.now)),
        ("latest in the journal", time_cell(clock.latest)),
        ("events", "refused" if clock.is_behind else "accepted"),
        ("expiry", clock.nothing_expires or "as declared"),
    ]
    return [facts_of(facts), *([clock.msg] if clock.msg else [])]
