"""`fleetpulse whoami`: who asks, as the service sees it."""

from cyclopts import App

from fleetpulse.cli.flags import Service
from fleetpulse.cli.tables import Part, facts_of, known
from fleetpulse.query.key_answers import WhoAmI

app = App(name="whoami", help_epilogue="Example:\n  fleetpulse whoami --key-file paris.key")


@app.default
def whoami(*, service: Service = Service()) -> None:
    """Show who asks: the key, its role and its scope."""
    service.ask("/api/v1/whoami", shape=WhoAmI, parts=_parts)


def _parts(answer: WhoAmI) -> list[Part]:
    return [
        facts_of(
            [
                ("name", answer.name),
                ("known by", answer.kind),
                ("role", answer.role),
                ("scope", " ".join(answer.scope) or ("" if answer.role in ("device", "scrape") else "every device")),
                ("device", known(answer.device_id) or ""),
            ]
        )
    ]
