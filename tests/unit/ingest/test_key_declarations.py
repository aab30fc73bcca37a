import msgspec
import pytest

from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.ingest.key_declarations import KeyWish, NewKey, wished_key

NOW_NS = 1_764_000_000_000_000_000


def wish(body: str) -> KeyWish:
    return wished_key(msgspec.json.decode(body, type=NewKey), now_ns=NOW_NS)


def test_a_wish_has_what_the_body_says() -> None:
    body = '{"role": "read", "scope": ["site:paris", "hall:2:a"], "description": "d", "expires_in": "1h"}'
    assert wish(body) == KeyWish(
        role="read", scope=(("hall", "2:a"), ("site", "paris")), description="d", expires_at_ns=NOW_NS + 3_600 * 10**9
    )
    assert wish('{"role": "device", "device_id": "a"}') == KeyWish(role="device", device_id="a")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"role": "device"}', "needs `device_id`"),
        ('{"role": "read", "device_id": "a"}', "no other role"),
        ('{"role": "scrape", "scope": ["a:b"]}', "takes no scope"),
        ('{"role": "device", "device_id": "a", "scope": ["a:b"]}', "takes no scope"),
        ('{"role": "read", "scope": ["site"]}', "name:value"),
        ('{"role": "read", "scope": [":x"]}', "name:value"),
        ('{"role": "read", "scope": ["a b:x"]}', "label name"),
        ('{"role": "read", "scope": ["a:x", "a:y"]}', "two values"),
        ('{"role": "read", "description": "a\\u0000"}', "description"),
        ('{"role": "read", "expires_at": "2020-01-01T00:00:00Z"}', "later than now"),
        ('{"role": "read", "expires_at": "2300-01-01T00:00:00Z"}', "2200"),
        ('{"role": "read", "expires_in": "0s"}', "expires_in|later than now"),
        ('{"role": "read", "expires_in": "x"}', "expires_in"),
        ('{"role": "read", "expires_in": "90"}', "expires_in"),
        ('{"role": "read", "expires_at": "soon"}', "expires_at"),
        ('{"role": "read", "expires_in": "1h", "expires_at": "2030-01-01T00:00:00Z"}', "not both"),
    ],
)
def test_a_wrong_wish_is_refused_with_what_is_expected(body: str, text: str) -> None:
    with pytest.raises((Malformed, OutOfRange), match=text):
        wish(body)


@pytest.mark.parametrize("body", ['{"role": "enrol"}', '{"role": "root"}', '{"role": "read", "key": "x"}'])
def test_roles_and_fields_that_there_are_not_are_refused(body: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=NewKey)
