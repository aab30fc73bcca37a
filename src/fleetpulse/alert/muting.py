"""Of which alerts nobody is told at the moment: silenced, snoozed, withheld, or inhibited by a more severe one."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.labelled import LabelledAlerts
from fleetpulse.model.alert import FIRING, Silence, labels_of_group


def muted(
    labelled: LabelledAlerts, silences: Sequence[Silence], device_numbers: Mapping[str, int], *, now_ns: int
) -> NDArray[np.bool_]:
    """Which alerts people are not told of now: bool, shape (n,).

    It holds back beginnings, reminders and escalations. Whoever was told that an alert fires is told of its end, too.
    Args: device_numbers: by the ids of devices that silences name.
    """
    columns = labelled.alerts.of
    is_muted: NDArray[np.bool_] = (columns["snoozed_until_ns"] > now_ns) | columns["is_withheld"]
    for silence in silences:
        if silence.start_ns <= now_ns < silence.end_ns:
            is_muted |= labelled.having(silence.labels, dict(device_numbers))
    return is_muted | _inhibited(labelled, (columns["state"] == FIRING) & ~is_muted)


def next_change_ns(labelled: LabelledAlerts, silences: Sequence[Silence], *, now_ns: int) -> int:
    """When a silence or a snooze begins or ends next; 0: never."""
    snoozes = labelled.alerts.of["snoozed_until_ns"]
    times = [at_ns for silence in silences for at_ns in (silence.start_ns, silence.end_ns)]
    times += snoozes[snoozes > now_ns].min(keepdims=True).tolist() if (snoozes > now_ns).any() else []
    return min((at_ns for at_ns in times if at_ns > now_ns), default=0)


def _inhibited(labelled: LabelledAlerts, sources: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which alerts a more severe one of the same device, or of a group that has its label, makes needless to tell."""
    columns, devices = labelled.alerts.of, labelled.devices()
    severities = columns["severity"].astype(np.int64)
    inhibited = np.zeros(len(labelled), bool)
    of_device = np.flatnonzero(devices >= 0)
    if len(of_device):
        highest = np.full(int(devices.max()) + 1, -1, np.int64)
        telling = of_device[sources[of_device]]
        np.maximum.at(highest, devices[telling], severities[telling])
        inhibited[of_device] = severities[of_device] < highest[devices[of_device]]
    for row in np.flatnonzero(sources & (devices < 0)).tolist():
        groups = labelled.names.groups[int(columns["rule"][row])]
        for name, value in labels_of_group(groups[int(columns["subject"][row])] if groups else "").items():
            codes, values = labelled.label(name)
            inhibited |= (codes == values.index(value)) & (severities < severities[row])
    return inhibited
