"""`fleetpulse blocks`: blocks that are set aside, since they are damaged or missing, and taking them up again."""

from cyclopts import App

from fleetpulse.cli.flags import Service, action
from fleetpulse.cli.tables import Part, left, prose, right, table_of, time_cell
from fleetpulse.query.declaration_answers import SetAsideList

BLOCKS = "/api/v1/blocks"
app = App(name="blocks")


@action(app, "fleetpulse blocks list")
def list_(*, service: Service = Service()) -> None:
    """List the blocks that are set aside, what is wrong with each, and what was written."""
    service.ask(BLOCKS, shape=SetAsideList, parts=_parts)


@action(app, "fleetpulse blocks check")
def check(*, service: Service = Service()) -> None:
    """Look whether blocks that are set aside were copied back under their names.

    A block whose size and checksum are those that were written is used again. Each checkpoint looks by itself, too.
    """
    with service.client() as client:
        answer = client.send("POST", f"{BLOCKS}/check")
    service.show(answer, SetAsideList, _parts)


def _parts(found: SetAsideList) -> list[Part]:
    columns = [left("block"), left("since"), prose("what is wrong"), right("bytes"), left("sha256")]
    rows = [(one.name, time_cell(one.since), one.msg, str(one.bytes), one.sha256) for one in found.set_aside]
    back = [f"Back, and used again: {', '.join(found.restored)}."] if found.restored else []
    return [*back, table_of(columns, rows) if rows else "No block is set aside."]
