"""Lists of devices: every filter and every order against a plain loop, and pages while devices come and go."""

import base64
import functools
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from fleetpulse.errors import Malformed
from fleetpulse.query.devices import IDS_AT_ONCE, SORTS, Filter, Listing, Order
from fleetpulse.query.status import device_status
from one_fleet import SECOND, OneFleet

ORDERS = [Order(by, is_descending) for by in SORTS for is_descending in (False, True)]
HOUR_NS = 3_600 * SECOND
SITES = ("Paris", "Lyon", "")


def name(order: Order) -> str:
    return f"-{order.by}" if order.is_descending else order.by


def fleet_of(count: int, seed: int = 1) -> OneFleet:
    """Devices of all statuses at 12:00, many equal in all but their id; numbers and ids are ordered differently."""
    chance = random.Random(seed)
    one = OneFleet(devices=0)
    for number in range(count):
        site = chance.choice(SITES)
        one.add(f"{(number * 89) % 1_009:04}-{chance.choice('abcXYZ')}", **({"site": site} if site else {}))
    heard = [(text, number) for number in range(count) for text in chance.sample(TIMES, chance.randrange(5))]
    for text, number in sorted(heard):
        one.hear(text, device=number)
    for number in range(0, count, 23):
        one.pause("11:59:00", device=number)
    one.move("12:00:00")
    return one


TIMES = ["11:10:00", "11:40:00", "11:50:00", "11:56:30", "11:58:00", "11:59:00", "11:59:30"]


@functools.cache
def known() -> tuple[OneFleet, dict[str, tuple[str, int, float | None]]]:
    """A fleet that nobody changes, and what each of its devices says of itself."""
    one = fleet_of(257)
    return one, figures(one)


def figures(one: OneFleet) -> dict[str, tuple[str, int, float | None]]:
    """By id: status, last seen, uptime of an hour; each device asked for by itself."""
    found = {}
    for device_id, number in one.numbers.items():
        status, _, last_ns = device_status(one.view(one.now, number))
        shown = one.device_uptime("11:00:00", "12:00:00", device=number)
        found[device_id] = status, last_ns, shown["uptime"]
    return found


def test_a_list_says_of_every_device_what_the_device_says() -> None:
    one, plain = known()
    ids, page = one.page(Filter(uptime_window_ns=HOUR_NS), Order("uptime"))
    assert page.uptime is not None
    shown = {
        device_id: (page.statuses[place], page.last_received_ns[place], page.uptime[place])
        for place, device_id in enumerate(ids)
    }
    assert shown == plain
    assert {status for status, _, _ in plain.values()} >= {"new", "up", "late", "down", "paused"}
    assert {None, 100.0} < {uptime for _, _, uptime in plain.values()}


@pytest.mark.parametrize("order", ORDERS, ids=name)
def test_an_order_is_that_of_a_plain_sort_and_what_is_equal_goes_by_id(order: Order) -> None:
    one, plain = known()
    sign = -1 if order.is_descending else 1
    statuses = ("new", "up", "late", "down", "maintenance", "paused", "unknown")
    keys: dict[str, Callable[[str], Any]] = {
        "status": lambda device_id: sign * statuses.index(plain[device_id][0]),
        # Who was never seen is last, whichever way it goes, and so is of whom nothing was expected.
        "last_seen": lambda device_id: (plain[device_id][1] == 0, sign * plain[device_id][1]),
        "uptime": lambda device_id: (plain[device_id][2] is None, sign * (plain[device_id][2] or 0)),
    }
    if order.by == "id":
        expected = sorted(plain, reverse=order.is_descending)
    else:
        expected = sorted(plain, key=lambda device_id: (keys[order.by](device_id), device_id))
    ids, page = one.page(Filter(uptime_window_ns=HOUR_NS), order)
    assert ids == expected
    assert (page.total, page.next) == (257, None)


FILTERS: list[tuple[Filter, Callable[[str, dict[str, str], tuple[str, int, float | None]], bool]]] = [
    (Filter(), lambda device_id, labels, shown: True),
    (Filter(statuses=frozenset({"late", "down"})), lambda device_id, labels, shown: shown[0] in ("late", "down")),
    (Filter(statuses=frozenset({"maintenance"})), lambda device_id, labels, shown: False),
    (Filter(labels=[("site", "Paris")]), lambda device_id, labels, shown: labels.get("site") == "Paris"),
    (Filter(labels=[("site", "Nowhere")]), lambda device_id, labels, shown: False),
    (Filter(labels=[("room", "1")]), lambda device_id, labels, shown: False),
    (Filter(labels=[("site", "Paris"), ("site", "Lyon")]), lambda device_id, labels, shown: False),
    (Filter(text="x"), lambda device_id, labels, shown: "X" in device_id),
    (Filter(text="-A"), lambda device_id, labels, shown: "-a" in device_id),
    (Filter(text="aRi"), lambda device_id, labels, shown: labels.get("site") == "Paris"),
    (Filter(text="y"), lambda device_id, labels, shown: "Y" in device_id or labels.get("site") == "Lyon"),
    (Filter(text="nobody"), lambda device_id, labels, shown: False),
    (Filter(uptime_below=50.0), lambda device_id, labels, shown: shown[2] is not None and shown[2] < 50),
    (Filter(uptime_below=0.0), lambda device_id, labels, shown: False),
    (
        Filter(statuses=frozenset({"down"}), labels=[("site", "Lyon")], text="0", uptime_below=5.0),
        lambda device_id, labels, shown: (
            shown[0] == "down"
            and labels.get("site") == "Lyon"
            and "0" in device_id
            and shown[2] is not None
            and shown[2] < 5
        ),
    ),
]


