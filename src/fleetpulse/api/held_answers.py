"""How many bytes of long answers wait in memory: from when they are made until their clients have read them."""

from collections import Counter

from fleetpulse.errors import Busy
from fleetpulse.telemetry.counters import Counters


class HeldAnswers:
    """The bytes of all long answers that are made and not sent. One client may hold half of what all may."""

    def __init__(self, bytes_max: int, counters: Counters) -> None:
        self._bytes_max = bytes_max
        self._counters = counters
        self._of_client: Counter[str] = Counter()

    def hold(self, client: str) -> "Hold":
        """The hold of an answer that has no bytes yet."""
        return Hold(self, client)

    def check(self, client: str, more_bytes: int, of_answer_bytes: int) -> None:
        """See `Hold.grow`."""
        held_bytes, own_bytes = self._counters.answer_bytes_held, self._of_client[client]
        is_room = held_bytes == of_answer_bytes or held_bytes + more_bytes <= self._bytes_max
        if not is_room or (own_bytes != of_answer_bytes and own_bytes + more_bytes > self._bytes_max // 2):
            raise Busy(
                f"long answers that are not read yet hold {held_bytes} bytes of memory, "
                f"{own_bytes} of them for this client; there may be {self._bytes_max} (answer_bytes_held_max), half "
                "of it for one client: read the answers, then ask again",
                reason="answer_bytes",
                retry_after_s=5,
            )

    def count(self, client: str, more_bytes: int) -> None:
        """Count bytes as held, or, where it is negative, as held no longer."""
        self._counters.answer_bytes_held += more_bytes
        self._of_client[client] += more_bytes
        if not self._of_client[client]:
            del self._of_client[client]


class Hold:
    """The bytes of one answer that are counted as held."""

    __slots__ = ("_answers", "_bytes", "_client")

    def __init__(self, answers: HeldAnswers, client: str) -> None:
        self._answers, self._client = answers, client
        self._bytes = 0

    def grow(self, to_bytes: int) -> None:
        """Hold more. An answer of any size is taken where there is no other. Raises: Busy: there is no room."""
        self._answers.check(self._client, to_bytes - self._bytes, self._bytes)
        self.set(to_bytes)

    def set(self, to_bytes: int) -> None:
        """Hold as much as there is, whether or not there is room: to refuse what is made already would free nothing."""
        self._answers.count(self._client, to_bytes - self._bytes)
        self._bytes = to_bytes

    def close(self) -> None:
        """Hold nothing any more: the answer is sent, or nobody reads it."""
        self.set(0)
