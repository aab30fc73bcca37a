"""`fleetpulse blocks`: blocks that are set aside and taking them up again, kept manifests, and files of others."""

from cyclopts import App

from fleetpulse.cli.flags import Service, action
from fleetpulse.cli.tables import Part, left, prose, right, table_of, time_cell
from fleetpulse.notation.count import count_text
from fleetpulse.query.block_answers import SetAsideList

BLOCKS = "/api/v1/blocks"
NONE = "No block is set aside."
app = App(name="blocks")


@action(app, "fleetpulse blocks list")
def list_(*, service: Service = Service()) -> None:
    """List what people have to decide on among the blocks.

    Blocks that are set aside since they are damaged or missing, with what was written; manifests that are kept, with
    all files that they name, because another copy of the data folder has used the blocks; and files that this catalog
    did not write, which are never removed.
    """
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
    kept = [
        f"Kept: {one.name}, which another copy of this data folder wrote at {time_cell(one.taken_at)}, with the "
        f"{count_text(one.files, 'file')} that it names; {one.msg}."
        for one in found.kept_manifests
    ]
    unknown = [
        f"{count_text(len(found.unknown), 'file')} that this catalog did not write, and which it never removes:\n"
        + "\n".join(found.unknown)
    ]
    return [*back, *kept, *(unknown if found.unknown else []), table_of(columns, rows) if rows else NONE]
