"""Badges over HTTP: JSON bodies become checked values."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.errors import OutOfRange
from fleetpulse.ingest.device_declarations import LabelTexts
from fleetpulse.ingest.key_declarations import Description, check_description
from fleetpulse.model.access import Scope
from fleetpulse.model.device import check_labels


class NewBadge(msgspec.Struct, forbid_unknown_fields=True):
    """A badge to make: of a device, of the devices with some labels, or, with neither, of the fleet."""

    device_id: Annotated[
        str | None, Meta(description="the device that it is about; without `labels`", examples=[None])
    ] = None
    labels: Annotated[LabelTexts, Meta(description="devices must have all of these", examples=[{}])] = {}
    description: Description = ""


def wished_labels(body: NewBadge) -> Scope:
    """The labels of a new badge, sorted. Raises: OutOfRange."""
    check_description(body.description)
    try:
        check_labels(body.labels)
    except ValueError as error:
        raise OutOfRange(str(error), reason="badge") from error
    if body.labels and body.device_id is not None:
        raise OutOfRange("a badge is about a device or about labels: give one of them", reason="badge")
    return tuple(sorted(body.labels.items()))
