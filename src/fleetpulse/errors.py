"""Every error that fleetpulse raises on purpose, sorted by who must act.

FleetpulseError
├─ Answerable             has an HTTP answer
│  ├─ Refusal             the sender must change the request; nothing was accepted    4xx
│  │  ├─ Malformed        the body is not JSON, or not of the expected shape          400
│  │  ├─ Unauthenticated  a key is needed, and none that is known and valid is shown  401
│  │  ├─ Forbidden        who asks is known, and may not do this                      403
│  │  ├─ WebPage          a browser asks on behalf of a web page                       403
│  │  ├─ UnknownDevice    no such device is registered                                404
│  │  ├─ NotFound         no such metric or maintenance window                        404
│  │  ├─ NotAcceptable    the client accepts no form of the answer                    406
│  │  ├─ RequestTimeout   the rest of the request did not arrive in time              408
│  │  ├─ Conflict         the change does not fit the present state                   409
│  │  ├─ TooLarge         the body, or what it decompresses to, is over its limit     413
│  │  ├─ UnsupportedMedia the route does not take this content type or coding         415
│  │  ├─ OutOfRange       well-formed, but a value is outside its limits              422
│  │  │  ├─ UnknownMetric a metric has no definition                                  422
│  │  │  └─ TooDear      the answer would need more memory than a question may take   422
│  │  ├─ HeaderTooLarge   header bytes or header count over the limit                 431
│  │  ├─ UnsupportedCoding the body has a transfer coding other than chunked          501
│  │  └─ UnsupportedVersion the request is of another version than HTTP/1.1 or 1.0    505
│  ├─ TooManyRequests     the sender is above its rate; nothing was accepted          429
│  ├─ Busy                the sender must wait; nothing was accepted                  503
│  │  ├─ DatabaseBusy     another program has locked the journal or the catalog       503
│  │  │  └─ CatalogAway   the server of the catalog does not answer, or refuses       503
│  │  └─ QuestionStopped  a question took too long, or nobody waits for its answer    503
│  ├─ NotAccepting        we cannot store anything; nothing was accepted              503
│  │  └─ Deposed          another node does this now; nothing was changed             503
│  └─ OutcomeUnknown      a write or sync failed or hangs; send it again               503
├─ Unfinished             work in the background is left, since the service stops; nothing is lost
├─ BrokenOff              an answer that has begun cannot be finished; its connection is cut
└─ OperatorError          the operator must act; the text ends with what to do        exit 1
   ├─ SettingsError       a setting is unknown, of the wrong type, or out of range
   ├─ TooLittleMemory    the memory that the process may take is too little
   ├─ DevicesFileError    devices.csv cannot be used; names the line
   ├─ MetricsFileError    metrics.json cannot be used; names the place
   ├─ AlertsFileError     alerts.toml cannot be used; names the place
   ├─ DataFolderInUse     another process uses the data folder
   ├─ DamagedData         a file is not what fleetpulse wrote there
   │  ├─ DataVanished     a file is older than it was, or gone: acknowledged data is missing
   │  └─ Unreadable       the storage does not give a block now; it may be undamaged
   ├─ ForeignBlocks       journal, catalog and blocks are not of one data folder
   ├─ MovedAway           the data was moved elsewhere, or a move of it is not finished
   ├─ Outdated            a copy of the data folder was started later, and owns the blocks now
   ├─ StorageFailed       the disk is full, refuses or fails; the data is not damaged
   ├─ NotAnswered         a command cannot reach the service
   └─ CommandRefused      the service refused what a command asked for
"""

from typing import ClassVar

DATABASE_RETRY_S = 5
"""What Retry-After says while a database is locked: backups take seconds to minutes."""
DISK_RETRY_S = 5
"""What Retry-After says after a failed write, and while the disk is full or does not answer."""

