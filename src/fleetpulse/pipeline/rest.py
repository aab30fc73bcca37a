"""After much was asked, and when nothing is: memory that is free goes back to the system.

A question that is stopped or whose client leaves is an exception, and what its frames refer to stays in cycles until
the garbage collector looks at all objects. By itself it does so when many new ones are there, so not at rest.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleetpulse.heap import give_back
from fleetpulse.ingest.connections import Connections
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.threads import Threads
from fleetpulse.telemetry.counters import Counters

REST_S = 20.0
"""At least so long between two times."""
CONNECTIONS_MOST = 1_000
"""With more connections there are so many objects that looking at all would hold the event loop for long."""


@dataclass(eq=False, kw_only=True)
class Rest:
    """Looks a few times a second whether the service is at rest after work."""

    questions: Questions
    connections: Connections
    counters: Counters
    threads: Threads
    monotonic_s: Callable[[], float] = time.monotonic
    _seen: int = field(default=0, init=False)
    _at_s: float = field(default=float("-inf"), init=False)

    def tick(self) -> None:
        """Collect garbage, and give memory back, if long questions have ended since the last time and none runs."""
        counters, now_s = self.counters, self.monotonic_s()
        answered = counters.questions_answered
        ended = (
            answered["big"] + answered["csv"] + counters.questions_stopped.total() + counters.questions_refused.total()
        )
        if ended == self._seen or now_s < self._at_s + REST_S or any(self.questions.lanes.running().values()):
            return
        self._seen, self._at_s = ended, now_s
        if len(self.connections) <= CONNECTIONS_MOST:
            gc.collect()
        self.threads.files.submit(give_back)  # which takes some milliseconds
