"""What `app` builds of telemetry: what the service says about itself by itself."""

from fleetpulse.errors import SettingsError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.notation.duration import parse_length
from fleetpulse.pipeline.badges import Badges
from fleetpulse.pipeline.dead_man import DeadMan, check_url
from fleetpulse.pipeline.fleet_figures import FleetFigures, FleetFiguresSettings
from fleetpulse.pipeline.otel_rounds import OtelRounds
from fleetpulse.pipeline.readiness import Readiness
from fleetpulse.pipeline.service import Stages
from fleetpulse.pipeline.telemetry_rounds import TelemetryRounds
from fleetpulse.settings import Settings

WINDOWS_MAX = 8
"""Each is worked out by itself."""


def build_telemetry_rounds(settings: Settings, stages: Stages, readiness: Readiness) -> TelemetryRounds:
    """What telemetry does by itself. Raises: SettingsError."""
    if settings.heartbeat_url:
        check_url(settings.heartbeat_url, name="heartbeat_url")
    return TelemetryRounds(
        counters=stages.counters,
        fleet_figures=_build_fleet_figures(settings, stages),
        dead_man=DeadMan(url=settings.heartbeat_url, every_s=settings.heartbeat_url_s, readiness=readiness),
        otel=_build_otel(settings),
    )


def _build_otel(settings: Settings) -> OtelRounds:
    """Raises: SettingsError: the address is none, or the packages are not there."""
    if not settings.otel_endpoint:
        return OtelRounds(sender=None, every_s=settings.otel_interval_s)
    check_url(settings.otel_endpoint, name="otel_endpoint")
    try:
        from fleetpulse.telemetry.otel import Otel  # noqa: PLC0415  # an extra: its packages need not be there
    except ModuleNotFoundError as error:
        raise SettingsError(
            "otel_endpoint needs packages that are not there: pip install 'fleetpulse[otel]'"
        ) from error
    sender = Otel(settings.otel_endpoint, trace_ratio=settings.otel_trace_ratio)
    return OtelRounds(sender=sender, every_s=settings.otel_interval_s)


def _build_fleet_figures(settings: Settings, stages: Stages) -> FleetFigures:
    """Figures of the fleet for /metrics. Raises: SettingsError: a window is none."""
    chosen = FleetFiguresSettings(
        every_s=settings.fleet_figures_s,
        windows_ns=_windows_ns(settings),
        labels=tuple(_words(settings.fleet_figures_labels)),
        values_max=settings.fleet_figures_values_max,
    )
    return FleetFigures(clock=stages.clock, questions=stages.questions, settings=chosen)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _windows_ns(settings: Settings) -> dict[str, int]:
    words = _words(settings.fleet_figures_windows)
    try:
        windows_ns = {word: parse_length(word) * NS_PER_S for word in words}
    except ValueError as error:
        raise SettingsError(f"fleet_figures_windows: {error}") from error
    days_max = settings.window_days_max
    if len(windows_ns) > WINDOWS_MAX or not all(0 < one <= days_max * 86_400 * NS_PER_S for one in windows_ns.values()):
        raise SettingsError(
            f"fleet_figures_windows must be at most {WINDOWS_MAX} windows, each of 1s to {days_max}d (window_days_max)"
        )
    return windows_ns


def build_badges(settings: Settings, stages: Stages) -> Badges:
    """Badges, and their tokens."""
    return Badges(
        catalog=stages.catalog,
        catalog_thread=stages.catalog_thread,
        clock=stages.clock,
        registry=stages.registry,
        questions=stages.questions,
        badges_max=settings.badges_max,
    )
