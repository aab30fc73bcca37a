from typing import Any

import pytest

from fleetpulse.ingest.client_certificate import certified_device, device_in
from stub_transport import StubTransport

SUBJECT = ((("countryName", "FR"),), (("commonName", "press-07"),))


@pytest.mark.parametrize(
    ("certificate", "device"),
    [
        ({}, ""),
        ({"subject": SUBJECT}, "press-07"),
        ({"subject": SUBJECT, "subjectAltName": (("DNS", "press-08"),)}, "press-08"),
        ({"subject": SUBJECT, "subjectAltName": (("IP Address", "192.0.2.7"), ("DNS", "press-08"))}, "press-08"),
        ({"subject": SUBJECT, "subjectAltName": (("IP Address", "192.0.2.7"),)}, "press-07"),
        ({"subject": SUBJECT, "subjectAltName": (("DNS", "press-07"), ("DNS", "press-08"))}, ""),
        ({"subject": (*SUBJECT, (("commonName", "press-08"),))}, ""),
        ({"subject": ((("commonName", "press 07"),),)}, ""),
        ({"subject": ((("commonName", ""),),)}, ""),
        ({"subjectAltName": (("DNS", "*.example"),)}, ""),
        ({"subjectAltName": (("URI", "press-07"), ("email", "press-07"))}, ""),
    ],
)
def test_a_certificate_names_at_most_one_device(certificate: dict[str, Any], device: str) -> None:
    assert device_in(certificate) == device


def test_a_connection_without_a_certificate_names_none() -> None:
    assert certified_device(StubTransport()) == ""
