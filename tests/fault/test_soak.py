"""Everything at once: clients of several kinds, restarts, kills, wrong clocks, locks, and files that change meanwhile.

Each device repeats a request until it is answered. At the end, what the service answers equals a plain model to the
bit, and what it once answered about the past it answers still.
"""

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak_devices import API, Devices, Probe
from soak_disturbances import METRICS, Soak
from soak_senders import Target, senders


@pytest.fixture
def soak(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Soak]:
    seed = pytestconfig.getoption("soak_seed")
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    soak = Soak(tmp_path, seed, Target(), random.Random(seed), time.time())
    yield soak
    if soak.server is not None:
        soak.server.stop(signal.SIGKILL)


def test_everything_at_once_changes_no_figure(soak: Soak, pytestconfig: pytest.Config) -> None:
    seconds = pytestconfig.getoption("soak_s")
    soak.start()
    clients = senders(soak.target, random.Random(soak.seed))
    load = [Devices(name, it, seed=soak.seed, started_s=soak.started_s) for name, it in clients.items()]
    probes = [Probe(f"probe-{number}", soak.target, seed=soak.seed) for number in range(2)]
    for device in [device for devices in load for device in devices.models]:
        assert soak.persist("POST", f"{API}/devices", {"id": device}) == 201
    for probe in probes:
        body = {"id": probe.name, "interval": "1s", "grace": "1s"}
        assert soak.persist("POST", f"{API}/devices", body) == 201
    for device, of in soak.declared.items():
        assert soak.persist("PATCH", f"{API}/devices/{device}", {"interval": of.fields["interval"]}) == 200
    threads: list[Devices | Probe] = [*load, *probes]
    for thread in threads:
        thread.start()
    try:
        soak.run(seconds)
    finally:
        soak.step(0.0)
        for thread in threads:
            thread.stopping.set()
        for thread in threads:
            thread.join(120)
    faults = [fault for devices in load for fault in devices.faults]
    models = {device: model for devices in load for device, model in devices.models.items()}
    for ending in (None, signal.SIGKILL, signal.SIGTERM):
        if ending is not None:
            soak.stop(ending)
            soak.start()
        soak.when_ready()
        faults += [*soak.wrong_figures(models), *soak.wrong_history(), *soak.wrong_declarations(list(soak.declared))]
        proved, wrong = soak.wrong_probes(probes)
        faults += wrong
        assert not faults, f"seed {soak.seed}: " + "\n".join(faults[:20])
    totals = {devices.name: (devices.acknowledged, devices.unanswered, devices.refused) for devices in load}
    print(f"\n{soak.done}\nby client (acknowledged, unanswered, refused): {totals}; {proved} silences proved")
    assert all(acknowledged for acknowledged, _, _ in totals.values())
    assert proved > 0
    # The control: a model with one sample more, and one minute less, must differ.
    device = next(device for device, model in models.items() if model.minutes)
    models[device].samples.setdefault("temperature", set()).add((int(soak.started_s * 1000) - 1, 1e-3))
    models[device].minutes.pop()
    assert len(soak.wrong_figures(models)) >= 3
