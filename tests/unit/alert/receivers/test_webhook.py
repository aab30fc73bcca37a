"""The body of a webhook."""

import json

from alert_messages import AT, SECOND, SITE_DOWN, alert, message
from fleetpulse.alert.message_text import Links, text_of
from fleetpulse.alert.receivers.letter import Letter
from fleetpulse.alert.receivers.webhook import body_of
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import Receiver

HOOK = Receiver(name="hook", kind="webhook", url="https://example.com/hidden")


def body(sent: Message, links: Links) -> dict[str, object]:
    letter = Letter(sent, HOOK, HOOK.url, "hidden", text_of(sent, HOOK, links), links, AT)
    assert "hidden" not in repr(letter)
    found: dict[str, object] = json.loads(body_of(letter))
    return found


def test_the_body_has_all_facts_and_the_text() -> None:
    found = body(SITE_DOWN, Links("https://fleet.example", "https://fleet.example/a"))
    assert found["key"] == "site" and found["firing"] == 12 and found["omitted"] == 10 and found["version"] == 1
    explanation = "12 of the 14 devices with site=paris (86 %) went down within 60 s."
    facts = {"incident": 3, "label": "site", "value": "paris", "down": 12, "devices": 14, "explanation": explanation}
    assert found["cause"] == facts
    assert found["url"] == "https://fleet.example/api/v1/alerts/incidents/3"
    assert found["acknowledge_url"] == "https://fleet.example/a" and "pump-2" in str(found["text"])


def test_what_there_is_not_is_null() -> None:
    found = body(message(alert(), kind="blind", blind_ns=(AT - SECOND, AT)), Links())
    assert found["cause"] is found["url"] is found["acknowledge_url"] is None
    assert found["blind"] == ["2025-11-27T18:39:59Z", "2025-11-27T18:40:00Z"]
    assert found["alerts"][0]["resolved_at"] is None  # type: ignore[index]  # JSON
