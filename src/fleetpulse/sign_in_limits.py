"""The settings of people, sessions and issuers, which `pipeline/sign_in.py` and others take as groups."""

from dataclasses import dataclass

from fleetpulse.limits import setting


@dataclass(frozen=True, kw_only=True)
class SignInLimits:
    """People and sessions."""

    people_max: int = setting(10_000, "People who may sign in; beyond it, 422.", "people", 1, 1_000_000)
    password_chars_least: int = setting(12, "Shortest password; a shorter one is refused (422).", "characters", 8, 128)
    access_token_s: int = setting(
        600, "Time that an access token is valid; after it, a refresh token gives the next one.", "s", 10, 86_400
    )
    refresh_token_s: int = setting(
        2_592_000, "Time after signing in over HTTP until a person must sign in again.", "s", 60, 31_536_000
    )
    browser_session_s: int = setting(
        43_200, "Time after signing in with a browser until a person must sign in again.", "s", 60, 31_536_000
    )
    browser_idle_s: int = setting(
        3_600, "Time without a request of a browser after which its session has ended.", "s", 60, 31_536_000
    )
    sessions_per_person_max: int = setting(
        16, "Sessions of one person; beyond it, the oldest one ends.", "sessions", 1, 1_000
    )
    logins_waiting_max: int = setting(
        32, "Passwords that wait to be hashed; beyond it, 503 with Retry-After.", "passwords", 1, 10_000
    )
    login_per_s: float = setting(
        0.1,
        "Wrong passwords of an address, or of a name at new addresses; beyond it, 429 `login_rate`. 0: any number.",
        "a second",
        0,
        1e5,
    )
    login_burst: int = setting(10, "Wrong passwords that may come at once.", "passwords", 1, 10_000_000)
    login_refusal_s: float = setting(
        1.0, "Time until a try to sign in is told that it is above a limit, so that who floods waits.", "s", 0, 60
    )
    token_key_days: int = setting(
        30, "Days after which tokens are signed with a new key; the old one is kept for those it signed.", "days", 1
    )


@dataclass(frozen=True, kw_only=True)
class IssuerSettings:
    """Identity provider."""

    oidc_issuer: str = setting("", "URL of the OpenID provider whose tokens people and programs show; empty: none.")
    oidc_audience: str = setting("", "Audience (`aud`) that its tokens for this service have.")
    oidc_keys_url: str = setting("", "URL of its keys (JWKS); empty: the provider's discovery tells it.")
    oidc_role_claim: str = setting("groups", "Claim that oidc_roles looks at, such as groups or realm_access.roles.")
    oidc_roles: str = setting(
        "", "Role, and perhaps scope, by value of that claim: `admins=admin; paris=read site:paris`; first match wins."
    )
    oidc_scope_claim: str = setting("", "Claim with labels name:value that narrow the scope; empty: none does.")
    oidc_name_claim: str = setting("preferred_username", "Claim with a name for people to read; `sub` where it lacks.")
    device_issuer: str = setting("", "URL of the issuer of tokens of devices, whose `sub` is the id; empty: none.")
    device_audience: str = setting("", "Audience (`aud`) that its tokens of devices have.")
    device_keys_url: str = setting("", "URL of its keys (JWKS); empty: its discovery tells it.")
    issuer_leeway_s: int = setting(60, "How far an issuer's clock may be from ours.", "s", 0, 3_600)
    issuer_keys_s: int = setting(300, "Time after which an issuer's keys are asked for again.", "s", 1, 86_400)
    issuer_keys_stale_s: int = setting(
        86_400, "Time that known keys are good while their issuer does not answer; after it, 503.", "s", 1, 31_536_000
    )
    issuer_retry_s: float = setting(
        10.0, "Time between two questions to an issuer, whatever keys tokens name.", "s", 0.1, 3_600
    )
    issuer_timeout_s: float = setting(5.0, "Time that an issuer may take to answer.", "s", 0.1, 60)
    issuer_bytes_max: int = setting(262_144, "Size of an issuer's answer; beyond it, it is not used.", "bytes", 1_024)
    issuer_allow_http: bool = setting(
        default=False, text="Ask issuers by plain HTTP, too, on other machines: whoever is on the way can be anybody."
    )
