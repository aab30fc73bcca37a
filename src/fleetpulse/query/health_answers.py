"""Answers about whether the service runs and is ready; `query.answers` says how shapes are declared."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from fleetpulse.query.answer_fields import Count


class Health(Struct):
    """The process is alive; `read_only`: it accepts nothing until it is restarted."""

    status: Annotated[str, Meta(examples=["ok"])]
    version: Annotated[str, Meta(examples=["0.1.0"])]
    msg: Annotated[str | UnsetType, Meta(description="why it must be restarted")] = UNSET


class Replay(Struct):
    """How far the replay of the journal has come."""

    position: Count
    until: Count
    events: Count


class DiskState(Struct):
    """The disk of the data folder."""

    free_bytes: Count
    msg: Annotated[str | UnsetType, Meta(description="what to know of it, long before it is full")] = UNSET


class Ready(Struct, kw_only=True):
    """Whether events are accepted, and why not."""

    status: Annotated[str, Meta(examples=["ready"])]
    msg: Annotated[
        str | UnsetType, Meta(description="why not", examples=["starting: the journal is being replayed"])
    ] = UNSET
    stage: Annotated[
        str | UnsetType,
        Meta(
            description="of the start: `opening`, `devices`, `snapshot`, `replay`, `catch_up`, `ready`",
            examples=["replay"],
        ),
    ] = UNSET
    replay: Replay
    auth: Annotated[
        Literal["open", "protected", "off"],
        Meta(
            description="`protected`: every request needs a key; `open`: none, but only people at the machine are let "
            "in; `off`: none, and everybody is let in",
            examples=["open"],
        ),
    ]
    warning: Annotated[str | UnsetType, Meta(description="where everybody is let in", examples=[""])] = UNSET
    disk: DiskState | UnsetType = UNSET


class NodeState(Struct, kw_only=True):
    """How far this node has come. Two nodes with equal positions of journal and checkpoint have an equal hash."""

    node: Annotated[str, Meta(description="its name (node_name)", examples=["node1"])]
    is_shared: Annotated[bool, Meta(description="whether other nodes write to the journal, too")]
    position: Annotated[Count, Meta(description="the entry of the journal up to which all is applied")]
    acknowledged: Annotated[Count, Meta(description="the last entry of the journal that this node acknowledged")]
    checkpoint_position: Annotated[Count, Meta(description="the entry of the journal up to which all is in blocks")]
    catalog_version: Annotated[Count, Meta(description="the version of the catalog that it knows; 0 where it is alone")]
    holder: Annotated[
        str,
        Meta(
            description="the process that has the lease, as far as this node knows; empty: none", examples=["node1-4f"]
        ),
    ]
    epoch: Annotated[Count, Meta(description="how many terms of the lease there were, as far as this node knows")]
    is_holder: Annotated[bool, Meta(description="whether this node does what only one may do, such as checkpoints")]
    msg: Annotated[str | UnsetType, Meta(description="why it cannot apply entries at the moment")] = UNSET
    hash: Annotated[
        str | UnsetType,
        Meta(description="SHA-256 of what its fleet holds, where `hash` was asked for", examples=["e3b0c44298fc1c14"]),
    ] = UNSET
