"""Answers about blocks that people have to decide on; `query.answers` says how shapes are declared."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from fleetpulse.blocks.manifest_note import way_back
from fleetpulse.blocks.set_aside import SetAsideBlock
from fleetpulse.model.manifest import Manifest
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answer_fields import Count, Time


class SetAside(Struct, kw_only=True):
    """A block that is damaged or missing, and what was written of it."""

    name: Annotated[str, Meta(description="of the file", examples=["presence-20782-41-18ebc856.parquet"])]
    msg: Annotated[str, Meta(description="what is wrong", examples=["block … is missing"])]
    since: Annotated[Time, Meta(description="when it was found")]
    bytes: Annotated[Count, Meta(description="its size when it was written")]
    sha256: Annotated[str, Meta(description="its checksum when it was written", examples=["9f86d081884c7d65"])]


class KeptManifest(Struct, kw_only=True):
    """A manifest of another copy of this data folder, whose files are kept as long as it is there."""

    name: Annotated[str, Meta(description="of the file beside the blocks", examples=["manifest-41-9f86d081.json"])]
    taken_at: Annotated[Time, Meta(description="when the checkpoint was taken that it is of")]
    position: Annotated[Count, Meta(description="up to which journal entry its blocks hold history", examples=[41])]
    files: Annotated[Count, Meta(description="how many files it names", examples=[12])]
    msg: Annotated[str, Meta(description="what it is for, and how to give it up", examples=["to go back to it, …"])]


class SetAsideList(Struct, kw_only=True):
    """Blocks that are set aside until they are copied back, and what else among the blocks people must decide on."""

    set_aside: list[SetAside]
    kept_manifests: Annotated[list[KeptManifest], Meta(description="of other copies of this data folder")]
    unknown: Annotated[
        list[str],
        Meta(
            description="names of files that this catalog did not write, as of the last checkpoint; they are never "
            "removed",
            examples=[[]],
        ),
    ]
    restored: Annotated[
        list[str], Meta(description="names of those that this request found whole again", examples=[[]])
    ]


def describe_set_aside(
    blocks: Iterable[SetAsideBlock], restored: Sequence[str], *, kept: Mapping[str, Manifest], unknown: Collection[str]
) -> SetAsideList:
    """The blocks that are set aside.

    Args:
        restored: names of those that were until now.
        kept: manifests of other copies of the folder, by the names of their notes.
        unknown: names of files that the catalog did not write.
    """
    return SetAsideList(
        set_aside=[
            SetAside(
                name=block.file.name,
                msg=block.because,
                since=format_rfc3339(block.since_ns),
                bytes=block.file.size_bytes,
                sha256=block.file.sha256,
            )
            for block in blocks
        ],
        kept_manifests=[
            KeptManifest(
                name=name,
                taken_at=format_rfc3339(manifest.taken_at_ns),
                position=manifest.position,
                files=len(manifest.files()),
                msg=way_back(name),
            )
            for name, manifest in kept.items()
        ],
        unknown=sorted(unknown),
        restored=list(restored),
    )
