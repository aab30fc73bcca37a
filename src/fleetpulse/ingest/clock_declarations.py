"""What people declare of the server's clock over HTTP."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fleetpulse.ingest.device_declarations import TimeText


class ClockBody(msgspec.Struct, forbid_unknown_fields=True):
    """That the server's clock is right as it is."""

    latest: Annotated[
        TimeText | None,
        Meta(
            description="the latest time in the journal, which the caller says is wrong, where the clock is behind it"
        ),
    ] = None
