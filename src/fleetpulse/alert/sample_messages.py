"""Messages by which texts are tried: of each kind one, about devices that there need not be."""

from fleetpulse.model.message import Cause, Message, MessageAlert, MessageKind
from fleetpulse.model.units import NS_PER_S

SAMPLE_KINDS = ("firing", "incident", "resolved", "reminder", "escalation", "flapping", "blind", "test")
_MINUTE = 60 * NS_PER_S


def sample_message(kind: str, *, receiver: str, now_ns: int) -> Message:
    """A message of one of SAMPLE_KINDS. Raises: ValueError: there is no such kind."""
    if kind not in SAMPLE_KINDS:
        raise ValueError(f"kind must be one of {', '.join(SAMPLE_KINDS)}, not `{kind[:64]}`")
    if kind in ("blind", "test"):
        span = (now_ns - 30 * _MINUTE, now_ns) if kind == "blind" else None
        known: MessageKind = "blind" if kind == "blind" else "test"
        return Message(key="sample", receiver=receiver, kind=known, at_ns=now_ns, severity="info", blind_ns=span)
    devices = ["press-07", "press-08"] if kind == "incident" else ["press-07"]
    is_over = kind == "resolved"
    alerts = tuple(_alert(number, device, now_ns, is_over=is_over, times=4 if kind == "flapping" else 1)
                   for number, device in enumerate(devices, 1))  # fmt: skip
    explanation = "12 of the 14 devices with site=paris (86 %) went down within 60 s"
    cause = Cause(incident=1, label="site", value="paris", down=12, devices=14, explanation=explanation)
    firing: MessageKind = "firing"
    kinds: dict[str, MessageKind] = {
        "resolved": "resolved", "reminder": "reminder", "escalation": "escalation", "flapping": "flapping",
    }  # fmt: skip
    return Message(
        key="sample",
        receiver=receiver,
        kind=kinds.get(kind, firing),
        at_ns=now_ns,
        severity="critical",
        group={"site": "paris"} if kind == "incident" else {"rule": "device-offline"},
        firing=0 if is_over else 12 if kind == "incident" else 1,
        resolved=int(is_over),
        omitted=10 if kind == "incident" else 0,
        alerts=alerts,
        cause=cause if kind == "incident" else None,
        escalation=int(kind == "escalation"),
    )


def _alert(number: int, device: str, now_ns: int, *, is_over: bool, times: int) -> MessageAlert:
    return MessageAlert(
        number=number,
        rule="device-offline",
        severity="critical",
        subject=device,
        state="resolved" if is_over else "firing",
        since_ns=now_ns - 6 * _MINUTE,
        fired_at_ns=now_ns - _MINUTE,
        last_received_ns=now_ns - 7 * _MINUTE,
        resolved_at_ns=now_ns if is_over else 0,
        resolution="recovered" if is_over else "",
        times=times,
        labels={"site": "paris"},
        annotations={"summary": f"{device} has not been heard"},
        owner="line maintenance",
    )
