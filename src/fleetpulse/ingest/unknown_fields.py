"""Fields of events that no route knows: ignored, as newer devices report to older servers, but counted by name.

Whoever puts a measurement into a heartbeat gets 204 and never sees it again; `devices show` tells.
Only events with more commas than their known fields need come here, so that all others cost a count of a byte.
"""

from collections import Counter
from collections.abc import Collection, Iterable

import msgspec

from fleetpulse.ingest.malformed import BOM

NAME_CHARS_MAX = 64
NAMES_OF_DEVICE_MAX = 32
NAMES_SHOWN_MAX = 100
"""Names of which the telemetry has a counter; all others share one."""
OTHERS = "(others)"
"""In the place of names beyond a limit."""
_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def unknown_names(body: bytes, known: Collection[str]) -> frozenset[str]:
    """The names of the fields of a JSON object that are not known; OTHERS where it cannot be read."""
    try:
        return frozenset(_decode(body.removeprefix(BOM)).keys() - set(known))
    except (ValueError, RecursionError):
        return frozenset([OTHERS])


class UnknownFields:
    """Counts since the start of the service, in bounded memory."""

    def __init__(self, names_max: int) -> None:
        """`names_max`: names of all devices together; those beyond it are counted as OTHERS."""
        self.by_name: Counter[str] = Counter()
        """Events of all devices by the name of a field."""
        self._names_max = names_max
        self._names = 0
        self._of_device: dict[int, Counter[str]] = {}

    def look(self, device: int, body: bytes, known: Collection[str]) -> None:
        """Count the fields of an accepted event that are not `known`; its body was decoded before, so it is JSON."""
        self.count(device, unknown_names(body, known))

    def count(self, device: int, names: Iterable[str]) -> None:
        """Count fields of one event."""
        for name in names:
            short = name if len(name) <= NAME_CHARS_MAX else name[:NAME_CHARS_MAX] + "…"
            is_shown = short in self.by_name or len(self.by_name) < NAMES_SHOWN_MAX
            self.by_name[short if is_shown else OTHERS] += 1
            self._count_of(device, short)

    def _count_of(self, device: int, name: str) -> None:
        found = self._of_device.get(device)
        if found is None or name not in found:
            if self._names >= self._names_max or (found is not None and len(found) >= NAMES_OF_DEVICE_MAX):
                if found is not None:
                    found[OTHERS] += 1
                return
            self._names += 1
            found = self._of_device.setdefault(device, Counter())
        found[name] += 1

    def of(self, device: int) -> dict[str, int]:
        """Events of a device by the name of a field, the most frequent first."""
        return dict(self._of_device.get(device, Counter()).most_common())
