"""A shorter retention of reception gaps has a grace, which restarts keep, and raising it again loses nothing."""

from pathlib import Path

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.limits import RetentionLimits
from fleetpulse.model.retention import FOREVER_DAYS
from fleetpulse.pipeline.gap_retention import GapRetention
from memory_service import SECOND, FakeClock


class Restarts:
    """A catalog that is opened anew for each setting."""

    def __init__(self, folder: Path) -> None:
        self.path, self.clock = folder / "catalog.sqlite", FakeClock()

    def days(self, setting: int) -> int:
        catalog = SqliteCatalog(self.path, clock=self.clock)
        try:
            limits = RetentionLimits(reception_gap_days=setting, retention_grace_s=100)
            return GapRetention(catalog=catalog, clock=self.clock, limits=limits).days_in_force()
        finally:
            catalog.close()


def test_each_step_down_has_a_grace_of_its_own_and_a_step_up_takes_it_back(tmp_path: Path) -> None:
    node = Restarts(tmp_path)
    assert node.days(0) == FOREVER_DAYS
    assert node.days(30) == FOREVER_DAYS
    node.clock.ns += 60 * SECOND
    assert node.days(7) == FOREVER_DAYS
    node.clock.ns += 60 * SECOND
    assert node.days(7) == 30
    assert node.days(30) == 30
    node.clock.ns += 60 * SECOND
    assert node.days(30) == 30
    assert node.days(0) == FOREVER_DAYS


def test_the_first_setting_of_a_folder_has_a_grace_since_everything_was_kept_before(tmp_path: Path) -> None:
    node = Restarts(tmp_path)
    assert node.days(30) == FOREVER_DAYS
    node.clock.ns += 101 * SECOND
    assert node.days(30) == 30
