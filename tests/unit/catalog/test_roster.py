from fleetpulse.catalog.roster import Roster


def roster_of(*labels: dict[str, str]) -> Roster:
    roster = Roster()
    roster.resize(len(labels))
    for device, named in enumerate(labels):
        roster.put(device, named)
    return roster


def test_devices_are_found_by_all_their_labels() -> None:
    roster = roster_of({"site": "paris", "hall": "2"}, {"site": "paris"}, {"hall": "2"}, {})
    assert roster.with_labels([("site", "paris")]).tolist() == [True, True, False, False]
    assert roster.with_labels([("site", "paris"), ("hall", "2")]).tolist() == [True, False, False, False]
    assert roster.with_labels([]).tolist() == [True] * 4
    for unknown in (("site", "rome"), ("floor", "2"), ("site", "")):
        assert not roster.with_labels([unknown]).any()


def test_labels_are_replaced_whole_and_read_back() -> None:
    roster = roster_of({"site": "paris", "hall": "2"})
    roster.put(0, {"site": "lyon"})
    assert roster.labels_of(0) == {"site": "lyon"}
    assert not roster.with_labels([("hall", "2")]).any()


def test_a_deleted_device_is_not_registered_and_may_come_back() -> None:
    roster = roster_of({"site": "paris"}, {"site": "paris"})
    roster.put(0, {"site": "paris"}, is_deleted=True)
    assert roster.registered().tolist() == [False, True]
    assert roster.with_labels([("site", "paris")]).tolist() == [False, True]
    roster.put(0, {})
    assert roster.registered().tolist() == [True, True]


def test_groups_are_codes_of_values_and_0_is_no_label() -> None:
    codes, values = roster_of({"site": "paris"}, {}, {"site": "lyon"}, {"site": "paris"}).groups("site")
    assert [values[code] for code in codes] == ["paris", "", "lyon", "paris"]
    codes, values = roster_of({}, {}).groups("site")
    assert (codes.tolist(), values) == ([0, 0], [""])


def test_a_roster_grows_far_beyond_its_first_size_and_keeps_what_it_holds() -> None:
    roster = roster_of({"site": "paris"})
    roster.resize(5_000)
    roster.put(4_999, {"site": "lyon", "new": "label"})
    assert (roster.labels_of(0), roster.labels_of(4_999)) == ({"site": "paris"}, {"site": "lyon", "new": "label"})
    assert len(roster.registered()) == 5_000


def test_a_frozen_roster_shows_neither_new_devices_nor_new_labels() -> None:
    roster = roster_of({"site": "paris"})
    frozen = roster.frozen()
    roster.resize(2_000)
    roster.put(1_999, {"hall": "2"})
    assert (frozen.count, sorted(frozen.labels)) == (1, ["site"])
    assert frozen.with_labels([("site", "paris")]).tolist() == [True]


def test_every_change_has_a_new_version() -> None:
    roster = roster_of({})
    versions = [roster.version]
    roster.put(0, {"a": "b"})
    versions.append(roster.version)
    roster.resize(2)
    versions.append(roster.version)
    assert versions == sorted(set(versions))


def test_in_a_scope_there_are_only_its_devices() -> None:
    roster = Roster()
    roster.resize(4)
    roster.put(0, {"site": "paris", "line": "3"})
    roster.put(1, {"site": "rome", "hall": "1"})
    roster.put(2, {"site": "paris"}, is_deleted=True)
    narrowed = roster.within([("site", "paris")])
    for seen in (narrowed, narrowed.frozen()):
        assert seen.registered().tolist() == [True, False, False, False]
        assert not seen.with_labels([("hall", "1")]).any()
        assert seen.with_labels([], is_deleted_included=True).tolist() == [True, False, True, False]
        assert seen.label_names() == ["line", "site"]
    assert narrowed.within([("line", "3")]).with_labels([], is_deleted_included=True).tolist() == [True, *[False] * 3]
    assert not roster.within([("site", "oslo")]).with_labels([]).any()
    assert roster.label_names() == ["hall", "line", "site"]
    assert roster.registered().tolist() == [True, True, False, True]
