"""After much was asked, and when nothing is: memory that is free goes back to the system."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleetpulse.heap import give_back
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters

REST_S = 20.0
"""At least so long between two times."""


@dataclass(eq=False, kw_only=True)
class Rest:
    """Looks a few times a second whether the service is at rest after work."""

    questions: Questions
    counters: Counters
    threads: Threads
    monotonic_s: Callable[[], float] = time.monotonic
    _seen: int = field(default=0, init=False)
    _at_s: float = field(default=float("-inf"), init=False)

    def tick(self) -> None:
        """Give memory back if long questions have ended since the last time and none runs."""
        counters, now_s = self.counters, self.monotonic_s()
        answered = counters.questions_answered
        ended = (
            answered["big"] + answered["csv"] + counters.questions_stopped.total() + counters.questions_refused.total()
        )
        if ended == self._seen or now_s < self._at_s + REST_S or any(self.questions.lanes.running().values()):
            return
        self._seen, self._at_s = ended, now_s
        self.threads.files.submit(give_back)  # which takes some milliseconds
