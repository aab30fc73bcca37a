"""Grouping devices by a label: groups are numbered without gaps, and only those that have devices."""

import numpy as np

from fleetpulse.catalog.roster import Roster
from fleetpulse.query.groups import NOT_SELECTED, Groups


def roster_of(*sites: str) -> Roster:
    roster = Roster()
    roster.resize(len(sites))
    for number, site in enumerate(sites):
        roster.put(number, {"site": site} if site else {})
    return roster


def test_groups_go_by_name_and_devices_without_the_label_come_first() -> None:
    roster = roster_of("paris", "", "lyon", "paris")
    groups = Groups.of(roster, "site", roster.registered())
    assert (groups.names, groups.sizes, groups.codes.tolist()) == (["", "lyon", "paris"], [1, 1, 2], [2, 0, 1, 2])


def test_groups_in_which_nobody_was_selected_do_not_exist() -> None:
    roster = roster_of("paris", "", "lyon", "paris")
    groups = Groups.of(roster, "site", np.array([False, False, True, False]))
    assert (groups.names, groups.sizes, groups.codes.tolist()) == (
        ["lyon"],
        [1],
        [NOT_SELECTED] * 2 + [0, NOT_SELECTED],
    )
    assert len(Groups.of(roster, "site", np.zeros(4, bool))) == 0


def test_without_a_label_and_by_an_unknown_one_all_devices_are_one_group() -> None:
    roster = roster_of("paris", "", "lyon")
    for by in ("", "nonsense"):
        groups = Groups.of(roster, by, roster.registered())
        assert (groups.names, groups.sizes, groups.codes.tolist()) == ([""], [3], [0, 0, 0])


def test_sums_leave_out_devices_that_were_not_selected_and_those_beyond_the_column() -> None:
    roster = roster_of("paris", "lyon", "paris", "lyon")
    groups = Groups.of(roster, "site", np.array([True, True, True, False]))
    assert groups.sums(np.array([1, 20, 300, 4_000])) == [20, 301]
    assert groups.sums(np.array([1, 20])) == [20, 1]


def test_sums_are_exact_beyond_64_bits() -> None:
    roster = roster_of("paris", "paris", "paris", "lyon")
    groups = Groups.of(roster, "site", roster.registered())
    assert groups.sums(np.array([2**62 + 1, 2**62 + 1, 2**62 + 1, 7])) == [7, 3 * 2**62 + 3]
