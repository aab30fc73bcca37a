import asyncio

import pytest

from fleetpulse.access.gate import Auth, Gate, Shown
from fleetpulse.access.key_text import hash_key, make_key
from fleetpulse.access_errors import Forbidden, TooManyRequests, Unauthenticated
from fleetpulse.errors import Answerable, UnknownDevice
from fleetpulse.model.access import EVERYBODY, Attempt, Principal, Scope
from fleetpulse.telemetry.counters import Counters

LABELS = {1: {"site": "paris"}, 2: {"site": "rome"}}


def build(auth: Auth = "required", *, is_at_machine: bool = True) -> Gate:
    def has_labels(device: int, scope: Scope) -> bool:
        return all(LABELS[device].get(name) == value for name, value in scope)

    return Gate(
        counters=Counters(),
        auth=auth,
        is_at_machine=is_at_machine,
        has_labels=has_labels,
        id_of=lambda number: f"press-{number}",
    )


def add(gate: Gate, role: str, number: int, *, device: int = -1, scope: Scope = ()) -> str:
    key = make_key(role, number)
    holder = Principal(kind="key", name=f"key {number}", role=role, scope=scope, key=number)
    gate.keys.put(number, hash_key(key.encode()), device=device, principal=holder if device < 0 else None)
    gate.were_keys_made = True
    return key


@pytest.mark.parametrize(
    ("auth", "is_at_machine", "were_made", "is_open"),
    [
        ("auto", True, False, True),
        ("auto", True, True, False),
        ("auto", False, False, False),
        ("required", True, False, False),
        ("off", True, True, True),
        ("off", False, True, True),
    ],
)
def test_when_nobody_needs_a_key(auth: Auth, is_at_machine: bool, were_made: bool, is_open: bool) -> None:
    gate = build(auth, is_at_machine=is_at_machine)
    gate.were_keys_made = were_made
    assert gate.is_protected is not is_open
    assert asyncio.run(gate.identify(Shown())) == (EVERYBODY if is_open else None)


def test_a_key_shows_its_holder_and_a_wrong_one_nobody() -> None:
    gate = build()
    device, reader = add(gate, "device", 7, device=1), add(gate, "read", 8, scope=(("site", "rome"),))
    found = asyncio.run(gate.identify(Shown(device)))
    assert found is not None
    assert (found.role, found.device, found.device_id, found.key) == ("device", 1, "press-1", 7)
    found = asyncio.run(gate.identify(Shown(reader)))
    assert found is not None
    assert (found.role, found.scope) == ("read", (("site", "rome"),))
    for wrong in (device[:-1], f"{device}x", "eyJhbGciOi.x.y", "fp_device_7_"):
        with pytest.raises(Unauthenticated):
            asyncio.run(gate.identify(Shown(wrong)))


def test_which_reports_are_let_in() -> None:
    gate = build()
    own, reader = add(gate, "device", 1, device=1).encode(), add(gate, "read", 2).encode()
    gateway, of_rome = add(gate, "ingest", 3).encode(), add(gate, "ingest", 4, scope=(("site", "rome"),)).encode()
    gate.set_time(600.0)
    for key, device, error in (
        (own, 1, None),
        (gateway, 1, None),
        (gateway, None, None),
        (of_rome, 2, None),
        (own, 2, Forbidden),
        (own, None, Forbidden),
        (reader, 1, Forbidden),
        (of_rome, 1, UnknownDevice),
        (of_rome, None, UnknownDevice),
        (b"fp_ingest_3_", 1, Unauthenticated),
        (b"", 1, Unauthenticated),
    ):
        refusal = gate.refusal_of(key, device)
        assert type(refusal) is (error or type(None)), (key, device)
    assert list(gate.keys.used_minutes) == [0, 10, 0, 10, 10]


def test_the_front_door_decides_only_about_headers_that_show_one_key_or_nothing() -> None:
    gate, key = build(), b"fp_key"
    bearer, named = (b"authorization", b"Bearer fp_key"), (b"x-api-key", b"fp_key")
    for headers, shown, is_plain in (
        ([bearer], key, True),
        ([named], key, True),
        ([(b"host", b"x"), bearer], key, True),
        ([bearer, named], key, False),
        ([bearer, bearer], key, False),
        ([bearer, (b"cookie", b"a=b")], key, False),
        ([(b"authorization", b"Basic fp_key")], key, False),
        ([(b"user-agent", b"fp_key")], key, False),
        ([], b"", True),
        ([(b"user-agent", b"x")], b"", True),
        ([(b"authorization", b"Bearer eyJ")], b"", False),
        ([(b"cookie", b"fleetpulse_session=x")], b"", False),
    ):
        assert gate.is_plain(headers, key=shown) is is_plain, headers
    assert build("off").is_plain([(b"authorization", b"Basic x"), (b"x-forwarded-for", b"1.2.3.4")], key=b"")
    assert not build("auto").is_plain([(b"x-forwarded-for", b"1.2.3.4")], key=b"")


def test_whoever_watches_refusals_may_answer_another_one() -> None:
    gate, seen = build(), []
    late = TooManyRequests("too many", reason="rate_failures", retry_after_s=1)

    def watch(error: Answerable, attempt: Attempt) -> None:
        seen.append((error.reason, attempt.address))

    gate.watchers += [watch, lambda *_: late, watch]
    assert gate.refused(Unauthenticated.without_key(), Attempt(address="10.0.0.1")) is late
    assert seen == [("no_key", "10.0.0.1")] * 2, "all see what was refused, and not what is answered instead"


def test_who_is_refused_is_known_by_the_key() -> None:
    gate, seen = build(), []
    gate.watchers.append(lambda _error, attempt: seen.append(attempt.principal and attempt.principal.name))
    reader, device = add(gate, "read", 1).encode(), add(gate, "device", 2, device=1).encode()
    for error, key in (
        (Forbidden("no", reason="role"), reader),
        (Unauthenticated.expired_key(), device),
        (Unauthenticated.wrong_key(), reader),
        (Forbidden("no", reason="role"), b"fp_read_1_x"),
    ):
        gate.refused(error, Attempt(key))
    assert seen == ["key 1", "key 2", None, None]


def test_a_first_key_is_told_to_whoever_waits_for_it() -> None:
    gate, changes = build("auto"), []
    gate.on_change.append(lambda: changes.append(gate.is_protected))
    add(gate, "read", 1)
    assert changes == [True]
