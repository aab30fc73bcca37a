"""What the stage needs to know of who may report, and how often; `access` answers it."""

from collections.abc import Callable, Iterable
from typing import Protocol

from fleetpulse.errors import Answerable
from fleetpulse.model.access import Attempt


class ReportGate(Protocol):
    """Lets reports in, or says why not.

    Attributes:
        is_protected: whether a report needs a key.
        on_change: what is called when that changes.
    """

    is_protected: bool
    on_change: list[Callable[[], None]]

    def is_plain(self, headers: Iterable[tuple[bytes, bytes]], *, key: bytes) -> bool:
        """Whether the front door may decide about a request with these headers, whose names are in lower case.

        Args: key: stands in the headers in the place of each key, in lower case; empty where there is none.
        """
        ...

    def refusal_of(self, key: bytes, device: int | None) -> Answerable | None:
        """Why a report of a device with a key is not let in, None where it is. `device`: None: it is not known."""
        ...

    def refused(self, error: Answerable, attempt: Attempt) -> Answerable:
        """Count and note a refusal. Returns: the error to answer, which is another where there are too many."""
        ...


class ReportLanes(Protocol):
    """Charges reports to the rate limits of their devices; see `access/device_limits.py`.

    Attributes:
        spent: devices whose limits were used up: `check` them before the body is read.
    """

    spent: set[int]

    def check(self, device: int) -> None:
        """Raises: TooManyRequests: the limits of a device are still used up."""
        ...

    def charge(self, device: int, sent_at_ns: int) -> None:
        """Charge a report, by its time. Raises: TooManyRequests."""
        ...

    def charge_refused(self, device: int) -> None:
        """Charge a report that was refused for what is in it."""
        ...
