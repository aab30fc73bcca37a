"""A change replaces blocks and adds to what has expired."""

from fleetpulse.blocks.compaction.change import Change, apply_change
from fleetpulse.model.manifest import Manifest, SampleBlock


def test_what_expires_adds_up_and_is_not_forgotten() -> None:
    block = SampleBlock("float", 5, 0, 1, 3, {})
    manifest = Manifest(samples=(block,), expired={1: {5: 2}, 2: {4: 1}})
    changed = apply_change(manifest, Change((block,), (), {1: {5: 3, 6: 1}, 3: {5: 1}}))
    assert changed == Manifest(expired={1: {5: 5, 6: 1}, 2: {4: 1}, 3: {5: 1}})
    assert manifest.expired == {1: {5: 2}, 2: {4: 1}}
