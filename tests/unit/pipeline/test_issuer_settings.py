"""Settings of identity providers that would let in whom nobody means are refused at the start."""

import pytest

from fleetpulse.errors import SettingsError
from fleetpulse.pipeline.issuer_settings import issuer_addresses, issuer_terms
from fleetpulse.sign_in_limits import IssuerSettings

URL = "https://id.example"
PEOPLE = {"oidc_issuer": URL, "oidc_audience": "fleetpulse", "oidc_roles": "*=read"}
DEVICES = {"device_issuer": URL, "device_audience": "presses"}


def test_one_issuer_may_be_that_of_people_and_of_devices() -> None:
    settings = IssuerSettings(**PEOPLE, **DEVICES)
    assert [address.issuer for address in issuer_addresses(settings)] == [URL]
    assert set(issuer_terms(settings)[URL]) == {"people", "devices"}
    assert issuer_addresses(IssuerSettings()) == []
    assert issuer_terms(IssuerSettings()) == {}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9400", "http://localhost", "http://[::1]:1/x", "https://x/realms/a"])
def test_what_may_be_asked(url: str) -> None:
    assert issuer_addresses(IssuerSettings(oidc_issuer=url))


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example",
        "http://127.0.0.1.evil.example",
        "http://localhost@evil.example",
        "https://user:secret@id.example",
        "ftp://id.example",
        "id.example",
        "https://",
        "https://id.example/#x",
        "https://id.example:99999",
        "file:///etc/passwd",
    ],
)
def test_what_must_not_be_asked(url: str) -> None:
    for settings in (IssuerSettings(oidc_issuer=url), IssuerSettings(oidc_issuer=URL, oidc_keys_url=url)):
        with pytest.raises(SettingsError, match=r"oidc_(issuer|keys_url): "):
            issuer_addresses(settings)
    with pytest.raises(SettingsError, match="device_issuer: "):
        issuer_addresses(IssuerSettings(device_issuer=url))


def test_plain_http_is_asked_where_people_say_so() -> None:
    assert issuer_addresses(IssuerSettings(oidc_issuer="http://id.example", issuer_allow_http=True))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({**PEOPLE, "oidc_audience": ""}, "oidc_audience"),
        ({**PEOPLE, "oidc_roles": " "}, "oidc_roles"),
        ({**DEVICES, "device_audience": ""}, "device_audience"),
        ({**PEOPLE, **DEVICES, "device_audience": "fleetpulse"}, "must differ"),
    ],
)
def test_an_issuer_needs_an_audience_of_ours(settings: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        issuer_terms(IssuerSettings(**settings))


def test_one_issuer_has_its_keys_in_one_place() -> None:
    with pytest.raises(SettingsError, match="alike"):
        issuer_addresses(IssuerSettings(**PEOPLE, **DEVICES, device_keys_url="https://id.example/keys"))
