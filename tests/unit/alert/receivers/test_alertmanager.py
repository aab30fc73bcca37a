"""What Alertmanager is handed."""

from alert_messages import AT, SECOND, SITE_DOWN, alert, message
from fleetpulse.alert.receivers.alertmanager import address_of, alerts_of


def test_the_address_takes_alerts_whatever_was_declared() -> None:
    for url in ("http://am:9093", "http://am:9093/", "http://am:9093/api/v2/alerts"):
        assert address_of(url) == "http://am:9093/api/v2/alerts"
    assert address_of("https://am/prefix/") == "https://am/prefix/api/v2/alerts"


def test_a_firing_alert_ends_unless_it_is_sent_again() -> None:
    sent = message(alert(labels={"site.name": "paris", "severity": "hidden"}, annotations={"summary": "s"}))
    assert alerts_of(sent, at_ns=AT, resend_s=60, base="https://fleet.example") == [
        {
            "labels": {"site_name": "paris", "alertname": "offline", "severity": "critical", "subject": "pump-7"},
            "annotations": {"summary": "s"},
            "startsAt": "2025-11-27T18:35:00Z",
            "endsAt": "2025-11-27T18:44:00Z",
            "generatorURL": "https://fleet.example/api/v1/alerts/12",
        }
    ]


def test_an_alert_that_ended_has_its_end() -> None:
    sent = message(alert(state="resolved", resolved_at_ns=AT - SECOND), kind="resolved")
    assert alerts_of(sent, at_ns=AT, resend_s=60, base="")[0]["endsAt"] == "2025-11-27T18:39:59Z"


def test_an_incident_is_an_alert_of_its_label() -> None:
    incident = alerts_of(SITE_DOWN, at_ns=AT, resend_s=60, base="")[-1]
    assert incident["labels"] == {"alertname": "fleetpulse_incident", "severity": "critical", "site": "paris"}
    assert incident["annotations"]["summary"] == "12 of 14 devices down"


def test_tests_and_blind_time_are_alerts_that_end_by_themselves() -> None:
    assert alerts_of(message(kind="test"), at_ns=AT, resend_s=60, base="")[0]["endsAt"] == "2025-11-27T18:41:00Z"
    blind = alerts_of(message(kind="blind", blind_ns=(AT - SECOND, AT)), at_ns=AT, resend_s=60, base="")
    assert blind[0]["labels"]["alertname"] == "fleetpulse_blind"
