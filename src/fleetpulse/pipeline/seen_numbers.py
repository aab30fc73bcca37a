"""The numbers of devices by id, of which whoever asks may see only some."""

from collections.abc import Callable, Mapping


class SeenNumbers:
    """See the module. It answers as a dictionary of the seen ones would, which nobody makes for each who asks."""

    def __init__(self, numbers: Mapping[str, int], is_seen: Callable[[int], bool]) -> None:
        self._numbers, self._is_seen = numbers, is_seen

    def get(self, device_id: str, /) -> int | None:
        """See Numbers."""
        number = self._numbers.get(device_id)
        return number if number is not None and self._is_seen(number) else None

    def __contains__(self, device_id: object, /) -> bool:
        return isinstance(device_id, str) and self.get(device_id) is not None
