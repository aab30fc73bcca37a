from fleetpulse.model.manifest import BlockFile, GapFile, Manifest, SampleBlock


def file(name: str) -> BlockFile:
    return BlockFile(name, 1, "0" * 64)


def test_a_manifest_lists_each_of_its_files_once() -> None:
    manifest = Manifest(
        snapshot=file("snapshot"),
        presence={1: file("p1"), 2: file("p2")},
        gaps={1: (GapFile.of(file("g1")), GapFile.of(file("g2"), first_device=5))},
        samples=(SampleBlock("float", 1, 0, 5, 7, {"raw": file("r"), "hour": file("h")}),),
        names={"devices": file("devices")},
    )
    assert sorted(one.name for one in manifest.files()) == ["devices", "g1", "g2", "h", "p1", "p2", "r", "snapshot"]
    assert Manifest().files() == []


def test_a_file_of_gaps_is_the_same_file_whatever_counts_of_it() -> None:
    assert GapFile.of(file("g1"), first_device=5, end_device=7, sequence=1).file == file("g1")
