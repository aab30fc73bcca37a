"""Graces of metrics and of reception gaps are kept side by side, and survive the catalog's being opened anew."""

from pathlib import Path

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.model.manifest import GAPS
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.retention import NEVER_ENDS_NS, Grace


def test_what_keeps_gaps_stands_beside_what_keeps_samples(tmp_path: Path) -> None:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    catalog.retention.keep_gaps(90, until_ns=5)
    catalog.retention.keep_gaps(30, until_ns=9)
    for days in (90, 30):
        number = catalog.put_metric(MetricDefinition(name="cpu", retention_days=days), metrics_max=9, keep_until_ns=7)
    catalog.close()
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    graces = catalog.retention.graces()
    catalog.close()
    assert sorted(graces) == [GAPS, number]
    assert [(grace.days, grace.until_ns) for grace in graces[GAPS]] == [(30, NEVER_ENDS_NS), (90, 9), (2**31, 5)]
    assert graces[number] == [Grace("raw_days", 90, 7), Grace("retention_days", 90, 7)]
