from typing import Any

import pytest

from fleetpulse.api.service_discovery import read_address


@pytest.mark.parametrize("name", ["", "address", "anything at all"])
def test_any_name_of_a_label_may_hold_addresses(name: Any) -> None:
    assert read_address(name) == name
