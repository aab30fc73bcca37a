"""One try to deliver a message: reads the receiver's secrets, makes the text, and calls the sender of its kind.

Blocks: it runs in the threads of deliveries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from fleetpulse.alert.acknowledge_link import LIFE_S, NUMBERS_MAX, LinkTerms, make_token
from fleetpulse.alert.message_text import Links, Text, text_of
from fleetpulse.alert.receivers import alertmanager, webhook
from fleetpulse.alert.receivers.apprise_sender import AppriseSender
from fleetpulse.alert.receivers.http_post import OpenSockets
from fleetpulse.alert.receivers.letter import Letter, Terms
from fleetpulse.alert.receivers.outcome import Outcome, failed
from fleetpulse.alert_settings import DeliverySettings
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver, check_receiver_url
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.link_key_file import LinkKeyFile

log = structlog.get_logger("deliveries")
_SECRET_BYTES_MAX = 65_536
ACKNOWLEDGE_PATH = "/alerts/acknowledge"


class SecretMissing(Exception):
    """A file with the URL or the secret of a receiver cannot be used; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class Sending:
    """Tries to deliver messages. `now_ns`: the time of the service."""

    limits: DeliverySettings
    link_key: LinkKeyFile
    apprise: AppriseSender
    now_ns: Callable[[], int]
    sockets: OpenSockets = field(default_factory=OpenSockets)

    def close(self) -> None:
        """End all tries that are under way: they fail."""
        self.sockets.close()
        self.apprise.close()

    def send(self, message: Message, receiver: Receiver, *, lost: int = 0) -> Outcome:
        """Try once. Blocks. Args: lost: how many earlier messages to the receiver were given up."""
        try:
            letter = self.letter(message, receiver, lost=lost)
        except SecretMissing as error:
            return failed(str(error))
        if letter.text.trouble:
            log.error("a template failed; the built-in text is sent", receiver=receiver.name, error=letter.text.trouble)
        if receiver.kind == "webhook":
            return webhook.send(letter, self.terms(receiver))
        if receiver.kind == "alertmanager":
            return alertmanager.send(letter, self.terms(receiver))
        return self.apprise.send(letter, self.terms(receiver))

    def resend(self, receiver: Receiver, alerts: Sequence[Mapping[str, Any]]) -> Outcome:
        """Try once to hand alerts to an Alertmanager that it has already, so that they do not end there. Blocks."""
        try:
            url, _ = read_secrets(receiver)
        except SecretMissing as error:
            return failed(str(error))
        return alertmanager.send_alerts(url, alerts, key=f"resend-{self.now_ns()}", terms=self.terms(receiver))

    def letter(self, message: Message, receiver: Receiver, *, lost: int = 0) -> Letter:
        """The message as it is sent. Raises: SecretMissing."""
        url, secret = read_secrets(receiver)
        links = self.links(message, receiver.name)._replace(lost=lost)
        return Letter(message, receiver, url, secret, text_of(message, receiver, links), links, self.now_ns())

    def preview(self, message: Message, receiver: Receiver) -> Text:
        """The text that a message would have; its link acknowledges nothing."""
        base = self.limits.external_url.rstrip("/")
        return text_of(message, receiver, Links(base, f"{base}{ACKNOWLEDGE_PATH}?token=…" if base else ""))

    def links(self, message: Message, receiver: str) -> Links:
        """The links of a message; none where the service does not know its own address."""
        base = self.limits.external_url.rstrip("/")
        numbers = tuple(alert.number for alert in message.alerts if alert.state == "firing" and alert.number)
        if not base or message.kind == "resolved" or not numbers:
            return Links(base)
        incident = 0 if message.cause is None else message.cause.incident
        expires_s = message.at_ns // NS_PER_S + LIFE_S
        terms = LinkTerms(receiver, expires_s, incident, numbers[:NUMBERS_MAX], message.key)
        return Links(base, f"{base}{ACKNOWLEDGE_PATH}?token={make_token(self.link_key.key(), terms)}")

    def terms(self, receiver: Receiver) -> Terms:
        """What holds for tries at this receiver."""
        allows_private = receiver.allows_private or self.limits.receivers_private
        limits = self.limits
        return Terms(limits.delivery_timeout_s, allows_private, limits.alertmanager_resend_s, self.sockets)


def read_secrets(receiver: Receiver) -> tuple[str, str]:
    """(URL, secret) of a receiver, from their files where it names files. Blocks. Raises: SecretMissing."""
    url, secret = receiver.url, receiver.secret
    if receiver.url_file:
        url = _read("url_file", receiver.url_file)
        try:
            check_receiver_url(receiver.kind, url)
        except ValueError as error:
            raise SecretMissing(f"what the file {receiver.url_file} has is no URL of a receiver: {error}") from error
    if receiver.secret_file:
        secret = _read("secret_file", receiver.secret_file)
    return url, secret


def _read(field: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            content = file.read(_SECRET_BYTES_MAX + 1)
        text = content.decode().strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SecretMissing(f"{field}: the file {path} cannot be read: {reason}") from error
    if not text or len(content) > _SECRET_BYTES_MAX:
        raise SecretMissing(f"{field}: the file {path} is empty, or too large for a secret")
    return text
