"""Which addresses a receiver may have."""

import pytest

from fleetpulse.alert.receivers.addresses import AddressRefused, refusal_of, resolve

PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    *("127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "192.0.2.1"),
    *(
        "::1",
        "fc00::1",
        "fd12::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::10.0.0.1",
    ),
]
NEVER = [
    *("169.254.169.254", "169.254.170.2", "0.0.0.0", "0.1.2.3", "192.0.0.192", "100.100.100.200", "168.63.129.16"),
    *("224.0.0.1", "255.255.255.255", "240.0.0.1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254"),
    *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fd20:ce::254"),
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert refusal_of(address, allows_private=False) == ""


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_only_where_they_are_allowed(address: str) -> None:
    assert "--receivers-private" in refusal_of(address, allows_private=False)
    assert refusal_of(address, allows_private=True) == ""


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_never(address: str) -> None:
    assert refusal_of(address, allows_private=False) and "no receiver may have" in refusal_of(
        address, allows_private=True
    )


def test_what_is_no_address_is_refused() -> None:
    assert refusal_of("localhost", allows_private=True)
    assert refusal_of("", allows_private=True)


def test_a_host_has_only_addresses_that_may_be_reached() -> None:
    assert [where for _, where in resolve("127.0.0.1", 80, allows_private=True)] == [("127.0.0.1", 80)]
    with pytest.raises(AddressRefused):
        resolve("127.0.0.1", 80, allows_private=False)
