"""Where the server may listen."""

import pytest

from fleetpulse.errors import SettingsError
from fleetpulse.server import check_address


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_always_allowed(host: str) -> None:
    check_address(host, is_network_trusted=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "fleet.example"])
def test_the_network_is_allowed_only_where_it_was_declared_to_be_trusted(host: str) -> None:
    with pytest.raises(SettingsError, match="--insecure"):
        check_address(host, is_network_trusted=False)
    check_address(host, is_network_trusted=True)
