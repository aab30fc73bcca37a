"""What people have to decide on among the blocks, as answers give it."""

from fleetpulse.blocks.set_aside import SetAsideBlock
from fleetpulse.model.manifest import BlockFile, Manifest
from fleetpulse.query.block_answers import describe_set_aside

FILE = BlockFile("presence-1.parquet", 5, "abc")


def test_each_thing_is_named_with_what_people_need_to_decide() -> None:
    kept = {"manifest-7-ab.json": Manifest(position=7, taken_at_ns=10**9, snapshot=FILE)}
    answer = describe_set_aside([SetAsideBlock(FILE, "cut", 0)], ["back"], kept=kept, unknown={"b", "a"})
    (block,), (manifest,) = answer.set_aside, answer.kept_manifests
    assert (block.name, block.msg, block.bytes, block.sha256) == (FILE.name, "cut", 5, "abc")
    assert (block.since, manifest.taken_at) == ("1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z")
    assert (manifest.name, manifest.position, manifest.files) == ("manifest-7-ab.json", 7, 1)
    assert "--manifest manifest-7-ab.json" in manifest.msg
    assert (answer.unknown, answer.restored) == (["a", "b"], ["back"])
