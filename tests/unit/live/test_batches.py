import numpy as np

from fleetpulse.live.batches import join_heartbeats, join_reported_samples, metrics_reports
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.samples import SampleColumns


def batch(received_at_ns: int, *devices: int) -> EventColumns:
    """A heartbeat and a sample of each device."""
    events = EventBatch(received_at_ns=received_at_ns)
    for device in devices:
        events.heartbeat_devices.append(device)
        events.heartbeat_sent_at_ns.append(received_at_ns - device)
        events.sample_devices.append(device)
        events.sample_sent_at_ns.append(received_at_ns)
        events.sample_values.append(10 * device)
        events.sample_metrics.append(0)
    return EventColumns.of(events)


def test_heartbeats_of_all_batches_are_one_column_each_with_when_it_was_received() -> None:
    sent_at_ns, received = join_heartbeats([batch(100, 1, 2), batch(200, 1)], floor_ns=0)
    assert sent_at_ns.tolist() == [99, 98, 199]
    assert (received.devices.tolist(), received.at_ns.tolist()) == ([1, 2, 1], [100, 100, 200])


def test_samples_of_all_batches_are_one_column_each_with_when_they_were_received() -> None:
    samples, received = join_reported_samples([batch(100, 1, 2), batch(200, 1)], floor_ns=0)
    assert (samples.values.tolist(), samples.at_ns.tolist()) == ([10, 20, 10], [100, 100, 200])
    assert received.at_ns.tolist() == [100, 100, 200]


def test_a_clock_that_steps_back_a_little_never_orders_a_later_event_before_an_earlier_one() -> None:
    received = join_heartbeats([batch(100, 1), batch(90, 1), batch(95, 1), batch(110, 1)], floor_ns=0)[1]
    assert received.at_ns.tolist() == [100, 100, 100, 110]


def test_the_columns_of_a_single_batch_are_not_copied() -> None:
    events = batch(100, 1, 2)
    sent_at_ns, received = join_heartbeats([events], floor_ns=0)
    assert sent_at_ns is events.heartbeat_sent_at_ns
    assert received.devices is events.heartbeat_devices
    assert np.array_equal(received.at_ns, [100, 100])


def test_a_report_of_metrics_shows_once_that_its_device_was_running_and_an_upload_time_does_not() -> None:
    rows = [(1, 0, 10), (1, 4, 10), (1, 5, 10), (2, 0, 10), (1, 4, 11), (2, 0, 12), (2, 5, 11)]
    devices, metrics, at_ns = (np.array(column) for column in zip(*rows, strict=True))
    samples = SampleColumns(devices.astype(np.uint32), metrics.astype(np.uint16), at_ns, np.zeros(len(rows), np.int64))
    reporting, sent_at_ns = metrics_reports(samples, [])
    assert list(zip(reporting.tolist(), sent_at_ns.tolist(), strict=True)) == [(1, 10), (1, 11), (2, 11)]
    assert len(metrics_reports(samples.where(metrics == 0), [])[0]) == 0
