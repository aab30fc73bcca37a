"""`fleetpulse files`: what reading the declared files again would change."""

from cyclopts import App

from fleetpulse.cli.device_changes import change_parts
from fleetpulse.cli.flags import Service
from fleetpulse.cli.tables import Part, time_cell
from fleetpulse.query.declaration_answers import DeclaredFile, DeclaredFiles

TITLES = {"devices": "device", "metrics": "metric", "alerts": "entry"}
app = App(name="files", help_epilogue="Example:\n  fleetpulse files")


@app.default
def files(*, service: Service = Service()) -> int:
    """Show what SIGHUP, or the next start, would change by the files of devices, metrics and alerts; change nothing.

    The exit status is 1 if a file cannot be used.
    """
    with service.client() as client:
        answer = client.get("/api/v1/files")
    service.show(answer, DeclaredFiles, files_parts)
    return 1 if any(file.error for file in answer.into(DeclaredFiles).files) else 0


def files_parts(answer: DeclaredFiles) -> list[Part]:
    """Of each file, the fields that would change, the conflicts, and the counts."""
    if not answer.files:
        return ["The service reads no files: it was started without --devices, --metrics and --alerts."]
    return [part for file in answer.files for part in _file_parts(file)]


def _file_parts(file: DeclaredFile) -> list[Part]:
    last = f"last read {time_cell(file.read_at)}" if file.read_at else "not read yet"
    if file.error:
        return [f"{file.path} ({last}) cannot be used, and would change nothing: {file.error}"]
    counts = f"would be added: {file.added}, would be changed: {file.changed}, unchanged: {file.unchanged}"
    conflicts = [f"in conflict: {conflict.id}: {conflict.msg}" for conflict in file.conflicts]
    hidden = file.in_conflict - len(file.conflicts)
    lines = [*conflicts, *([f"… and {hidden} more"] if hidden > 0 else [])]
    return [
        *change_parts(file.changes, title=TITLES[file.kind]),
        *lines,
        f"{file.path} ({last}): {counts}, in conflict: {file.in_conflict}.",
    ]
