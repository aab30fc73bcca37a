from cli_text import printed
from fleetpulse.cli.keys import _facts, _list_parts, _made_key_parts
from fleetpulse.query.key_answers import Key, KeyList, MadeKey

FIELDS = {
    "number": 7,
    "begins": "fp_read_7_…",
    "role": "read",
    "scope": ["site:paris"],
    "description": "dashboard",
    "created_at": "2026-11-24T08:30:00Z",
    "created_by": "key 1",
    "expires_at": None,
    "last_used_at": None,
}


def test_a_new_key_is_shown_with_its_text() -> None:
    text = printed(*_made_key_parts(MadeKey(**FIELDS, key="fp_read_7_secret")))
    assert "fp_read_7_secret" in text
    assert "only time" in text
    assert "by key 1" in text


def test_a_revoked_key_says_since_when() -> None:
    key = Key(**FIELDS, revoked_at="2026-11-25T08:30:00Z", revoked_by="key 2")
    assert "2026-11-25T08:30:00Z by key 2" in printed(_facts(key))
    assert "revoked 2026-11-25T08:30:00Z" in printed(*_list_parts(KeyList([key], "7")))


def test_a_list_says_whose_keys_these_are_and_whether_there_are_more() -> None:
    keys = [Key(**FIELDS), Key(**{**FIELDS, "role": "device", "scope": []}, device_id="press-07")]
    text = printed(*_list_parts(KeyList(keys, "7")))
    for part in ("site:paris", "press-07", "never", "2 shown", "--limit"):
        assert part in text
