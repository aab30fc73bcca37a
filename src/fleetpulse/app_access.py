"""What `app` builds of access: the gate, and what stands behind it."""

from typing import Any, Literal

from fleetpulse.access.claim_roles import ClaimRoles, read_rules
from fleetpulse.access.daily_limit import DailyLimit
from fleetpulse.access.gate import Gate
from fleetpulse.access.login_throttle import LoginThrottle
from fleetpulse.access.rate import Rate
from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.access.rate_rules import RateRules
from fleetpulse.clock import Clock
from fleetpulse.errors import NotAccepting
from fleetpulse.model.units import NS_PER_S, S_PER_DAY
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.catalog_thread import CatalogThread
from fleetpulse.pipeline.enrolments import Enrolments
from fleetpulse.pipeline.issuer_settings import issuer_addresses, issuer_terms
from fleetpulse.pipeline.issuer_source import IssuerSource
from fleetpulse.pipeline.issuers import Issuers
from fleetpulse.pipeline.key_ring import KeyRing
from fleetpulse.pipeline.key_use import KeyUse
from fleetpulse.pipeline.lease import Lease
from fleetpulse.pipeline.people import People
from fleetpulse.pipeline.registry import Registry
from fleetpulse.pipeline.service import Stages, Stores
from fleetpulse.pipeline.sessions import Sessions
from fleetpulse.pipeline.shared_keys import SharedTokenKeys
from fleetpulse.pipeline.sign_in import SignIn
from fleetpulse.pipeline.token_key_file import TokenKeyFile
from fleetpulse.rate_settings import DailyLimits
from fleetpulse.server import is_loopback
from fleetpulse.settings import Settings
from fleetpulse.telemetry.counters import Counters

DailyName = Literal["registrations_per_day", "definitions_per_day", "enrolments_per_day"]
_DAILY: dict[DailyName, str] = {
    "registrations_per_day": "devices registered themselves",
    "definitions_per_day": "metrics were defined by reports",
    "enrolments_per_day": "devices enrolled",
}


def build_access(
    settings: Settings, stores: Stores, *, clock: Clock, catalog_thread: CatalogThread, registry: Registry, lease: Lease
) -> dict[str, Any]:
    """The gate and all that stands behind it, by the names that stages have."""
    rate_limits = build_rate_limits(settings, registry)
    gate = build_gate(settings, registry, stores.counters, rate_limits)
    key_ring = KeyRing(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        gate=gate,
        registry=registry,
        folder=stores.ownership.folder,
        keys_max=settings.keys_max,
    )
    sign_in = build_sign_in(settings, stores, clock, catalog_thread, registry=registry, gate=gate)
    enrolments = Enrolments(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        gate=gate,
        registry=registry,
        key_ring=key_ring,
        daily=daily_limit(settings, "enrolments_per_day", clock),
    )
    audit_log = AuditLog(
        catalog=stores.catalog,
        catalog_thread=catalog_thread,
        clock=clock,
        limits=settings,
        lease=lease,
        was_made=gate.keys.was_made,
    )
    gate.watchers.append(audit_log.watch)
    parts = {"rate_limits": rate_limits, "gate": gate, "key_ring": key_ring, "audit_log": audit_log}
    return {**parts, "enrolments": enrolments, **sign_in}


def build_rate_limits(settings: Settings, registry: Registry) -> RateLimits:
    """The rate limits. Raises: SettingsError: `rates` has something that is no rule."""
    rules = RateRules(settings.rates, has_labels=registry.roster.has_labels, id_of=registry.ids.__getitem__)
    return RateLimits(settings, rules)


def daily_limit(settings: DailyLimits, name: DailyName, clock: Clock) -> DailyLimit:
    """A limit a day by the name of its setting."""
    return DailyLimit(name, _DAILY[name], getattr(settings, name), now_ns=clock.now_ns)


def build_gate(settings: Settings, registry: Registry, counters: Counters, rate_limits: RateLimits) -> Gate:
    """The gate, which knows no keys yet."""
    gate = Gate(
        counters=counters,
        auth="off" if settings.insecure else settings.auth,
        is_at_machine=is_loopback(settings.host) and not (settings.trusted_proxies.strip() or settings.tls_client_ca),
        has_labels=registry.roster.has_labels,
        id_of=registry.ids.__getitem__,
        closed_by=NotAccepting("starting: the keys are being loaded", reason="starting", retry_after_s=1),
    )
    gate.take_key = rate_limits.take_key
    gate.watchers.append(
        lambda error, attempt: rate_limits.refusal_of_refused(error, attempt.address) if gate.is_protected else None
    )
    return gate


def build_sign_in(
    settings: Settings, stores: Stores, clock: Clock, catalog_thread: CatalogThread, *, registry: Registry, gate: Gate
) -> dict[str, Any]:
    """People, their sessions and how they sign in, by the names that stages have; `gate` knows them from then on."""
    catalog: dict[str, Any] = {"catalog": stores.catalog, "catalog_thread": catalog_thread, "clock": clock}
    sessions = Sessions(**catalog, limits=settings)
    people = People(**catalog, passwords=stores.threads.passwords, sessions=sessions, limits=settings)
    lives: dict[str, float] = {
        "renew_s": settings.token_key_days * S_PER_DAY,
        "keep_s": max(settings.refresh_token_s, settings.browser_session_s, settings.access_token_s),
    }
    if stores.catalog.is_shared:
        key_file: TokenKeyFile = SharedTokenKeys(stores.catalog, **lives)
    else:
        key_file = TokenKeyFile(stores.ownership.folder, **lives)
    throttle = LoginThrottle(
        Rate(settings.login_per_s, settings.login_burst), monotonic_s=lambda: clock.monotonic_ns() / NS_PER_S
    )
    sign_in = SignIn(
        clock=clock,
        people=people,
        sessions=sessions,
        key_file=key_file,
        throttle=throttle,
        limits=settings,
        counters=stores.counters,
    )
    issuers = _build_issuers(settings, stores, clock, catalog_thread, registry=registry, sign_in=sign_in)
    gate.verify_token, gate.verify_session = issuers.verify_token, sign_in.verify_session
    return {"token_keys": key_file, "people": people, "sessions": sessions, "sign_in": sign_in, "issuers": issuers}


def _build_issuers(
    settings: Settings,
    stores: Stores,
    clock: Clock,
    catalog_thread: CatalogThread,
    *,
    registry: Registry,
    sign_in: SignIn,
) -> Issuers:
    terms = issuer_terms(settings)
    sources = [
        IssuerSource(
            address,
            limits=settings,
            clock=clock,
            thread=stores.threads.issuers,
            catalog=stores.catalog,
            catalog_thread=catalog_thread,
            counters=stores.counters,
        )
        for address in issuer_addresses(settings)
    ]
    roles = ClaimRoles(
        rules=read_rules(settings.oidc_roles),
        role_claim=settings.oidc_role_claim,
        scope_claim=settings.oidc_scope_claim,
        name_claim=settings.oidc_name_claim,
    )
    return Issuers(
        sources,
        terms,
        own=sign_in.verify_token,
        roles=roles,
        registry=registry,
        clock=clock,
        leeway_s=settings.issuer_leeway_s,
    )


def build_key_use(settings: Settings, stages: Stages) -> KeyUse:
    """What writes down when keys were last used."""
    return KeyUse(
        catalog=stages.catalog,
        catalog_thread=stages.catalog_thread,
        gate=stages.gate,
        period_s=settings.key_use_s,
        monotonic_s=lambda: stages.clock.monotonic_ns() / NS_PER_S,
    )
