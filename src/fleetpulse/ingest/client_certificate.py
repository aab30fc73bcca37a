"""Which device a client certificate names, once TLS has verified it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fleetpulse.model.device import is_device_id

CERTIFIED = "fleetpulse.certified"
"""The name under which the ASGI scope has the id of the device that a certificate names; "" without one."""


def certified_device(transport: asyncio.BaseTransport) -> str:
    """The id of the device that the peer has a certificate for; "" where it showed none that names a device."""
    return device_in(transport.get_extra_info("peercert") or {})


def device_in(certificate: Mapping[str, Any]) -> str:
    """The id that a certificate gives, as `ssl` decodes it: its only DNS name, or the common name where it has none.

    Several DNS names name no device: which of them is meant nobody could tell.
    """
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not names:
        names = [value for part in certificate.get("subject", ()) for name, value in part if name == "commonName"]
    return names[0] if len(names) == 1 and is_device_id(names[0]) else ""