JOURNAL_FULL = "journal_full"
"""The reason of refusals of events while a shared journal has room only for what empties it."""
READ_ONLY = "read_only"
"""The reason of a refusal that only a restart of the service ends."""


class FleetpulseError(Exception):
    """The root of the tree above."""


class Answerable(FleetpulseError):
    """An error with an HTTP answer. `reason` never changes: programs read it, and it is the label of the counter.

    `detail` is what to do, where `msg` does not say it.
    """

    status: ClassVar[int]
    title: ClassVar[str]
    reason: str

    def __init__(self, msg: str, *, reason: str, detail: str = "") -> None:
        super().__init__(msg)
        self.msg = msg
        self.reason = reason
        self.detail = detail or msg


class Refusal(Answerable):
    """The sender must change the request; sent again as it is, it is refused again."""


class Malformed(Refusal):
    """The body is not JSON, or does not have the shape that the route takes."""

    status = 400
    title = "Malformed request"

    def __init__(self, msg: str, *, reason: str = "malformed") -> None:
        super().__init__(msg, reason=reason)


class UnknownDevice(Refusal):
    """No such device is registered. The published contract fixes `msg`; `detail` says how to declare the device."""

    status = 404
    title = "Not found"

    def __init__(self, detail: str = "") -> None:
        super().__init__("Device not found", reason="unknown_device", detail=detail)


class WebPage(Refusal):
    """A browser asks on behalf of a web page, or ahead of time, where only a device or a person may."""

    status = 403
    title = "Forbidden"

    def __init__(self, msg: str) -> None:
        super().__init__(msg, reason="web_page")


class NotAcceptable(Refusal):
    """The client accepts no form in which the answer can be sent."""

    status = 406
    title = "Not acceptable"

    def __init__(self, msg: str) -> None:
        super().__init__(msg, reason="not_acceptable")


class NotFound(Refusal):
    """There is no such metric or maintenance window."""

    status = 404
    title = "Not found"


class Conflict(Refusal):
    """The change does not fit the present state: the thing exists already, or is not in the state to be ended."""

    status = 409
    title = "Conflict"


class RequestTimeout(Refusal):
    """The rest of the request did not arrive in time."""

    status = 408
    title = "Request timeout"


class TooLarge(Refusal):
    """The body is over its limit, as sent or after decompression."""

    status = 413
    title = "Content too large"


class UnsupportedMedia(Refusal):
    """The route does not take this content type or content coding."""

    status = 415
    title = "Unsupported media type"

    def __init__(self, msg: str) -> None:
        super().__init__(msg, reason="unsupported_media")


class OutOfRange(Refusal):
    """The request is well-formed, but a value is outside its limits. `setting`: the one that sets the limit, if any."""

    status = 422
    title = "Unprocessable content"

    def __init__(self, msg: str, *, reason: str = "", setting: str = "") -> None:
        super().__init__(msg, reason=reason or setting)
        self.setting = setting


class UnknownMetric(OutOfRange):
    """The request names metrics that have no definition; `names` lists them."""

    def __init__(self, msg: str, *, names: list[str]) -> None:
        super().__init__(msg, reason="unknown_metric")
        self.names = names


