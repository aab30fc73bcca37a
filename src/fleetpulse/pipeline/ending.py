"""Whether long work in the background should be left as it is, because the service has to end."""

from fleetpulse.errors import Unfinished


class Ending:
    """Set on the event loop, and looked at by the threads, between pieces of what they do."""

    def __init__(self) -> None:
        self.is_due = False

    def check(self) -> None:
        """Raises: Unfinished: the work is to be left; nothing of it is in effect yet."""
        if self.is_due:
            raise Unfinished("the service stops")
