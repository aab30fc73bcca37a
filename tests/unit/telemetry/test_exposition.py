from fleetpulse.telemetry.distribution import Distribution
from fleetpulse.telemetry.exposition import exposition
from fleetpulse.telemetry.families import Family

FAMILIES = {
    "accepted_total": Family("counter", "Events accepted"),
    "refused_total": Family("counter", "Events refused", ("reason",)),
    "devices": Family("gauge", "Devices registered"),
    "lag_seconds": Family("histogram", "Lag"),
    "took_seconds": Family("histogram", "Time", ("method", "route")),
}


def page(**values: object) -> str:
    return exposition(values, families=FAMILIES).decode()  # type: ignore[arg-type]  # values of several kinds


def test_counters_and_gauges_are_written_with_their_help_and_one_series_for_each_reason() -> None:
    text = page(accepted_total=7, refused_total={"unknown_device": 2, "malformed": 1}, devices=3.5)
    assert "# HELP accepted_total Events accepted\n# TYPE accepted_total counter" in text
    assert "accepted_total 7.0" in text
    malformed, unknown = 'refused_total{reason="malformed"} 1.0', 'refused_total{reason="unknown_device"} 2.0'
    assert text.index(malformed) < text.index(unknown)
    assert "# TYPE devices gauge\ndevices 3.5" in text


def test_a_reason_is_escaped() -> None:
    assert 'refused_total{reason="a\\"b\\\\"} 1.0' in page(refused_total={'a"b\\': 1})


def test_a_counter_without_any_reason_yet_has_no_series() -> None:
    text = page(refused_total={})
    assert "# TYPE refused_total counter" in text
    assert "\nrefused_total" not in text


def test_a_bucket_of_a_histogram_counts_what_is_in_earlier_buckets_too() -> None:
    text = page(lag_seconds=Distribution((0.001, 0.5), (2, 3, 1), 1.5))
    assert "# TYPE lag_seconds histogram" in text
    for line in ('bucket{le="0.001"} 2.0', 'bucket{le="0.5"} 5.0', 'bucket{le="+Inf"} 6.0', "count 6.0", "sum 1.5"):
        assert f"lag_seconds_{line}\n" in text


def test_a_histogram_may_have_several_labels() -> None:
    text = page(took_seconds={("GET", "/"): Distribution((1.0,), (1, 0), 0.5)})
    assert 'took_seconds_bucket{le="1",method="GET",route="/"} 1.0\n' in text
    assert 'took_seconds_sum{method="GET",route="/"} 0.5\n' in text


def test_what_the_client_reads_of_the_process_is_added() -> None:
    text = exposition({}, families=FAMILIES, is_process_shown=True).decode()
    assert "process_resident_memory_bytes" in text
    assert "process_cpu_seconds_total" in text
