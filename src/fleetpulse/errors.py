"""Every error of ours, sorted by who must act.

FleetpulseError
├─ Refusal                the sender must change something; nothing was accepted      4xx
│  ├─ Malformed           not the JSON, or not the shape, that was asked for          400
│  ├─ UnknownDevice       no such device is registered                                404
│  ├─ NotFound            no such thing of another kind                               404
│  ├─ Conflict            not in the state that was taken for granted                 409
│  ├─ Late                the rest of the request did not come in time                408
│  ├─ TooLarge            body, decompressed body or ratio over its limit             413
│  ├─ UnsupportedMedia    content type or coding we do not take                       415
│  ├─ OutOfRange          understood, but a value is outside what is believed         422
│  │  └─ UnknownMetric    a metric that nobody has defined                            422
│  └─ HeaderTooLarge      header bytes or count over its limit                        431
├─ Busy                   the sender must wait; nothing was accepted                  503
├─ NotAccepting           we failed; nothing was accepted                             503
└─ OperatorError          the operator must act; the text ends with what to do        exit 1
   ├─ SettingsError       a setting is unknown or out of its range
   ├─ DevicesFileError    devices.csv cannot be used; names the line
   ├─ MetricsFileError    metrics.json cannot be used; says where
   ├─ NotAnswered         a command's service cannot be asked
   ├─ Refused             a command's service refused
   ├─ DataFolderInUse     another process holds the data folder
   └─ DamagedData         journal, snapshot, block or manifest is not what was written
"""

from typing import ClassVar


class FleetpulseError(Exception):
    """Root of the tree above."""


class Answerable(FleetpulseError):
    """An error with an HTTP answer. `reason` is a stable slug, also the label of its counter."""

    status: ClassVar[int]
    title: ClassVar[str]
    reason: str

    def __init__(self, msg: str, *, reason: str) -> None:
        super().__init__(msg)
        self.msg = msg
        self.reason = reason


class Refusal(Answerable):
    """The sender must change something."""


class Malformed(Refusal):
    """The body is not the JSON, or not the shape, that the route takes."""

    status = 400
    title = "Malformed request"

    def __init__(self, msg: str, *, reason: str = "malformed") -> None:
        super().__init__(msg, reason=reason)


class UnknownDevice(Refusal):
    """No such device is registered. The text is fixed by the published contract."""

    status = 404
    title = "Not found"

    def __init__(self) -> None:
        super().__init__("Device not found", reason="unknown_device")


class NotFound(Refusal):
    """There is no such metric or maintenance window."""

    status = 404
    title = "Not found"


class Conflict(Refusal):
    """What is asked for does not fit what is: it is there already, or not in that state."""

    status = 409
    title = "Conflict"


class RequestTimeout(Refusal):
    """The rest of the request did not come in time."""

    status = 408
    title = "Request timeout"


class TooLarge(Refusal):
    """A body over its limit, on the wire or decompressed."""

    status = 413
    title = "Content too large"


class UnsupportedMedia(Refusal):
    """A content type or coding that the route does not take."""

    status = 415
    title = "Unsupported media type"

    def __init__(self, msg: str) -> None:
        super().__init__(msg, reason="unsupported_media")


class OutOfRange(Refusal):
    """Understood, but a value is outside what is believed."""

    status = 422
    title = "Unprocessable content"


class UnknownMetric(OutOfRange):
    """A metric that nobody has defined; `names` are those."""

    def __init__(self, msg: str, *, names: list[str]) -> None:
        super().__init__(msg, reason="unknown_metric")
        self.names = names


class HeaderTooLarge(Refusal):
    """Header bytes or header count over the limit."""

    status = 431
    title = "Request header fields too large"


class Busy(Answerable):
    """Too much is waiting for the disk: come back in `retry_after_s`."""

    status = 503
    title = "Service unavailable"

    def __init__(self, msg: str, *, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(msg, reason=reason)
        self.retry_after_s = retry_after_s


class NotAccepting(Answerable):
    """We cannot make anything durable (starting, read-only, stopping): nothing was accepted."""

    status = 503
    title = "Service unavailable"


class OperatorError(FleetpulseError):
    """Ends the command with exit status 1; the text says what was wrong, where, and what to do."""


class SettingsError(OperatorError):
    """A setting is unknown, of the wrong type, or out of its range."""


class DevicesFileError(OperatorError):
    """devices.csv cannot be used as it is."""


class MetricsFileError(OperatorError):
    """metrics.json cannot be used as it is."""


class DataFolderInUse(OperatorError):
    """Another process holds the data folder."""


class DamagedData(OperatorError):
    """Something on disk is not what was written there."""


class NotAnswered(OperatorError):
    """The service cannot be reached, or broke off."""


class Refused(OperatorError):
    """The service answered that it will not; the text is its own."""

    def __init__(self, msg: str, *, status: int) -> None:
        super().__init__(msg)
        self.status = status
