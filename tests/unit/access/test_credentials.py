import pytest

from fleetpulse.access.credentials import check_query, shown_in
from fleetpulse.access.gate import Shown
from fleetpulse.access_errors import Unauthenticated
from fleetpulse.errors import Malformed

KEY = "fp_read_1_x"


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        ([], Shown()),
        ([(b"authorization", b"Bearer " + KEY.encode())], Shown(KEY)),
        ([(b"authorization", b"bearer   " + KEY.encode() + b" ")], Shown(KEY)),
        ([(b"x-api-key", KEY.encode())], Shown(KEY)),
        ([(b"cookie", b"a=b; fleetpulse_session=xyz; c=d")], Shown("", "xyz")),
        ([(b"cookie", b"other_fleetpulse_session=xyz")], Shown()),
    ],
)
def test_what_a_header_shows(headers: list[tuple[bytes, bytes]], shown: Shown) -> None:
    assert shown_in(headers) == shown


def test_two_keys_and_other_schemes_are_refused() -> None:
    with pytest.raises(Malformed, match="two keys"):
        shown_in([(b"x-api-key", b"a"), (b"authorization", b"Bearer a")])
    for value in (b"Basic dXNlcjpw", b"Bearer", b"Bearer ", b""):
        with pytest.raises(Unauthenticated) as caught:
            shown_in([(b"authorization", value)])
        assert caught.value.reason == "wrong_scheme"


@pytest.mark.parametrize(
    "query",
    [
        b"key=fp_read_1_x",
        b"a=1&token=fp%5Fdevice%5f1",
        b"fp_admin_2_",
        b"refresh_token=fpr_0123456789abcdef0123456789abcdef_0_8f",
        b"a=fps%5f0123456789abcdef0123456789abcdef",
        b"access_token=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.8f",
        b"access_token=eyJhbGciOiJIUzI1NiJ9%2EeyJzdWIiOiJhbGljZSJ9%2e",
    ],
)
def test_a_key_in_the_query_is_refused(query: bytes) -> None:
    with pytest.raises(Unauthenticated) as caught:
        check_query(query)
    assert caught.value.reason == "key_in_query"
    for harmless in (b"text=fp_press&window=1h", b"text=fpr_1", b"text=eyJ.a.b", b""):
        check_query(harmless)
