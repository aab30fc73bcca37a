"""What an answer says of the declarations that it was computed from."""

import pytest

from fleetpulse.model.declared import NOTHING_CHANGED, DeclaredVersion
from fleetpulse.query.declarations_used import declarations_used
from fleetpulse.query.window import Window

S = 1_000_000_000
WINDOW = Window(100 * S, 200 * S)


@pytest.mark.parametrize(("changed_s", "is_after"), [(150, False), (199, False), (200, True), (300, True)])
def test_it_tells_whether_something_was_changed_after_the_end_of_the_window(changed_s: int, *, is_after: bool) -> None:
    used = declarations_used(DeclaredVersion(7, changed_s * S), WINDOW, devices=3)
    assert (used.version, used.devices, used.changed_after_window) == (7, 3, is_after)
    assert used.changed_at == f"1970-01-01T00:0{changed_s // 60}:{changed_s % 60:02}Z"


def test_before_changes_were_counted_it_does_not_know() -> None:
    used = declarations_used(NOTHING_CHANGED, WINDOW, devices=3)
    assert (used.version, used.changed_at, used.changed_after_window) == (0, None, None)
