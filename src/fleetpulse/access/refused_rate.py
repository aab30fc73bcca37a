"""The refusal of a sender that is above its rate, with the headers of draft-ietf-httpapi-ratelimit-headers-10.

RateLimit-Policy: "device_rate";q=3000;w=1500    q requests at once, which are earned again within w seconds
RateLimit: "device_rate";r=0;t=1                 none of them is left; in t seconds a request is taken
"""

from functools import lru_cache

from fleetpulse.access.rate import Rate
from fleetpulse.access_errors import TooManyRequests

SETTINGS = {
    "device_rate": "device_per_s, device_burst",
    "backlog_rate": "backlog_per_s, backlog_burst",
    "key_rate": "key_per_s, key_burst",
    "ingest_key_rate": "ingest_key_per_s, ingest_key_burst",
    "address_rate": "address_per_s, address_burst",
    "failure_rate": "failure_per_s, failure_burst",
    "login_rate": "login_per_s, login_burst",
}
"""The settings of each limit, by its name."""


def too_many(name: str, text: str, rate: Rate, *, next_s: float, now_s: float) -> TooManyRequests:
    """The refusal of a sender whose time is `next_s`. `text` says who sends what faster than how much."""
    wait_s = max(1, rate.wait_s(next_s, now_s))
    policy, limit, detail = _words(name, rate, wait_s)
    return TooManyRequests(text, reason=name, retry_after_s=wait_s, policy=policy, limit=limit, detail=detail)


@lru_cache(256)  # under a flood, the same ones are needed again and again
def _words(name: str, rate: Rate, wait_s: int) -> tuple[str, str, str]:
    """The two headers, and what to do."""
    return (
        f'"{name}";q={rate.burst};w={rate.window_s}',
        f'"{name}";r=0;t={wait_s}',
        f"send it again after {wait_s} s, or have the limit raised ({SETTINGS[name]}, or rates)",
    )