@pytest.mark.parametrize(("chosen", "is_meant"), FILTERS)
def test_a_filter_takes_whom_a_plain_loop_takes(chosen: Filter, is_meant: Callable[..., bool]) -> None:
    one, plain = known()
    chosen = replace(chosen, uptime_window_ns=HOUR_NS)
    expected = sorted(
        device_id
        for device_id, shown in plain.items()
        if is_meant(device_id, one.roster.labels_of(one.numbers[device_id]), shown)
    )
    ids, page = one.page(chosen, Order())
    assert ids == expected
    assert page.total == len(expected)


def test_seen_before_leaves_out_who_was_never_seen_and_seen_after_holds_its_start() -> None:
    one, plain = known()
    at = one.at("11:58:00")
    before, _ = one.page(Filter(seen_before_ns=at), Order())
    after, _ = one.page(Filter(seen_after_ns=at), Order())
    assert before == sorted(device_id for device_id, shown in plain.items() if 0 < shown[1] < at)
    assert after == sorted(device_id for device_id, shown in plain.items() if shown[1] >= at)
    assert one.page(Filter(seen_after_ns=at, seen_before_ns=at), Order())[0] == []
    assert at in {shown[1] for shown in plain.values()}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("order", ORDERS, ids=name)
def test_while_devices_come_and_go_nobody_who_stays_is_missing_or_doubled(order: Order, seed: int) -> None:
    one, chance = fleet_of(257, seed), random.Random(seed)
    stays = set(one.numbers)
    chosen = Filter(uptime_window_ns=HOUR_NS)
    listed: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        ids, page = one.page(chosen, order, limit=10, cursor=cursor)
        assert page.total == len(one.numbers)
        assert len(ids) == 10 or page.next is None
        listed += ids
        cursor, pages = page.next, pages + 1
        for _ in range(chance.randrange(4)):
            one.add(f"{chance.randrange(2_000):04}-new{one.roster.count}", site="Lyon")
        # The one at which the page ended is the likeliest to be stumbled over.
        for device_id in {
            *chance.sample(sorted(one.numbers), chance.randrange(4)),
            *(ids[-1:] if chance.random() < 0.5 else []),
        }:
            one.delete(device_id)
            stays.discard(device_id)
    assert len(listed) == len(set(listed))
    assert stays <= set(listed)
    assert pages >= 15


def test_pages_end_where_nobody_is_left() -> None:
    one = fleet_of(20)
    first, page = one.page(Filter(), Order(), limit=10)
    second, last = one.page(Filter(), Order(), limit=10, cursor=page.next)
    assert (first + second, last.next) == (sorted(one.numbers), None)
    for device_id in second:
        one.delete(device_id)
    assert one.page(Filter(), Order(), limit=10, cursor=page.next)[0] == []
    assert OneFleet(devices=0).page(Filter(), Order("uptime"), limit=10)[0] == []


@pytest.mark.parametrize("order", ORDERS, ids=name)
def test_a_cursor_of_another_order_is_refused(order: Order) -> None:
    one = fleet_of(20)
    for other in ORDERS:
        cursor = one.page(Filter(uptime_window_ns=HOUR_NS), other, limit=10)[1].next
        assert cursor is not None
        if other == order:
            assert len(one.page(Filter(uptime_window_ns=HOUR_NS), order, limit=10, cursor=cursor)[0]) == 10
        else:
            with pytest.raises(Malformed, match="another `sort`"):
                one.page(Filter(uptime_window_ns=HOUR_NS), order, limit=10, cursor=cursor)


def packed(*values: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(values)).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "ümläut",
        "\ud800",
        "AAAA" * 1_000,
        packed(),
        packed("id"),
        packed("id", False, None),
        packed("id", False, None, 7),
        packed("id", False, None, None),
        packed("id", 0, None, "a"),
        packed("id", False, "key", "a"),
        packed("id", False, [1], "a"),
        packed(None, False, None, "a"),
        packed("nonsense", False, None, "a"),
        packed({"by": "id"}),
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed, match="cursor"):
        fleet_of(20).page(Filter(), Order(), cursor=cursor)


@pytest.mark.parametrize("key", [None, 0, -1, 2**63, 1.5, float("nan"), float("inf")])
@pytest.mark.parametrize("order", ORDERS, ids=name)
def test_a_cursor_that_somebody_made_up_does_no_harm(order: Order, key: float | None) -> None:
    one = fleet_of(20)
    ids, page = one.page(
        Filter(uptime_window_ns=HOUR_NS), order, cursor=packed(order.by, order.is_descending, key, "0500-a")
    )
    assert page.total == 20
    assert set(ids) <= set(one.numbers)


def test_devices_are_ranked_by_their_ids_whatever_their_numbers_and_one_without_an_id_has_none() -> None:
    chance = random.Random(1)
    ids = [f"{chance.choice('aZ09._-')}{number % 97}{'x' * (number % 5)}{number}" for number in range(IDS_AT_ONCE + 9)]
    chance.shuffle(ids)
    numbers = [(device_id, number) for number, device_id in enumerate(ids) if number != 3]
    listing = Listing.of([*ids[:3], "", *ids[4:], "later"], len(ids))
    assert [device_id for device_id, _ in sorted(numbers)] == [
        listing.ids[number] for _, number in sorted((int(listing.ranks[number]), number) for _, number in numbers)
    ]
    assert (listing.ids[3], len(listing.ranks)) == ("", len(ids))


def test_a_fleet_without_devices_has_an_empty_listing() -> None:
    assert (list(Listing.of([], 0).ids), len(Listing.of([], 0).ranks)) == ([], 0)
