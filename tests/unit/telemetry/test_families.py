import re

from fleetpulse.telemetry.families import FAMILIES, GROUPS

_LABEL = re.compile(r"[a-z][a-z_]*")


def test_names_end_as_prometheus_wants_them() -> None:
    for name, family in FAMILIES.items():
        assert re.fullmatch(r"fleetpulse_[a-z_]+", name), name
        assert name.endswith("_total") is (family.kind == "counter"), name
        assert not re.search(r"_(ms|ns|minutes|hours|percent|kb|mb)$", name), name
        assert family.text.strip() == family.text != "", name
        assert all(_LABEL.fullmatch(label) for label in family.labels), name


def test_no_name_is_declared_twice() -> None:
    assert len(FAMILIES) == sum(map(len, GROUPS.values()))
