"""Answers about enrolment; no secret is in any but those that hand a new key out."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from fleetpulse.access.key_text import hint_of
from fleetpulse.model.device import Device
from fleetpulse.model.enrolment import EnrolmentTerms
from fleetpulse.model.key import KeyRecord
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, DeviceId, Labels, Time
from fleetpulse.query.key_answers import Number


class EnrolmentKey(Struct, kw_only=True):
    """An enrolment key, without its secret."""

    number: Number
    begins: Annotated[str, Meta(description="how its text begins", examples=["fp_enrol_h_…"])]
    id_pattern: Annotated[
        str, Meta(description="what ids must look like; `*` stands for any characters", examples=["pump-*"])
    ]
    labels: Labels
    takes: Annotated[
        list[str], Meta(description="names of labels that are taken from the device itself", examples=[["firmware"]])
    ]
    uses_max: Annotated[Count, Meta(description="how many devices may enrol", examples=[100])]
    uses: Annotated[Count, Meta(description="how many have")]
    description: Annotated[str, Meta(examples=["pumps of hall 2"])]
    created_at: Time
    created_by: Annotated[str, Meta(examples=["key 1"])]
    expires_at: Annotated[Time | None, Meta(description="null: never")]


class MadeEnrolmentKey(EnrolmentKey, kw_only=True):
    """An enrolment key that was just made; only this answer has its text."""

    key: Annotated[
        str,
        Meta(
            description="what new devices send as `Authorization: Bearer …`; it cannot be shown again",
            examples=["fp_enrol_h_0123456789abcdefghijklmnopq5Gk2Lx"],
        ),
    ]


class EnrolmentKeys(Struct):
    """All enrolment keys that are not revoked, by number."""

    keys: list[EnrolmentKey]


class EnrolledDevice(Struct, kw_only=True):
    """A device that has enrolled, with its key, which is in this answer only."""

    device_id: DeviceId
    labels: Labels
    number: Number
    key: Annotated[
        str,
        Meta(
            description="what it sends as `Authorization: Bearer …` from now on; it cannot be shown again",
            examples=["fp_device_h_0123456789abcdefghijklmnopq5Gk2Lx"],
        ),
    ]
    is_repeated: Annotated[
        bool, Meta(description="it was given a key before, which it never used, and which is revoked now")
    ]


def describe_enrolment_key(key: KeyRecord, terms: EnrolmentTerms) -> EnrolmentKey:
    """An enrolment key."""
    return EnrolmentKey(**_facts(key, terms))


def describe_made_enrolment_key(key: KeyRecord, terms: EnrolmentTerms, text: str) -> MadeEnrolmentKey:
    """An enrolment key that was just made, with its text."""
    return MadeEnrolmentKey(**_facts(key, terms), key=text)


def _facts(key: KeyRecord, terms: EnrolmentTerms) -> dict[str, Any]:
    return {
        "number": key.number,
        "begins": hint_of(key.role, key.number),
        "id_pattern": terms.pattern,
        "labels": dict(terms.labels),
        "takes": list(terms.takes),
        "uses_max": terms.uses_max,
        "uses": terms.uses,
        "description": key.description,
        "created_at": format_rfc3339(key.created_at_ns),
        "created_by": key.created_by,
        "expires_at": None if key.expires_at_ns is None else format_rfc3339(key.expires_at_ns),
    }


def describe_enrolled(device: Device, key: KeyRecord, text: str, *, is_repeated: bool) -> EnrolledDevice:
    """A device that has enrolled."""
    return EnrolledDevice(
        device_id=device.id, labels=device.labels, number=key.number, key=text, is_repeated=is_repeated
    )
