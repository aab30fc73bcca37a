"""The settings of identity providers, checked: where each is asked, and which of its tokens are for whom."""

from fleetpulse.access.issuer_tokens import IssuerTerms
from fleetpulse.errors import SettingsError
from fleetpulse.pipeline.issuer_reading import IssuerAddress
from fleetpulse.pipeline.issuers import DEVICES, PEOPLE
from fleetpulse.sign_in_limits import IssuerSettings


def issuer_addresses(settings: IssuerSettings) -> list[IssuerAddress]:
    """The issuers that are configured, each once. Raises: SettingsError: one cannot be asked."""
    found: dict[str, IssuerAddress] = {}
    given = (
        ("oidc_issuer", settings.oidc_issuer, settings.oidc_keys_url),
        ("device_issuer", settings.device_issuer, settings.device_keys_url),
    )
    for name, issuer, keys_url in given:
        if not issuer:
            continue
        address = IssuerAddress(
            issuer=issuer,
            keys_url=keys_url,
            timeout_s=settings.issuer_timeout_s,
            bytes_max=settings.issuer_bytes_max,
            allows_http=settings.issuer_allow_http,
        )
        address.check(name)
        if found.setdefault(issuer, address) != address:
            raise SettingsError(
                "oidc_issuer and device_issuer are the same: give oidc_keys_url and device_keys_url alike"
            )
    return list(found.values())


def issuer_terms(settings: IssuerSettings) -> dict[str, dict[str, IssuerTerms]]:
    """By issuer, which of its tokens are for PEOPLE and which for DEVICES. Raises: SettingsError: some has no audience.

    Tokens of people and of devices differ by their audience, so a person never becomes the device of the same name.
    """
    people, devices = settings.oidc_issuer, settings.device_issuer
    if people and not settings.oidc_audience:
        raise SettingsError("oidc_issuer needs oidc_audience: a token for another service must not be good here")
    if devices and not settings.device_audience:
        raise SettingsError("device_issuer needs device_audience: a token for another service must not be good here")
    if people and not settings.oidc_roles.strip():
        raise SettingsError(
            "oidc_issuer needs oidc_roles, such as `admins=admin; *=read`: without one nobody may do anything"
        )
    if people and people == devices and settings.oidc_audience == settings.device_audience:
        raise SettingsError(
            "oidc_audience and device_audience of the same issuer must differ: else a person could be a device"
        )
    found: dict[str, dict[str, IssuerTerms]] = {}
    if people:
        found.setdefault(people, {})[PEOPLE] = IssuerTerms(people, settings.oidc_audience, "oidc_audience")
    if devices:
        found.setdefault(devices, {})[DEVICES] = IssuerTerms(devices, settings.device_audience, "device_audience")
    return found
