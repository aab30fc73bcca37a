import pytest

from fleetpulse.access.scopes import check_within, is_within, labels_within, scope_text
from fleetpulse.access_errors import Forbidden

SCOPE = (("site", "paris"), ("line", "3"))


@pytest.mark.parametrize(
    ("labels", "whole"),
    [
        ({}, {"site": "paris", "line": "3"}),
        ({"site": "paris", "hall": "2"}, {"site": "paris", "line": "3", "hall": "2"}),
        ({"site": "rome"}, None),
        ({"line": ""}, None),
    ],
)
def test_labels_of_what_is_new_are_filled_up_with_those_of_the_scope(
    labels: dict[str, str], whole: dict[str, str] | None
) -> None:
    if whole is None:
        with pytest.raises(Forbidden, match="site:paris, line:3"):
            labels_within(labels, SCOPE)
    else:
        assert labels_within(labels, SCOPE) == whole


def test_without_a_scope_every_device_is_within() -> None:
    assert is_within({}, ())
    check_within({"site": None}, ())
    assert labels_within({"a": "b"}, ()) == {"a": "b"}
    assert scope_text(()) == ""
