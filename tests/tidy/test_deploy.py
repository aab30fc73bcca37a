"""The files of deploy/ for several nodes, read without an engine or a cluster."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from balancer_manifest import MANIFEST, configuration, manifest
from fleetpulse.settings import ENVIRONMENT_PREFIX, SUFFIX, entries
from scale_plan import Assumptions
from scale_plan import tables as plan_tables

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
VERSIONS = ["1.30", kubernetes_validate.latest_version()]
OF_COMPOSE = {"IMAGE", "PUBLISH", "PUBLISH_PORT", "SUBNET", "VOLUME", "SCRAPE_KEY_FILE"}
"""Variables that Compose reads, and no node."""


def objects() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_manifests_are_what_kubernetes_takes_and_kustomize_lists_all_of_them(version: str) -> None:
    for one in objects():
        kubernetes_validate.validate(one, version, strict=True)
    broken = next(one for one in objects() if one["kind"] == "Deployment")
    broken["spec"]["replica"] = broken["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):  # the control
        kubernetes_validate.validate(broken, version, strict=True)
    listed = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == [path.name for path in MANIFESTS]


def test_the_balancer_of_kubernetes_reads_the_configuration_of_all_balancers() -> None:
    assert MANIFEST.read_text() == manifest(), "write it with `python tests/balancer_manifest.py`"
    maps = [one for one in objects() if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "balancer"]
    assert [one["data"]["haproxy.cfg"] for one in maps] == [configuration()]


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="needs haproxy (Debian: haproxy)")
def test_haproxy_reads_the_configuration_of_kubernetes(tmp_path: Path) -> None:
    """HAProxy 2.6, which knows no `hash-key`: that the places of the ring follow addresses is not shown here."""
    path = tmp_path / "haproxy.cfg"
    path.write_text(configuration().replace(" hash-key addr", "").replace("last,libc,none", "last,none"))
    checked = subprocess.run(["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, check=False)
    assert (checked.returncode, "warn" in checked.stderr.lower()) == (0, False), checked.stdout + checked.stderr


def test_pods_have_the_labels_by_which_they_are_found_and_the_secrets_that_they_read() -> None:
    deployments = [one for one in objects() if one["kind"] == "Deployment"]
    templates = [one["spec"]["template"] for one in deployments]
    for one in objects():
        selector = one.get("spec", {}).get("selector", {})
        wanted = (selector.get("matchLabels", selector)).items()
        assert not wanted or any(wanted <= template["metadata"]["labels"].items() for template in templates), one
    for template in templates:
        for container in template["spec"]["containers"]:
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}


def test_every_setting_that_these_files_give_is_one() -> None:
    known = {entry.name.upper() for entry in entries()} | OF_COMPOSE
    paths = [*DEPLOY.glob("*.yaml"), *DEPLOY.glob("*.service"), *MANIFESTS, DEPLOY / "Dockerfile"]
    given = {
        name: path.name
        for path in paths
        for name in re.findall(rf"\b{ENVIRONMENT_PREFIX}([A-Z0-9_]+)", path.read_text())
        if name != "NAME"
    }
    assert {name for name in given if name not in known and name.removesuffix(SUFFIX) not in known} == set(), given


def test_compose_mounts_files_that_are_there_and_secrets_that_the_script_makes() -> None:
    composed = yaml.safe_load((DEPLOY / "compose.scale.yaml").read_text())
    made = set(re.findall(r"keep ([a-z0-9.-]+)", (DEPLOY / "scale" / "make-secrets.sh").read_text()))
    assert len(made) > 5
    for name, service in composed["services"].items():
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            if source.startswith("./scale/secrets/"):
                assert source.rpartition("/")[2] in made, (name, source)
            elif source.startswith("./"):
                assert (DEPLOY / source).is_file(), (name, source)
            else:
                assert source in composed["volumes"], (name, source)


def test_the_page_about_scale_has_what_the_plan_computes() -> None:
    page = (DEPLOY.parent / "docs" / "explanation" / "scale.md").read_text()
    for table in plan_tables([10**6, 3 * 10**6, 10**7], Assumptions()).rstrip("\n").split("\n\n"):
        assert f"\n\n{table}\n\n" in page, f"write it with `python benchmarks/scale_plan.py`:\n{table}"


def test_what_acknowledges_has_it_on_the_disk() -> None:
    assert "\n    sync_interval: always\n" in (DEPLOY / "scale" / "nats.conf").read_text()
    garage = (DEPLOY / "scale" / "garage.toml").read_text()
    assert "\nmetadata_fsync = true\n" in garage and "\ndata_fsync = true\n" in garage
    assert "fsync" not in (DEPLOY / "compose.scale.yaml").read_text(), "PostgreSQL syncs unless it is told otherwise"
