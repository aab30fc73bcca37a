# Everything is set up in .venv from PyPI; nothing needs root.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run install tools test lint check reference bench test-crash test-power test-faults test-soak test-alerts test-pressure \
	test-cluster test-containers test-thorough bench-pressure fuzz clean
help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Python compiles a module when it is first imported; compiling all of them now would take 50 MB more.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --no-compile --constraint constraints.txt --editable .
	touch $@

.venv/tools: .venv/installed
	$(BIN)/python -m pip --quiet --disable-pip-version-check install --upgrade "pip>=25.1"
	$(BIN)/python -m pip --quiet install --constraint constraints.txt --group dev
	touch $@

install: .venv/installed ## make .venv/bin/fleetpulse

tools: .venv/tools ## install also what changing it needs

run: install ## run the service on port 6733 with the devices of devices.csv
	$(BIN)/fleetpulse serve --devices devices.csv

WORKERS ?= 2
test: tools ## run all tests, two files at a time
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test-thorough: tools ## the properties with five times as many examples, and whole lives of fleets five times as many
	$(BIN)/python -m pytest -n 2 --timeout 3600 --hypothesis-profile thorough --life-rounds 20 tests/property

bench: tools ## measure everything against its goals; results in benchmarks/results (needs wrk)
	$(BIN)/python benchmarks/load/bench_heartbeats.py
	$(BIN)/python benchmarks/load/bench_bulk.py
	$(BIN)/python benchmarks/load/bench_metrics.py
	$(BIN)/python benchmarks/load/bench_questions.py
	$(BIN)/python benchmarks/load/bench_million.py
	$(BIN)/python benchmarks/load/bench_midnight.py
	$(BIN)/python benchmarks/load/bench_access.py
	$(BIN)/python benchmarks/load/bench_telemetry.py
	$(BIN)/python benchmarks/load/bench_uptime.py
	$(BIN)/python benchmarks/bench_reception_gaps.py
	$(BIN)/python benchmarks/bench_beat_gaps.py
	$(BIN)/python benchmarks/bench_follow.py
	$(BIN)/python benchmarks/bench_nats_publish.py
	$(BIN)/python benchmarks/bench_journal.py
	$(BIN)/python benchmarks/load/bench_shared_heartbeats.py
	$(BIN)/python benchmarks/load/bench_cluster.py load
	$(BIN)/python benchmarks/load/bench_cluster.py failover
	$(BIN)/python benchmarks/load/bench_cluster.py newcomer
	$(BIN)/python benchmarks/bench_alerts.py 100000 benchmarks/results/alerts.json
	$(BIN)/python benchmarks/bench_alerts.py 1000000 benchmarks/results/alerts.json
	$(BIN)/python benchmarks/bench_rehearsals.py build/month benchmarks/results/rehearsals.json

bench-pressure: tools ## heartbeats beside dear questions, slow readers and hostile input; five minutes
	$(BIN)/python benchmarks/load/bench_pressure.py

test-crash: tools ## kill -9 at 60 random moments under load
	$(BIN)/python -m pytest -s --timeout 1200 tests/fault/test_crash.py --crash-rounds 60

test-power: tools ## cut the power of a disk 12 times under load (root)
	$(BIN)/python -m pytest -s -rs --timeout 1200 tests/fault/test_power.py tests/fault/test_nats_power.py --power-cuts 12

test-faults: tools ## let one system call after the other fail in 150 whole lives (strace)
	$(BIN)/python -m pytest -s --timeout 7200 --fault-rounds 150 \
		tests/fault/test_faults.py tests/fault/test_command_faults.py tests/fault/test_damage.py

test-soak: tools ## a quarter of an hour of everything at once: clients, restarts, kills, wrong clocks, locks
	$(BIN)/python -m pytest -s --timeout 2400 tests/fault/test_soak.py --soak-s 900

test-alerts: tools ## weeks of alerts and messages against a plain model, in ten minutes
	ALERT_SEEDS=40 ALERT_DAYS=7 $(BIN)/python -m pytest -s --timeout 2400 tests/property/test_alert_simulation.py

test-pressure: tools ## an hour of dear questions, slow readers and hostile input beside heartbeats
	$(BIN)/python -m pytest -s --timeout 5400 tests/fault/test_pressure.py --pressure-s 3600

FUZZ_S ?= 3600
fuzz: tools ## an hour of bytes that a fuzzer makes up, for all that reads bytes of strangers
	$(BIN)/python -m pytest -s --timeout 7200 tests/fault/test_fuzz.py --fuzz-s $(FUZZ_S)

test-containers: tools ## one node, then three by compose: killed, cut off, upgraded under load (root, docker, debootstrap)
	$(BIN)/python -m pytest -s --timeout 600 tests/containers

test-cluster: tools ## three nodes, NATS, PostgreSQL and S3 under every fault and 60 pairs of them, in an hour (haproxy)
	$(BIN)/python -m pytest -s --timeout 14400 tests/cluster --cluster-pairs 60 \
		--cluster-record benchmarks/results/cluster.json

lint: tools ## format, lint, types and import contracts
	$(BIN)/ruff format --check src tests benchmarks deploy
	$(BIN)/ruff check src tests benchmarks deploy
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## `make lint`, and the repository's own promises and unit tests
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/tidy tests/unit

reference: tools ## write the pages of docs/reference that are made from the code
	$(BIN)/python tests/reference_pages.py

clean: ## remove what was made here, the data aside
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