class TooDear(OutOfRange):
    """Working out the answer would need more memory than one question may take; `msg` says what would fit."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, setting="question_memory_max")


class HeaderTooLarge(Refusal):
    """The header has more bytes, or more fields, than the limit."""

    status = 431
    title = "Request header fields too large"


class UnsupportedCoding(Refusal):
    """The body is sent in a transfer coding that we cannot undo, so that we cannot tell where it ends."""

    status = 501
    title = "Not implemented"

    def __init__(self) -> None:
        super().__init__("the only Transfer-Encoding of this server is `chunked`, once", reason="transfer_coding")


class UnsupportedVersion(Refusal):
    """The request is of a version of HTTP that we do not speak."""

    status = 505
    title = "HTTP version not supported"

    def __init__(self) -> None:
        super().__init__("this server speaks HTTP only in the versions 1.1 and 1.0", reason="http_version")


class Busy(Answerable):
    """A limit on work in progress is reached: the sender should try again after `retry_after_s` seconds."""

    status = 503
    title = "Service unavailable"

    def __init__(self, msg: str, *, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(msg, reason=reason)
        self.retry_after_s = retry_after_s


class DatabaseBusy(Busy):
    """Another program has locked a database for longer than `database_wait_s`: nothing was written."""

    def __init__(self, msg: str, *, reason: str = "database_busy") -> None:
        super().__init__(msg, reason=reason, retry_after_s=DATABASE_RETRY_S)


class QuestionStopped(Busy):
    """Work on a question was stopped, since its time is over or its client is gone; it has changed nothing."""


class NotAccepting(Answerable):
    """The service cannot make anything durable (it is starting, read-only or stopping). Nothing was accepted.

    `retry_after_s`: when it probably can again; None where nobody knows.
    """

    status = 503
    title = "Service unavailable"

    def __init__(self, msg: str, *, reason: str, retry_after_s: int | None = None) -> None:
        super().__init__(msg, reason=reason)
        self.retry_after_s = retry_after_s


class Deposed(NotAccepting):
    """Another node has the lease, and so does what only one may do (`catalog/holding.py`). Nothing was changed."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg, reason="deposed", retry_after_s=1)


class OutcomeUnknown(Answerable):
    """A write or a sync failed, or has not ended in time: what was sent may have been stored, or not."""

    status = 503
    title = "Outcome unknown"

    def __init__(self, because: str) -> None:
        super().__init__(
            f"it is not known whether this was stored, since {because}: send it again, a repeat counts once",
            reason="outcome_unknown",
        )
        self.retry_after_s = DISK_RETRY_S


class Unfinished(FleetpulseError):
    """Work in the background, such as a checkpoint or a replay, is left, since the service stops. Nothing is lost."""


class BrokenOff(FleetpulseError):
    """An answer whose first bytes are sent cannot be finished. It must not look whole: its connection is cut."""


class OperatorError(FleetpulseError):
    """Ends the command with exit status 1. The text says what is wrong, where, and what to do."""


class SettingsError(OperatorError):
    """A setting is unknown, of the wrong type, or out of its range."""


class TooLittleMemory(OperatorError):
    """The process may take too little memory for what is to be loaded."""


class DevicesFileError(OperatorError):
    """devices.csv cannot be used; the text names the line."""


class MetricsFileError(OperatorError):
    """metrics.json cannot be used; the text names the place."""


class AlertsFileError(OperatorError):
    """alerts.toml cannot be used; the text names the place."""


class DataFolderInUse(OperatorError):
    """Another process uses the data folder."""


class DamagedData(OperatorError):
    """A file in the data folder, or in the block store, is not what fleetpulse wrote there."""


class DataVanished(DamagedData):
    """Journal or catalog are not as far as they certainly were: acknowledged data is missing."""


class Unreadable(DamagedData):
    """The storage does not give a block now. Answers miss it as they miss a damaged one, but it may be undamaged."""


class StorageFailed(OperatorError):
    """The disk is full, refuses an operation or fails. No data is damaged; `storage_causes.py` says what to do."""


class ForeignBlocks(OperatorError):
    """Journal, catalog and blocks are not of one data folder, or there are blocks that the catalog does not know."""


class MovedAway(OperatorError):
    """The data was moved elsewhere, or a move of it is not finished: no service may go on from it here."""


class Outdated(OperatorError):
    """Another service, with a copy of this data folder, has taken over the block store."""


class NotAnswered(OperatorError):
    """A command cannot reach the service, or the service broke off its answer."""


class CommandRefused(OperatorError):
    """The service refused what a command asked for; the text is the service's."""

    def __init__(self, msg: str, *, status: int) -> None:
        super().__init__(msg)
        self.status = status
