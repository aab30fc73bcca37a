"""One engine for all tests of containers, since its base image takes a minute."""

import os
from collections.abc import Iterator

import pytest
from engine import import_base, missing_tools, running_engine


@pytest.fixture(scope="session")
def engine_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of clients of an engine that has the stand-in for the base image."""
    assert os.geteuid() == 0, "a Docker engine needs root: run `make test-containers` as root"
    assert missing_tools() == [], "install them: apt-get install docker.io docker-compose debootstrap iproute2"
    folder = tmp_path_factory.mktemp("containers")
    with running_engine(folder / "engine") as environment:
        import_base(environment, folder)
        yield environment
