"""Enrolment over HTTP: JSON bodies become checked values."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.device_declarations import DurationText, LabelTexts, NewDevice, TimeText, new_device
from fleetpulse.ingest.key_declarations import Description, KeyWish, expiry_ns
from fleetpulse.model.device import NOTE_CHARS_MAX, Device, check_labels
from fleetpulse.model.enrolment import EnrolmentTerms, check_pattern, check_secret
from fleetpulse.model.text import check_text
from fleetpulse.notation.whole import whole

USES_HIGHEST = 10_000_000
LIFE = "30d"
"""How long an enrolment key is good for, where nothing else is asked for."""


class NewEnrolmentKey(msgspec.Struct, forbid_unknown_fields=True):
    """An enrolment key to make."""

    uses: Annotated[
        int | float,
        Meta(
            description="how many devices may enrol",
            examples=[100],
            extra_json_schema={"type": "integer", "maximum": USES_HIGHEST},  # which 100.0 is, too
        ),
    ] = 1
    id_pattern: Annotated[
        str, Meta(description="what ids must look like; `*` stands for any characters", examples=["pump-*"])
    ] = "*"
    labels: LabelTexts = {}
    takes: Annotated[
        list[str], Meta(description="names of labels that are taken from the device itself", examples=[["firmware"]])
    ] = []
    description: Description = ""
    expires_at: Annotated[
        TimeText | None, Meta(description="until this time; without `expires_in`", examples=[None])
    ] = None
    expires_in: Annotated[
        DurationText | None, Meta(description=f"or for so long; {LIFE} where neither is given", examples=[LIFE])
    ] = None


class EnrolBody(msgspec.Struct, forbid_unknown_fields=True):
    """A new device that asks for its own key."""

    device_id: Annotated[str, Meta(examples=["pump-7"])]
    enroll_secret: Annotated[
        str,
        Meta(
            description="at least 128 random bits that the device made and keeps, to repeat this if no answer came",
            examples=["b5d1c7f6a2e84d039f1c6a7e5b3d2f10"],
        ),
    ]
    labels: LabelTexts = {}


def wished_enrolment_key(body: NewEnrolmentKey, *, now_ns: int) -> tuple[KeyWish, EnrolmentTerms]:
    """The checked wish, and the terms, without the number. Raises: Malformed; OutOfRange."""
    try:
        check_text(body.description, field="description", chars_max=NOTE_CHARS_MAX)
        check_pattern(body.id_pattern)
        check_labels(body.labels)
        check_labels(dict.fromkeys(body.takes, "any"))
    except ValueError as error:
        raise OutOfRange(str(error), reason="key") from error
    uses = whole(body.uses)
    if uses is None or not 1 <= uses <= USES_HIGHEST:
        raise OutOfRange(f"`uses` must be a whole number, 1 to {USES_HIGHEST}", reason="key")
    if both := sorted(set(body.takes) & set(body.labels)):
        raise OutOfRange(f"the label {both[0]} is preset, so it cannot be taken from the device", reason="key")
    life = LIFE if body.expires_at is None and body.expires_in is None else body.expires_in
    wish = KeyWish(
        role="enrol", description=body.description, expires_at_ns=expiry_ns(body.expires_at, life, now_ns=now_ns)
    )
    takes = tuple(sorted(set(body.takes)))
    return wish, EnrolmentTerms(0, uses, 0, body.id_pattern, tuple(sorted(body.labels.items())), takes)


def enrolling_device(body: EnrolBody, terms: EnrolmentTerms) -> Device:
    """The device that asks, with its labels: preset ones win, and of its own only those that the terms name.

    Raises: Malformed; OutOfRange: the id, the secret or a label breaks a rule.
    """
    own = {name: value for name, value in body.labels.items() if name in terms.takes}
    try:
        check_secret(body.enroll_secret)
    except ValueError as error:
        raise OutOfRange(str(error), reason="enroll_secret") from error
    return new_device(NewDevice(body.device_id, {**own, **dict(terms.labels)}))
