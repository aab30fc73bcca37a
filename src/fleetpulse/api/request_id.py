"""The id of a request, by which its answer, the log and the audit log belong together."""

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from fleetpulse.key_shape import without_secrets

HEADER = b"x-request-id"
_SCOPE_NAME = "fleetpulse.request_id"
_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,64}")


def give_id(scope: Any) -> str:
    """Give a request its id: the one that the client or a proxy sent, where it is plain and short, or a new one."""
    sent = _sent_in(scope["headers"])
    scope[_SCOPE_NAME] = found = secrets.token_hex(8) if sent is None else sent
    return found


def _sent_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    sent = [value for name, value in headers if name == HEADER]
    if len(sent) != 1 or not _SANE.fullmatch(sent[0]):
        return None
    text = sent[0].decode()
    return text if without_secrets(text) == text else None


def request_id_of(scope: Mapping[str, Any]) -> str:
    """The id of a request; empty where it was given none."""
    return str(scope.get(_SCOPE_NAME, ""))
