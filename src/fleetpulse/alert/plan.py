"""What the planner is given in a round, and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fleetpulse.alert.columns import Changes, RoundNames
from fleetpulse.alert.condition import NO_SUBJECTS
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.alert import AlertDecision, AlertNote, Incident, Silence
from fleetpulse.model.alert_rule import AlertRule
from fleetpulse.model.message import Message
from fleetpulse.model.receiver import NO_ROUTING, Routing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RoundFacts:
    """A round of the lifecycle, and what decides who is told of it.

    Attributes:
        rules: by place, as columns and `names` have them.
        ids: ids of devices by number; may be longer than the roster.
        last_received_ns: of each device, int64, shape (devices,).
        silences: those that have not ended.
        decisions: what people decided of open alerts, by number.
        units: of metrics, by name.
        blind_ns: a span in which the service did not run, of which nobody was told yet; None: there is none.
    """

    changes: Changes
    names: RoundNames
    rules: Sequence[AlertRule]
    roster: Roster
    ids: Sequence[str]
    last_received_ns: NDArray[np.int64]
    silences: Sequence[Silence] = ()
    decisions: Mapping[int, AlertDecision] = field(default_factory=dict)
    routing: Routing = NO_ROUTING
    units: Mapping[str, str] = field(default_factory=dict)
    blind_ns: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What the planner has decided, beside its own new state.

    Attributes:
        messages: to be stored in the outbox with the round, in the order in which they are to be sent.
        incidents: new ones, and those that have changed.
        members, incident_of: alerts that belong to another incident than before: their numbers, and those of the
            incidents (0: none any more); int64, shape (n,).
    """

    messages: Sequence[Message] = ()
    incidents: Sequence[Incident] = ()
    members: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    incident_of: NDArray[np.int64] = field(default_factory=lambda: NO_SUBJECTS)
    notes: Sequence[AlertNote] = ()
