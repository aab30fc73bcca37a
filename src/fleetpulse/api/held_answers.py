"""How many bytes of long answers wait in memory for clients who read them slowly."""

from collections import Counter

from fleetpulse.errors import Busy
from fleetpulse.telemetry.counters import Counters


class HeldAnswers:
    """The bytes of all long answers that are being sent. One client may hold half of what all may."""

    def __init__(self, bytes_max: int, counters: Counters) -> None:
        self._bytes_max = bytes_max
        self._counters = counters
        self._of_client: Counter[str] = Counter()

    def take(self, client: str, count_bytes: int) -> None:
        """Count bytes as held. An answer of any size is taken where there is no other. Raises: Busy: no room."""
        held_bytes, own_bytes = self._counters.answer_bytes_held, self._of_client[client]
        is_room = not held_bytes or held_bytes + count_bytes <= self._bytes_max
        if not is_room or (own_bytes and own_bytes + count_bytes > self._bytes_max // 2):
            raise Busy(
                f"long answers that are not read yet hold {held_bytes} bytes of memory, "
                f"{own_bytes} of them for this client; there may be {self._bytes_max} (answer_bytes_held_max), half "
                "of it for one client: read the answers, then ask again",
                reason="answer_bytes",
                retry_after_s=5,
            )
        self._counters.answer_bytes_held += count_bytes
        self._of_client[client] = own_bytes + count_bytes

    def give(self, client: str, count_bytes: int) -> None:
        """Count bytes as held no longer: they are sent, or nobody reads them."""
        self._counters.answer_bytes_held -= count_bytes
        self._of_client[client] -= count_bytes
        if not self._of_client[client]:
            del self._of_client[client]
