"""The settings of alerts and of messages about them, which the stages take as groups; see `limits.py`."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from fleetpulse.errors import SettingsError
from fleetpulse.limits import setting


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """Alerts."""

    alert_interval_s: float = setting(1.0, "Time between two rounds in which rules are looked at.", "s", 0.05, 3_600)
    alerts_open_max: int = setting(
        200_000, "Alerts that are open at the same time; messages say how many more there are.", "alerts", 1, 10_000_000
    )
    alert_retention_days: int = setting(
        400, "Days that alerts, incidents and silences are kept after they ended; 0: for ever.", "days", 0, 36_500
    )
    blind_notice_s: float = setting(
        60.0, "Time without service from which on people are told of it, once it is back.", "s", 0, 604_800
    )
    common_cause_wait_s: float = setting(
        60.0,
        "Time that the first message about a device with labels waits for a common cause; 0: incidents are not sought.",
        "s",
        0,
        3_600,
    )
    common_cause_within_s: float = setting(
        60.0, "Devices that go down within this time may have a common cause.", "s", 1, 3_600
    )
    common_cause_share: float = setting(
        0.5, "Share of the devices with the same value of a label that makes an incident.", "", 0.01, 1
    )
    common_cause_count: int = setting(3, "Devices that make an incident, at least.", "devices", 2, 1_000_000)
    flap_times: int = setting(3, "An alert that fires so often within flap_within_s is flapping.", "times", 2, 10)
    flap_within_s: float = setting(3_600.0, "See flap_times.", "s", 1, 604_800)
    flap_quiet_s: float = setting(
        1_800.0, "Time without firing after which a flapping alert has ended.", "s", 1, 604_800
    )


@dataclass(frozen=True, kw_only=True)
class ConditionSettings:
    """Conditions of alert rules."""

    alert_metric_interval_s: int = setting(
        60,
        "Time between two looks at rules about metrics; their windows end at whole multiples of it. Windows of more "
        "than 6 hours are looked at every sixtieth of them.",
        "s", 5, 3_600,
    )  # fmt: skip
    alert_uptime_interval_s: int = setting(300, "Time between two looks at rules about uptime.", "s", 60, 86_400)
    alert_samples_max: int = setting(
        20_000_000,
        "Samples of a metric that rules hold while they look at windows; beyond it, figures are made of roll-ups.",
        "samples", 1_000, 1_000_000_000,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RuleLimits:
    """Alert rules."""

    alert_rules_max: int = setting(500, "Rules of alerts; beyond it, 422.", "rules", 1, 10_000)
    alert_rule_chars_max: int = setting(
        8_000,
        "Characters of the condition, owner, labels and annotations of a rule together; beyond it, 422.",
        "characters", 100, 100_000,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class DeskLimits:
    """What people do with alerts."""

    silences_max: int = setting(1_000, "Silences that have not ended; beyond it, 422.", "silences", 1, 100_000)
    quiet_days_max: int = setting(
        90, "Days that a silence lasts, and that an alert is snoozed; beyond it, 422.", "days", 1, 3_650
    )
    alert_notes_max: int = setting(1_000, "Entries in the log of an alert; beyond it, 422.", "entries", 10, 100_000)


@dataclass(frozen=True, kw_only=True)
class DeliverySettings:
    """Messages."""

    external_url: str = setting(
        "", "Address under which people reach this service, for links in messages, such as https://fleet.example.org."
    )
    outbox_max: int = setting(
        100_000, "Messages that wait for delivery; beyond it, reminders are left out first, and that is said.",
        "messages", 100, 10_000_000,
    )  # fmt: skip
    delivery_timeout_s: float = setting(10.0, "Time of a try to deliver a message.", "s", 0.1, 300)
    delivery_retry_s: float = setting(
        5.0, "Time to the second try; it doubles with each further one, up to 15 minutes.", "s", 0.1, 3_600
    )
    delivery_give_up_h: float = setting(
        72.0, "Time after which a message that cannot be delivered becomes a dead letter.", "h", 0.01, 8_760
    )
    delivery_refusals_max: int = setting(
        5,
        "Tries after which a message that the receiver refuses as it is (4xx) becomes a dead letter.",
        "tries",
        1,
        1_000,
    )
    deliveries_at_once_max: int = setting(
        8, "Receivers that are tried at the same time; further ones wait.", "receivers", 1, 256
    )
    apprise_at_once_max: int = setting(
        3, "Of these, receivers by Apprise: each try is a process of some 60 MB; further ones wait.", "processes", 1, 64
    )
    outbox_kept_max: int = setting(
        10_000, "Delivered messages that are kept to be looked at, and as many dead letters.", "messages", 0, 1_000_000
    )
    receivers_max: int = setting(500, "Receivers, and as many routes; beyond it, 422.", "receivers", 1, 10_000)
    receivers_private: bool = setting(
        default=False, text="Let every receiver be an address of a private network or of this machine."
    )
    receiver_files: str = setting(
        "", "Folder of files that URLs of Apprise may name, such as keys; empty: they may name none."
    )
    alertmanager_resend_s: float = setting(
        60.0,
        "How often alerts that fire are handed to an Alertmanager again; there they end after 4 times.",
        "s",
        1,
        3_600,
    )
    message_alerts_max: int = setting(
        20, "Alerts that a message lists; it also says how many there are.", "alerts", 1, 1_000
    )

    def __post_init__(self) -> None:
        """Raises: SettingsError: `external_url` is no address that messages can link to."""
        check_external_url(self.external_url)


def check_external_url(url: str) -> None:
    """Raises: SettingsError: the address is none that messages can link to."""
    try:
        parts = urlsplit(url)
        is_right = not url or (parts.scheme in ("http", "https") and bool(parts.hostname))
        is_right = is_right and not (parts.query or parts.fragment or parts.username) and url.isprintable()
    except ValueError:
        is_right = False
    if not is_right or " " in url:
        raise SettingsError(f"external_url must be an address such as https://fleet.example.org, not `{url[:100]}`")
