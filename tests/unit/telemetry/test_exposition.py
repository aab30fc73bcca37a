from fleetpulse.telemetry.exposition import Histogram, exposition


def test_counters_and_gauges_are_written_with_their_help_and_one_series_for_each_reason() -> None:
    page = exposition(
        totals={
            "events_accepted": ("Events accepted", 7),
            "events_refused": ("Events refused", {"unknown_device": 2, "malformed": 1}),
        },
        gauges={"devices": ("Devices registered", 3.5)},
    ).decode()
    assert "# HELP events_accepted_total Events accepted\n# TYPE events_accepted_total counter" in page
    assert "events_accepted_total 7.0" in page
    malformed, unknown = (
        'events_refused_total{reason="malformed"} 1.0',
        'events_refused_total{reason="unknown_device"} 2.0',
    )
    assert page.index(malformed) < page.index(unknown)
    assert "# TYPE devices gauge\ndevices 3.5" in page


def test_a_reason_is_escaped() -> None:
    page = exposition(totals={"refused": ("Refused", {'a"b\\': 1})}, gauges={}).decode()
    assert 'refused_total{reason="a\\"b\\\\"} 1.0' in page


def test_a_counter_without_any_reason_yet_has_no_series() -> None:
    page = exposition(totals={"refused": ("Refused", {})}, gauges={}).decode()
    assert "# TYPE refused_total counter" in page
    assert "\nrefused_total" not in page


def test_a_bucket_of_a_histogram_counts_what_is_in_earlier_buckets_too() -> None:
    lag = Histogram((0.001, 0.5), (2, 3, 1), 1.5)
    page = exposition(totals={}, gauges={}, histograms={"lag_seconds": ("Lag", lag)}).decode()
    assert "# TYPE lag_seconds histogram" in page
    for line in ('bucket{le="0.001"} 2.0', 'bucket{le="0.5"} 5.0', 'bucket{le="+Inf"} 6.0', "count 6.0", "sum 1.5"):
        assert f"lag_seconds_{line}\n" in page
