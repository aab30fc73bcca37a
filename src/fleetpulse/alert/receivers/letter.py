"""A message as a sender gets it: with its text, and with the secrets of the receiver, which are nowhere else."""

from typing import NamedTuple

from fleetpulse.alert.message_text import Links, Text
from fleetpulse.alert.receivers.http_post import OpenSockets
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver


class Terms(NamedTuple):
    """What holds for a try: its time, and whether addresses of the own network may be connected to.

    `resend_s`: how often alerts are handed to an Alertmanager again. `sockets`: where connections are noted.
    """

    timeout_s: float
    allows_private: bool
    resend_s: float = 60.0
    sockets: OpenSockets | None = None


class Letter(NamedTuple):
    """What is sent. `url` and `secret` are those of the receiver, read from their files where it names files."""

    message: Message
    receiver: Receiver
    url: str
    secret: str
    text: Text
    links: Links
    at_ns: int

    def __repr__(self) -> str:
        """Without URL and secret: it may come into a log."""
        return f"Letter({self.message.key!r})"
