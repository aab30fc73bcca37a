"""Whether work is to be left."""

import pytest

from fleetpulse.errors import Unfinished
from fleetpulse.pipeline.ending import Ending


def test_work_goes_on_until_the_end_is_due() -> None:
    ending = Ending()
    ending.check()
    ending.is_due = True
    with pytest.raises(Unfinished):
        ending.check()
