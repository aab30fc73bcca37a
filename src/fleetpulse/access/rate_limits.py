"""Who may send how much: one place for all rate limits, which both HTTP paths ask.

    device     its reports, in two lanes (`device_limits.py`), with and without a key
    key        requests with one key, or of one person; lines of bulk bodies
    address    requests without a valid key, where keys are needed
    failure    requests of an address with a wrong key. It is asked after the key was looked up, so that right keys
               behind the same address always pass

Nothing here survives a restart.
"""

import time
from collections.abc import Callable

from fleetpulse.access.device_limits import BULK_LINE_COST, DeviceLimits, Lanes
from fleetpulse.access.rate import Rate
from fleetpulse.access.rate_buckets import RateBuckets, network_of
from fleetpulse.access.rate_rules import RateRules
from fleetpulse.access.refused_rate import too_many
from fleetpulse.access_errors import TooManyRequests
from fleetpulse.errors import Answerable
from fleetpulse.model.access import LimitRule, Principal, Role
from fleetpulse.rate_settings import RateSettings


class RateLimits:
    """Used on the event loop only. `devices`: the limits of devices, for reports."""

    def __init__(
        self, settings: RateSettings, rules: RateRules, *, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        default = Lanes(
            Rate(settings.device_per_s, settings.device_burst), Rate(settings.backlog_per_s, settings.backlog_burst)
        )
        self.devices = DeviceLimits(lambda device: rules.lanes_of(device, default), monotonic_s=monotonic_s)
        self.concern_labels = rules.concern_devices
        self._key_rate = Rate(settings.key_per_s, settings.key_burst)
        self._rates: dict[Role, Rate] = {
            "ingest": Rate(settings.ingest_key_per_s, settings.ingest_key_burst),
            **rules.roles,
        }
        self._address_rate = Rate(settings.address_per_s, settings.address_burst)
        self._failure_rate = Rate(settings.failure_per_s, settings.failure_burst)
        self._address_text = f"requests without a key come from your address faster than {self._address_rate.text}"
        self._failure_text = f"requests with wrong keys come from your address faster than {self._failure_rate.text}"
        self._keys, self._addresses, self._failures = (
            RateBuckets(settings.rate_buckets_max, monotonic_s=monotonic_s) for _ in range(3)
        )

    def senders(self) -> dict[str, float]:
        """Of how many keys and addresses a rate is followed, by limit."""
        return {"key_rate": len(self._keys), "address_rate": len(self._addresses), "failure_rate": len(self._failures)}

    def take_request(self, principal: Principal, rule: LimitRule) -> None:
        """Charge a request, before its body is read, as its route says. Raises: TooManyRequests."""
        if rule == "none" or principal.kind == "open" or (rule == "device" and principal.device is not None):
            return
        if rule == "bulk" and principal.device is not None:
            self.devices.check_bulk(principal.device)
        else:
            self.take_key(principal)

    def take_key(self, principal: Principal) -> None:
        """Charge a request to whoever asks, by key or by name. Raises: TooManyRequests."""
        if principal.device is not None:
            self.devices.charge_beat(principal.device)
            return
        rate = self._rates.get(principal.role, self._key_rate)
        next_s = self._keys.take(_sender(principal), rate)
        if next_s is not None:
            name = "ingest_key_rate" if principal.role == "ingest" else "key_rate"
            text = f"{principal.name} asks faster than {rate.text}"
            raise too_many(name, text, rate, next_s=next_s, now_s=self._keys.monotonic_s())

    def charge_bulk(self, principal: Principal, lines: int) -> None:
        """Charge the lines of a bulk body, all of which are taken: what is owed makes its sender wait for the next."""
        if principal.device is not None:
            self.devices.charge_bulk(principal.device, lines)
        elif principal.kind != "open":
            self._keys.owe(_sender(principal), lines * BULK_LINE_COST, self._rates.get(principal.role, self._key_rate))

    def refusal_of_address(self, address: str) -> TooManyRequests | None:
        """Charge a request without a valid key to the address that it came from, or say why it is not taken."""
        return self._charge(self._addresses, "address_rate", self._address_text, self._address_rate, address)

    def _charge(self, buckets: RateBuckets, name: str, text: str, rate: Rate, address: str) -> TooManyRequests | None:
        next_s = buckets.take(network_of(address), rate)
        return None if next_s is None else too_many(name, text, rate, next_s=next_s, now_s=buckets.monotonic_s())

    def refusal_of_refused(self, error: Answerable, address: str) -> Answerable | None:
        """Charge a request that was refused for want of a right to the address that it came from.

        Returns: what to answer instead, where too many came from there; else None.
        """
        if error.reason == "no_key":
            return self.refusal_of_address(address)
        if isinstance(error, TooManyRequests):
            return None
        return self._charge(self._failures, "failure_rate", self._failure_text, self._failure_rate, address)


def _sender(principal: Principal) -> int | tuple[str, str]:
    return (principal.kind, principal.subject or principal.name) if principal.key is None else principal.key
