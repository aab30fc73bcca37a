"""Merging, field by field, what a file or an import declares with what is in effect already.

Declarations have two writers: people, over the API, and files. So a file that is read again must only bring in what
changed in the file itself. For each field that the file names, three values decide:

    last read    in the file now    in effect
    paris        paris              lyon         the file did not change: lyon stays, and is reported as a conflict
    paris        rome               lyon         the file changed: rome is in effect
    paris        not named          lyon         lyon stays; the value last read is still paris

A device or metric that was deleted stays deleted until its line in the file changes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = str | int | float | list[Any] | None
Fields = Mapping[str, Value]
"""Names of fields and their values, as JSON can hold them; None is no value: an empty cell, or a null."""
_Declaration = TypeVar("_Declaration")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one device or metric before it is merged.

    `in_effect` is None where it is not declared now: it was deleted, or was never declared. `last_read` is None where
    the file never named it.
    """

    in_effect: Fields | None = None
    was_deleted: bool = False
    last_read: Fields | None = None


Rule = Callable[[Fields, Known], Fields | None]
"""From what a source names, and what is known: the fields to set; None where nothing is written.

For what is not declared now, the fields to declare it with, perhaps none.
"""


@dataclass(frozen=True, slots=True)
class FileRule:
    """The rule for declared files.

    `not_named` is what a field that the file never named is taken to have been. In a CSV it is None: a new column
    with empty cells changes nothing. At the first reading (`is_first`), nothing is known of what the file said before:
    what is in effect stays, since people may have declared it.
    """

    is_first: bool
    not_named: object = None

    def __call__(self, named: Fields, known: Known) -> Fields | None:
        """See Rule."""
        if known.in_effect is None and not known.was_deleted:
            return named
        if self.is_first:
            return None
        last_read = known.last_read or {}
        changed = {name: value for name, value in named.items() if last_read.get(name, self.not_named) != value}
        if known.in_effect is None:
            return named if changed or known.last_read is None else None
        return changed or None


def import_rule(named: Fields, known: Known) -> Fields | None:
    """The rule for imports, which somebody asks for now: every field that is named is set."""
    if known.in_effect is None:
        return named
    in_effect = known.in_effect
    return {name: value for name, value in named.items() if in_effect.get(name) != value} or None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field before and after a change; None: it had, or has, no value."""

    name: str
    before: Value
    after: Value


@dataclass(frozen=True, slots=True)
class EntryChange:
    """What changes of one device or metric."""

    id: str
    is_new: bool
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class EntryConflict:
    """A device or metric of which the file and what is in effect differ, and what is in effect stays."""

    id: str
    text: str


@dataclass(slots=True)
class MergeReport:
    """What a merge did: counts of entries, and the first `listed_max` changes and conflicts.

    Every entry is added, changed or unchanged; those in conflict are counted beside that.
    """

    listed_max: int
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    in_conflict: int = 0
    changes: list[EntryChange] = field(default_factory=list)
    conflicts: list[EntryConflict] = field(default_factory=list)

    def note_change(self, entry_id: str, before: Fields | None, after: Fields) -> None:
        """Count an entry that is added (`before` None) or changed, and list which of its fields change."""
        if before is None:
            self.added += 1
        else:
            self.changed += 1
        if len(self.changes) < self.listed_max:
            self.changes.append(entry_change(entry_id, before, after))

    def note_conflict(self, entry_id: str, text: str) -> None:
        """Count an entry in conflict, and list why."""
        self.in_conflict += 1
        if len(self.conflicts) < self.listed_max:
            self.conflicts.append(EntryConflict(entry_id, text))


def entry_change(entry_id: str, before: Fields | None, after: Fields) -> EntryChange:
    """The fields that differ; of a new entry (`before` None), those that have a value."""
    known = before or {}
    names = [*after, *(name for name in known if name not in after)]
    changes = (FieldChange(name, known.get(name), after.get(name)) for name in names)
    return EntryChange(entry_id, before is None, tuple(change for change in changes if change.before != change.after))


@dataclass(frozen=True, slots=True)
class Merging:
    """One run of merges by one rule, with the report that it fills."""

    rule: Rule
    report: MergeReport

    def entry(
        self, entry_id: str, named: Fields, known: Known, declare: Callable[[Fields], tuple[_Declaration, Fields]]
    ) -> tuple[_Declaration | None, bool]:
        """Merge one entry: its new declaration (None: nothing is written), and whether it could be merged.

        Args:
            declare: makes the declaration, and all its fields, out of the fields to set; ValueError or OutOfRange: they
                do not fit together with what is in effect. Then what is in effect stays, and is reported as a conflict.
        """
        sets = self.rule(named, known)
        if sets is None:
            self.report.unchanged += 1
            self._note_conflict(entry_id, named, known.in_effect)
            return None, True
        try:
            declaration, after = declare(sets)
        except ValueError as error:
            self.report.unchanged += 1
            self.report.note_conflict(entry_id, f"not taken, since it does not fit what is in effect: {error}")
            return None, False
        self.report.note_change(entry_id, known.in_effect, after)
        self._note_conflict(entry_id, named, after)
        return declaration, True

    def _note_conflict(self, entry_id: str, named: Fields, in_effect: Fields | None) -> None:
        if in_effect is None:
            self.report.note_conflict(entry_id, "was deleted, and its line in the file has not changed since")
            return
        differing = [
            f"{name} is {_text(in_effect.get(name))}, in the file {_text(value)}"
            for name, value in named.items()
            if in_effect.get(name) != value
        ]
        if differing:
            self.report.note_conflict(entry_id, "; ".join(differing))


def _text(value: Value) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value) or "empty"
    return "not set" if value is None else str(value)
