"""The id of a request: the client's own where it is plain and short, else a new one."""

import pytest

from fleetpulse.api.request_id import give_id, request_id_of


@pytest.mark.parametrize(
    ("sent", "is_taken"),
    [
        ([b"7f3a-11"], True),
        ([b"Root=1-67891233-abcdef012345678912345678"], True),
        ([b"a" * 64], True),
        ([b"a" * 65], False),
        ([b""], False),
        ([b"two words"], False),
        ([b"a\x00"], False),
        ([b'"><script>'], False),
        ([b"\xc3\xa9"], False),
        ([b"a", b"b"], False),
        ([], False),
    ],
)
def test_an_id_is_taken_where_it_is_plain(sent: list[bytes], is_taken: bool) -> None:
    scope = {"headers": [(b"host", b"h"), *((b"x-request-id", value) for value in sent)]}
    found = give_id(scope)
    assert request_id_of(scope) == found
    assert (found.encode() in sent) == is_taken
    assert is_taken or len(found) == 16


def test_two_requests_have_different_ids() -> None:
    assert give_id({"headers": []}) != give_id({"headers": []})
