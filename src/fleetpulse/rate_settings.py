"""The settings of rate limits and of daily limits, which `access` takes as a group; see `limits.py`."""

from dataclasses import dataclass

from fleetpulse.limits import setting


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """Rate limits."""

    device_per_s: float = setting(
        2.0, "Reports that a device may send for long; beyond it, 429 `device_rate`. 0: any number.", "a second", 0, 1e5
    )
    device_burst: int = setting(3_000, "Reports that a rested device may send at once.", "reports", 1, 10_000_000)
    backlog_per_s: float = setting(
        10.0,
        "Reports older than backlog_after_s that a device may send besides; beyond it, 429 `backlog_rate`. 0: any.",
        "a second",
        0,
        1e5,
    )
    backlog_burst: int = setting(
        10_000, "Such reports that a rested device may send at once.", "reports", 1, 10_000_000
    )
    ingest_key_per_s: float = setting(
        20_000.0, "Requests with one key of the role ingest; beyond it, 429 `key_rate`. 0: any number.", "a second", 0,
        1e5,
    )  # fmt: skip
    ingest_key_burst: int = setting(500_000, "Requests that such a key may send at once.", "requests", 1, 10_000_000)
    key_per_s: float = setting(
        50.0,
        "Requests with one other key, or of one person; beyond it, 429 `key_rate`. 0: any number.",
        "a second",
        0,
        1e5,
    )
    key_burst: int = setting(3_000, "Requests that such a key may send at once.", "requests", 1, 10_000_000)
    address_per_s: float = setting(
        10.0,
        "Requests of an address without a valid key, where keys are needed; beyond it, 429 `address_rate`. 0: any.",
        "a second",
        0,
        1e5,
    )
    address_burst: int = setting(300, "Such requests that an address may send at once.", "requests", 1, 10_000_000)
    failure_per_s: float = setting(
        5.0,
        "Requests of an address with a wrong key; beyond it, 429 `failure_rate`; right keys still pass. 0: any.",
        "a second",
        0,
        1e5,
    )
    failure_burst: int = setting(1_000, "Such requests that an address may send at once.", "requests", 1, 10_000_000)
    rate_buckets_max: int = setting(
        65_536, "Keys and addresses of each kind whose rate is followed; others share one.", "keys", 1, 10_000_000
    )
    rates: str = setting(
        "", "Rates of roles, labels and devices of their own, with `;` between; see docs/howto/rate-limits.md."
    )


@dataclass(frozen=True, kw_only=True)
class DailyLimits:
    """Limits a day."""

    registrations_per_day: int = setting(
        100_000, "Devices that register themselves (auto_register); beyond it, 429 until midnight UTC.", "devices", 1
    )
    definitions_per_day: int = setting(
        1_000, "Metrics that reports define (auto_define); beyond it, 429 until midnight UTC.", "metrics", 1
    )
    enrolments_per_day: int = setting(
        100_000, "Devices that enrol themselves; beyond it, 429 until midnight UTC.", "devices", 1
    )
