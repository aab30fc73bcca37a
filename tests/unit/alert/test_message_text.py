"""The text of messages: what, since when, last heard, how many, likely cause, and links."""

import pytest

from alert_messages import AT, SECOND, SITE_DOWN, alert, message
from fleetpulse.alert.message_text import ALERT_FIELDS, MESSAGE_FIELDS, Links, check_templates, text_of, what_of
from fleetpulse.model.message import Cause, Message
from fleetpulse.model.receiver import Receiver

HOOK = Receiver(name="hook", kind="webhook", url="https://example.com")
LINKS = Links("https://fleet.example", "https://fleet.example/alerts/acknowledge?token=t")


def test_the_text_of_an_incident_says_all_of_it() -> None:
    text = text_of(SITE_DOWN, HOOK, LINKS)
    assert text.title == "[FIRING critical] 12 of 14 devices of site=paris are down"
    assert text.body == (
        "12 of 14 devices of site=paris are down.\n"
        "Likely cause: 12 of the 14 devices with site=paris (86 %) went down within 60 s.\n"
        "\n"
        "- pump-1: offline (critical), firing, since 2025-11-27T18:35:00Z, last heard 2025-11-27T18:34:00Z\n"
        "- pump-2: offline (critical), firing, since 2025-11-27T18:35:00Z\n"
        "and 10 more\n"
        "\n"
        "All of it: https://fleet.example/api/v1/alerts/incidents/3\n"
        "Acknowledge: https://fleet.example/alerts/acknowledge?token=t\n"
        "As it was at 2025-11-27T18:40:00Z.\n"
    )
    assert not text.trouble


ENDED = alert(state="resolved", resolved_at_ns=AT - 60 * SECOND, resolution="ran")


@pytest.mark.parametrize(
    ("sent", "title"),
    [
        (message(alert()), "[FIRING critical] pump-7: offline since 2025-11-27T18:35:00Z"),
        (message(alert(), kind="reminder"), "[STILL FIRING critical] pump-7: offline since 2025-11-27T18:35:00Z"),
        (
            message(ENDED, kind="resolved", firing=0, resolved=1),
            "[RESOLVED] pump-7: offline has ended after 4 m (was running, the link was down)",
        ),
        (
            message(alert(), ENDED, firing=1, resolved=1, group={"rule": "offline"}),
            "[FIRING critical] 1 alert firing, 1 ended (rule=offline)",
        ),
        (
            message(alert(times=4), kind="flapping"),
            "[FLAPPING] pump-7: offline begins and ends again and again, 4 times so far",
        ),
        (message(kind="test"), "[TEST] This is a test of the receiver; nothing has happened"),
        (
            message(kind="blind", blind_ns=(AT - 60 * SECOND, AT)),
            "[BLIND] fleetpulse did not run from 2025-11-27T18:39:00Z to 2025-11-27T18:40:00Z:",
        ),
    ],
)  # fmt: skip
def test_titles_say_what_happened(sent: Message, title: str) -> None:
    text = text_of(sent, HOOK, Links())
    assert text.title.startswith(title) and "http" not in text.body


def test_a_receiver_may_have_templates_of_its_own() -> None:
    own = Receiver(
        name="hook", kind="webhook", url="https://example.com", title_template="{status} {group.site}",
        body_template="{#alerts}{subject} at {label.site}{?value} {value}{/value};{/alerts}{lost}",
    )  # fmt: skip
    check_templates(own)
    text = text_of(SITE_DOWN, own, Links(lost=2))
    assert text == ("FIRING critical paris", "pump-1 at paris;pump-2 at paris;2 earlier messages\n", "")


def test_a_template_that_fails_gives_the_built_in_text_and_says_so() -> None:
    for template in ("{nonsense}", "{what}" * 900):
        sent = message(alert(subject="a" * 100))
        text = text_of(sent, Receiver(name="hook", kind="webhook", url="https://a", body_template=template), Links())
        assert (
            "offline since" in text.title and "This is the built-in text: the templates of receiver hook" in text.body
        )
        assert text.trouble


def test_wrong_templates_are_refused_when_they_are_declared() -> None:
    with pytest.raises(ValueError, match="body: line 1, column 3"):
        check_templates(Receiver(name="hook", kind="webhook", url="https://a", body_template="a {nonsense}"))


def test_values_call_nobody_and_stay_in_their_line() -> None:
    sent = message(alert(labels={"site": "@everyone\n<!channel> [x](http://a)"}), group={"site": "@here\r\nBcc: a"})
    body = "{#alerts}{label.site}{/alerts}"
    own = Receiver(name="h", kind="webhook", url="https://a", title_template="{group.site}", body_template=body)
    text = text_of(sent, own, Links())
    assert (
        "@everyone" not in text.body and "<" not in text.body and "](" not in text.body and text.body.count("\n") == 1
    )
    assert "@here" not in text.title and "\n" not in text.title and "\r" not in text.title


def test_every_field_has_a_value_somewhere() -> None:
    full = alert(
        value=1.5, unit="%", times=3, owner="ops", acknowledged_by="alice", state="resolved", resolved_at_ns=AT,
        resolution="recovered", last_received_ns=AT,
    )  # fmt: skip
    sent = message(full, cause=SITE_DOWN.cause, omitted=2, resolved=1, beyond=3)
    names = [f"{name}={{{name}}}" for name in MESSAGE_FIELDS]
    names += ["{#alerts}", *(f"{name}={{{name}}}" for name in ALERT_FIELDS), "{/alerts}"]
    own = Receiver(name="h", kind="webhook", url="https://a", body_template="\n".join(names))
    check_templates(own)
    body = text_of(sent, own, LINKS._replace(lost=1)).body
    assert not [line for line in body.splitlines() if line.endswith("=")]


def test_an_incident_that_ended_otherwise_does_not_say_that_devices_have_returned() -> None:
    cause = Cause(incident=3, label="site", value="paris", down=0, devices=3, explanation="why")
    for resolution, what in (
        ("recovered", "2 of 3 devices of site=paris have returned"),
        ("ran", "2 of 3 devices of site=paris have returned"),
        ("removed", "the alerts of 2 of 3 devices of site=paris have ended"),
        ("rule_changed", "the alerts of 2 of 3 devices of site=paris have ended"),
    ):
        ends = [
            alert(1, "a", state="resolved", resolved_at_ns=AT, resolution="recovered"),
            alert(2, "b", state="resolved", resolved_at_ns=AT, resolution=resolution),
        ]
        assert what_of(message(*ends, kind="resolved", firing=0, resolved=2, cause=cause)) == what
