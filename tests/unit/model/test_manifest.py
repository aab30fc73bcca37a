from fleetpulse.model.manifest import BlockFile, Manifest, SampleBlock


def file(name: str) -> BlockFile:
    return BlockFile(name, 1, "0" * 64)


def test_a_manifest_lists_each_of_its_files_once() -> None:
    manifest = Manifest(
        snapshot=file("snapshot"),
        presence={1: file("p1"), 2: file("p2")},
        gaps={1: (file("g1"), file("g2"))},
        samples=(SampleBlock("float", 1, 0, 5, 7, {"raw": file("r"), "hour": file("h")}),),
        names={"devices": file("devices")},
    )
    assert sorted(one.name for one in manifest.files()) == ["devices", "g1", "g2", "h", "p1", "p2", "r", "snapshot"]
    assert Manifest().files() == []
