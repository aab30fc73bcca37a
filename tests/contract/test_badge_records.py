"""What every catalog promises of badges."""

from collections.abc import Callable

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.badge import BadgeRecord
from fleetpulse.model.device import Device

Reopen = Callable[[], Catalog]


def badge(number: int, *, device: int | None = None) -> BadgeRecord:
    labels = () if device is not None else (("site", "paris"),)
    return BadgeRecord(number, bytes([number]) * 32, device, labels, "wiki", 17, "key 1")


def test_a_badge_is_found_by_its_digest_until_it_is_removed_and_its_number_is_not_given_again(reopen: Reopen) -> None:
    catalog = reopen()
    assert (catalog.badges.all(), catalog.badges.next_number()) == ([], 1)
    catalog.badges.add(badge(1))
    catalog.badges.add(badge(2))
    catalog = reopen()
    assert catalog.badges.all() == [badge(1), badge(2)]
    assert catalog.badges.find(badge(2).digest) == badge(2)
    assert catalog.badges.find(bytes(32)) is None
    assert (catalog.badges.remove(2), catalog.badges.remove(2)) == (True, False)
    assert catalog.badges.find(badge(2).digest) is None
    assert reopen().badges.next_number() == 3


def test_the_badges_of_a_device_end_with_it(reopen: Reopen) -> None:
    catalog = reopen()
    catalog.register([Device("a"), Device("b")], devices_max=9, at_ns=1)
    for number, device in ((1, 0), (2, 1), (3, None)):
        catalog.badges.add(badge(number, device=device))
    catalog.delete([0], at_ns=5)
    assert [one.number for one in catalog.badges.all()] == [2, 3]
    catalog.register([Device("a")], devices_max=9, at_ns=6)
    assert [one.number for one in catalog.badges.all()] == [2, 3], "not even when it comes back"
