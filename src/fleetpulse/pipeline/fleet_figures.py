"""Figures of the fleet for /metrics: worked out from time to time by a question in a thread, never while scraping.

A question of the whole fleet may take a second of processor time. It is put at most once a minute (`fleet_gauges_s`),
and seldom enough to take a twentieth of a processor at most; /metrics shows the last figures, and when they were found.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog

from fleetpulse.clock import Clock
from fleetpulse.errors import Answerable, OperatorError
from fleetpulse.model.units import NS_PER_S
from fleetpulse.pipeline.questions import Questions
from fleetpulse.query.fleet import Uploads
from fleetpulse.query.fleet_gauges import FleetGauges, fleet_gauges
from fleetpulse.query.window import Window
from fleetpulse.telemetry.exposition import Value

log = structlog.get_logger("telemetry")
REST = 20
"""How many times as long as it took the figures rest after they were worked out."""
QUANTILES = {"0.5": "p50", "0.95": "p95", "0.99": "p99"}
UPLOADS_NS = 3_600 * NS_PER_S
"""Upload times are those of the last hour."""
NS_PER_SECOND = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFiguresSettings:
    """What is worked out, and how often (0: never)."""

    every_s: float
    windows_ns: dict[str, int]
    labels: tuple[str, ...]
    values_max: int


@dataclass(eq=False, kw_only=True)
class FleetFigures:
    """The last figures. Used on the loop; the work is a question in its lane."""

    clock: Clock
    questions: Questions
    settings: FleetFiguresSettings
    monotonic_s: Callable[[], float] = time.monotonic
    failed: int = field(default=0, init=False)
    """How often they could not be worked out, because the service had no room or time for it, or a block is lost."""
    _found: FleetGauges | None = field(default=None, init=False)
    _uploads: Uploads | None = field(default=None, init=False)
    _found_at_ns: int = field(default=0, init=False)
    _took_s: float = field(default=0.0, init=False)
    _due_s: float = field(default=0.0, init=False)
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _is_failing: bool = field(default=False, init=False)

    def tick(self) -> None:
        """Begin to work the figures out, where they are due."""
        is_running = self._task is not None and not self._task.done()
        if self.settings.every_s and not is_running and self.monotonic_s() >= self._due_s:
            self._task = asyncio.create_task(self.work_out())

    async def end(self) -> None:
        """Leave what is running."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def work_out(self) -> None:
        """Find the figures of now. What keeps it from that is counted, and logged when it begins."""
        began_s = self.monotonic_s()
        try:
            await self._ask()
        except (Answerable, OperatorError, OSError) as error:
            self.failed += 1
            if not self._is_failing:
                log.warning("figures of the fleet for /metrics are those of before", error=str(error))
            self._is_failing = True
        except Exception as error:
            self.failed += 1
            log.error("figures of the fleet for /metrics failed by a defect of ours", exc_info=error)
        else:
            self._is_failing = False
            self._found_at_ns = self.clock.now_ns()
        finally:
            self._took_s = self.monotonic_s() - began_s
            self._due_s = self.monotonic_s() + max(self.settings.every_s, REST * self._took_s)

    async def _ask(self) -> None:
        settings, now_ns = self.settings, self.clock.now_ns()
        question = partial(
            fleet_gauges, windows_ns=settings.windows_ns, labels=settings.labels, values_max=settings.values_max
        )
        longest_ns = max(settings.windows_ns.values(), default=0)
        found = await self.questions.fleet(question, start_ns=now_ns - longest_ns)
        self._uploads = await self.questions.upload_times(Window(now_ns - UPLOADS_NS, now_ns), found.registered)
        self._found = found

    def values(self) -> dict[str, Value]:
        """The last figures by their names on /metrics, without prefix; nothing before the first."""
        shown: dict[str, Value] = {
            "fleet_figures_failed_total": self.failed,
            "fleet_figures_timestamp_seconds": self._found_at_ns / NS_PER_SECOND,
            "fleet_figures_last_duration_seconds": self._took_s,
        }
        if self._found is None or self._uploads is None:
            return shown
        found, times = self._found, self._uploads.times
        by_quantile = {quantile: getattr(times, name) for quantile, name in QUANTILES.items()}
        return shown | {
            "fleet_devices": found.devices,
            "fleet_uptime_ratio": found.uptime,
            "fleet_availability_ratio": found.availability,
            "fleet_upload_time_seconds": {
                quantile: value / NS_PER_SECOND for quantile, value in by_quantile.items() if value is not None
            },
            "fleet_uploads": times.count,
            "label_devices": found.label_devices,
            "label_uptime_ratio": found.label_uptime,
            "label_values_left_out": found.left_out,
        }
