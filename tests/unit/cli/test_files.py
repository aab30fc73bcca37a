import io

from fleetpulse.cli.files import files_parts
from fleetpulse.cli.tables import show
from fleetpulse.query.declaration_answers import Change, DeclaredFile, DeclaredFiles, EntryConflict, FieldChange


def printed(answer: DeclaredFiles) -> str:
    text = io.StringIO()
    show(*files_parts(answer), file=text)
    return text.getvalue()


def test_a_file_shows_its_changes_its_conflicts_and_its_counts() -> None:
    file = DeclaredFile(
        kind="metrics",
        path="m.json",
        read_at="2026-11-24T08:30:00Z",
        error=None,
        changed=1,
        in_conflict=3,
        changes=[Change(id="cpu", new=False, fields=[FieldChange("bounds", [None, 5], [0, 100])])],
        conflicts=[EntryConflict("load", "unit is %, in the file ms")],
    )
    lines = [line.split() for line in printed(DeclaredFiles([file])).splitlines()]
    assert ["cpu", "bounds", "any", "to", "5", "0", "to", "100"] in lines
    assert ["in", "conflict:", "load:", "unit", "is", "%,", "in", "the", "file", "ms"] in lines
    assert ["…", "and", "2", "more"] in lines
    assert lines[-1][-3:] == ["in", "conflict:", "3."]


def test_a_file_that_cannot_be_used_says_why_and_a_service_without_files_says_so() -> None:
    file = DeclaredFile(kind="devices", path="d.csv", read_at=None, error="d.csv, line 3: no id.")
    assert "d.csv (not read yet) cannot be used, and would change nothing: d.csv, line 3" in printed(
        DeclaredFiles([file])
    )
    assert "reads no files" in printed(DeclaredFiles([]))
