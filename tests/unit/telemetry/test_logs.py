import json
import subprocess
import sys

PROGRAM = """
import logging, sys, structlog
from fleetpulse.telemetry.logs import configure_logs
configure_logs(sys.argv[1])
structlog.get_logger().info("ready", port=6733)
logging.getLogger("library").warning("low on %s", "memory")
logging.getLogger("library").info("chatter")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed")
"""


def logged(log_format: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_logs_are_json_where_standard_error_is_no_terminal_and_libraries_go_the_same_way() -> None:
    ready, library, failed = map(json.loads, logged("auto"))
    assert (ready["event"], ready["level"], ready["port"]) == ("ready", "info", 6733)
    assert ready["timestamp"].endswith("Z")
    assert (library["event"], library["level"]) == ("low on memory", "warning")
    assert "ZeroDivisionError" in failed["exception"]


def test_logs_for_people_are_lines_of_text() -> None:
    assert "ready" in logged("console")[0]
    assert not logged("console")[0].startswith("{")
