"""What people decide of alerts, as bodies of requests, and the checked values in them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.calendar import declared_time_ns
from fleetpulse.ingest.device_declarations import DurationText, LabelTexts, TimeText
from fleetpulse.model.access import Scope
from fleetpulse.model.alert import Silence
from fleetpulse.model.alert_rule import SEVERITIES
from fleetpulse.model.device import LABEL_VALUE_CHARS_MAX, LABELS_MAX
from fleetpulse.model.maintenance import TIME_HIGHEST_NS
from fleetpulse.model.text import NAME_RULE, check_text, is_name
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import DURATION_EXPECTED, parse_length

COMMENT_CHARS_MAX = 2_000
PERSON_CHARS_MAX = 200
CommentText = Annotated[
    str, Meta(description="for people", examples=["on my way"], extra_json_schema={"maxLength": COMMENT_CHARS_MAX})
]
Until = Annotated[TimeText | None, Meta(description="until this time; or `for`", examples=[None])]
Length = Annotated[DurationText | None, Meta(description="for so long, from now on; or `until`", examples=["2h"])]


class Acknowledgement(msgspec.Struct, forbid_unknown_fields=True):
    """Whether somebody takes care of an alert."""

    comment: CommentText = ""
    acknowledged: Annotated[bool, Meta(description="false: nobody does, after all")] = True


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """Who is to take care of an alert."""

    assignee: Annotated[
        str,
        Meta(description="a name; empty: nobody", examples=["bob"], extra_json_schema={"maxLength": PERSON_CHARS_MAX}),
    ]
    comment: CommentText = ""


class Snooze(msgspec.Struct, forbid_unknown_fields=True):
    """Until when nobody is told of an alert; a time that is over, or `0s`, ends that."""

    until: Until = None
    for_: Length = msgspec.field(name="for", default=None)
    comment: CommentText = ""


class Comment(msgspec.Struct, forbid_unknown_fields=True):
    """An entry in the log of an alert."""

    text: Annotated[
        str,
        Meta(
            examples=["the switch in hall 2 has no power"],
            extra_json_schema={"minLength": 1, "maxLength": COMMENT_CHARS_MAX},
        ),
    ]


class NewSilence(msgspec.Struct, forbid_unknown_fields=True):
    """Of which alerts nobody is told, and until when."""

    labels: Annotated[
        LabelTexts,
        Meta(description="labels of devices, all of them; also `rule`, `severity` and `device` are names here"),
    ]
    comment: Annotated[CommentText, Meta(extra_json_schema={"minLength": 1})]
    start: Annotated[TimeText | None, Meta(description="null: now", examples=[None])] = None
    end: Annotated[TimeText | None, Meta(description="or `for`", examples=[None])] = None
    for_: Annotated[Length, Meta(description="for so long, from its start on; or `end`")] = msgspec.field(
        name="for", default=None
    )


def read_comment(text: str, *, is_needed: bool = False) -> str:
    """A checked comment. Raises: OutOfRange."""
    return _read_text(text, "comment", COMMENT_CHARS_MAX, is_needed=is_needed)


def read_assignee(text: str) -> str:
    """The checked name of a person; empty: nobody. Raises: OutOfRange."""
    return _read_text(text, "assignee", PERSON_CHARS_MAX)


def _read_text(text: str, field: str, chars_max: int, *, is_needed: bool = False) -> str:
    try:
        check_text(text, field=field, chars_max=chars_max)
    except ValueError as error:
        raise OutOfRange(str(error), reason=field) from error
    if is_needed and not text.strip():
        raise OutOfRange(f"{field} must not be empty: others want to know why", reason=field)
    return text.strip()


def read_until(until: str | None, for_: str | None, *, start_ns: int, field: str = "until") -> int:
    """The end of a span, in ns, that is given as a time or as a length. Raises: Malformed; OutOfRange."""
    if (until is None) == (for_ is None):
        raise OutOfRange(f"give either `{field}`, a time, or `for`, a duration such as 2h", reason="until")
    if until is not None:
        return _check_time(field, declared_time_ns(field, until))
    assert for_ is not None
    try:
        return _check_time("for", start_ns + parse_length(for_) * NS_PER_S)
    except ValueError as error:
        raise Malformed(f"`for` must be {DURATION_EXPECTED}") from error


def _check_time(field: str, at_ns: int) -> int:
    """Hold a time to those that the catalog can store. Raises: OutOfRange."""
    if not 0 <= at_ns <= TIME_HIGHEST_NS:
        raise OutOfRange(f"`{field}` must lie between the years 1970 and 2200", reason="until")
    return at_ns


def read_silence_labels(labels: dict[str, str]) -> Scope:
    """The checked labels of a silence, sorted. Raises: OutOfRange."""
    if not 1 <= len(labels) <= LABELS_MAX:
        raise OutOfRange(
            f"a silence must have 1 to {LABELS_MAX} labels; to silence everything for a while, pause or declare a "
            "maintenance window",
            reason="silence",
        )
    for name, value in labels.items():
        if not is_name(name):
            raise OutOfRange(f"`{name[:64]}` is no name of a label: expected {NAME_RULE}", reason="silence")
        if not value or len(value) > LABEL_VALUE_CHARS_MAX or "\0" in value:
            raise OutOfRange(f"the value of {name} must be 1 to {LABEL_VALUE_CHARS_MAX} characters", reason="silence")
    severity = labels.get("severity", SEVERITIES[0])
    if severity not in SEVERITIES:
        raise OutOfRange(f"severity must be one of {', '.join(SEVERITIES)}, not `{severity[:64]}`", reason="silence")
    return tuple(sorted(labels.items()))


def read_silence(body: NewSilence, *, labels: Scope, who: str, now_ns: int) -> Silence:
    """A checked silence without its number. Raises: Malformed; OutOfRange."""
    start_ns = now_ns if body.start is None else _check_time("start", declared_time_ns("start", body.start))
    end_ns = read_until(body.end, body.for_, start_ns=start_ns, field="end")
    return Silence(0, labels, start_ns, end_ns, read_comment(body.comment, is_needed=True), who, now_ns)
