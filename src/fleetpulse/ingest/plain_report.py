"""A report in plain form, as the front door reads it: its body is decoded, and its events are given to the intake."""

from fleetpulse.ingest.bodies import HEARTBEAT_FIELDS, REPORT_FIELDS, STATS_FIELDS
from fleetpulse.ingest.decode import decode_heartbeat, decode_metrics, decode_stats
from fleetpulse.ingest.intake import Intake, Waiter
from fleetpulse.ingest.report_gate import ReportLanes

_HEARTBEAT, _STATS, _METRICS = b"heartbeat", b"stats", b"metrics"
KNOWN_FIELDS = {_HEARTBEAT: HEARTBEAT_FIELDS, _STATS: STATS_FIELDS, _METRICS: REPORT_FIELDS}
"""The fields of the body of each route, by the last part of its path."""


def take_report(  # noqa: PLR0917  # for each heartbeat: names would cost
    intake: Intake, lanes: ReportLanes, route: bytes, device: int | None, body: bytes, waiter: Waiter
) -> None:
    """Decode the body of a route of KNOWN_FIELDS, and give its events to the intake.

    Args: device: None where it is not known yet; then the body is checked only, and nothing is given to the intake.
    Raises: Answerable: nothing was accepted.
    """
    # This runs for every heartbeat: straight, and without a call that is not needed.
    if intake.room < 1:
        raise intake.refusal()
    if device in lanes.spent:
        lanes.check(device)
    earliest_ns, latest_ns, commas = intake.earliest_ns, intake.latest_ns, 0
    if route == _HEARTBEAT:
        sent_at_ns = decode_heartbeat(body, earliest_ns=earliest_ns, latest_ns=latest_ns)
        if device is not None:
            lanes.charge(device, sent_at_ns)
            intake.add_heartbeat(device, sent_at_ns, waiter)
    elif route == _METRICS:
        report = decode_metrics(body, earliest_ns=earliest_ns, latest_ns=latest_ns, known=intake.metrics)
        if intake.room < report.events:
            raise intake.refusal()
        commas = report.events
        if device is not None:
            lanes.charge(device, report.sent_at_ns)
            intake.add_report(device, report, waiter)
            intake.received += report.events - 1
    else:
        sent_at_ns, upload_time = decode_stats(body, earliest_ns=earliest_ns, latest_ns=latest_ns)
        commas = 1
        if device is not None:
            lanes.charge(device, sent_at_ns)
            intake.add_sample(device, sent_at_ns, upload_time, waiter)
    if device is not None and b"," in body and body.count(b",") > commas:
        intake.unknown_fields.look(device, body, KNOWN_FIELDS[route])
