"""The settings of telemetry: what the service says about itself, and to whom."""

from dataclasses import dataclass

from fleetpulse.limits import setting


@dataclass(frozen=True, kw_only=True)
class TelemetrySettings:
    """Telemetry."""

    request_telemetry: bool = setting(
        default=True, text="Measure the reports that the front door answers; other requests are always measured."
    )
    fleet_figures_s: float = setting(
        60.0, "How often figures of the fleet are worked out for /metrics, at most; 0: never.", "s", 0, 86_400
    )
    fleet_figures_windows: str = setting(
        "1h,24h,7d", "Windows of the fleet's uptime on /metrics, each of which ends now, with commas between."
    )
    fleet_figures_labels: str = setting(
        "", "Labels by whose values /metrics shows devices and uptime, such as site,line; empty: none."
    )
    fleet_figures_values_max: int = setting(
        100, "Values of each of these labels that are shown, those of most devices; others are counted.", "values", 1
    )
    sd_targets_max: int = setting(
        100_000, "Devices in one answer of the service discovery of Prometheus; beyond it, 422.", "devices", 1
    )
    heartbeat_url: str = setting(
        "", "Address that is asked (GET) while events are accepted, and tells people when that stops; empty: none."
    )
    heartbeat_url_s: float = setting(60.0, "Time between two such pings.", "s", 1, 86_400)
    badges_max: int = setting(
        1_000, "Badges with tokens of their own; beyond it, making one is refused (422).", "badges", 1
    )
    otel_endpoint: str = setting(
        "", "Address of a collector of OpenTelemetry by HTTP, such as http://127.0.0.1:4318; empty: nothing is sent."
    )
    otel_interval_s: float = setting(60.0, "Time between two messages with metrics to it.", "s", 1, 86_400)
    otel_trace_ratio: float = setting(
        0.01,
        "Share of requests and commits that are sent to it as spans, unless a request names its own trace.",
        "",
        0,
        1,
    )
