"""The process in which Apprise runs: one for each try, so that it can be ended, bounded and guarded.

Apprise has some 190 kinds of receivers with as many ways to connect. Whatever they do in Python passes the audit hook
below, which Python itself calls (PEP 578) and nothing can remove: each connection is checked by its address at the
moment it is made, as our own ones are; files are read from where Python and certificates are, and nowhere else; other
programs are not started. Libraries in C that connect by themselves are not seen: no kind whose package we install does.

stdin: a Task as JSON, so that no URL is ever in the arguments or the environment of a process. stdout: a Report.
"""

import logging
import os
import resource
import signal
import sys
import sysconfig
from typing import Any

import msgspec

from fleetpulse.alert.receivers.addresses import AddressRefused, refusal_of

MEMORY_BYTES_MAX = 2**30
FILES_MAX = 128
LOGS_MAX = 20
_PROGRAMS = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn"),
    *("os.startfile", "os.startfile/2"),
)
_READABLE_FILES = (
    *("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services"),
    *("/etc/localtime", "/etc/mime.types", "/etc/protocols", "/dev/null", "/dev/urandom", "/etc/timezone"),
)
_READABLE_FOLDERS = ("/usr/lib", "/usr/share", "/lib", "/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/usr/local")
_TYPES = {"info": "info", "warning": "warning", "critical": "failure", "resolved": "success"}


class Task(msgspec.Struct, kw_only=True):
    """What to do. `is_check`: only say whether Apprise knows such a URL. `folder`: may be written; `files`: read."""

    url: str
    is_check: bool = False
    title: str = ""
    body: str = ""
    kind: str = "info"
    allows_private: bool = False
    timeout_s: float = 10.0
    folder: str = ""
    files: str = ""


class Report(msgspec.Struct, kw_only=True):
    """What came of it; `texts`: what Apprise logged, with whatever it has of the URL."""

    is_done: bool
    refusal: str = ""
    texts: list[str] = []


class Guard:
    """The audit hook: what Apprise may open and connect to. `refusal`: the first thing that it may not."""

    def __init__(self, task: Task) -> None:
        self.refusal = ""
        self._allows_private = task.allows_private
        own = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"], sys.prefix, sys.base_prefix)
        paths = [path for path in (*own, *sys.path, task.files, task.folder) if path]
        bundle = os.environ.get("SSL_CERT_FILE", "")
        self._files = {*_READABLE_FILES, bundle}
        self._folders = tuple(f"{os.path.realpath(path)}/" for path in (*paths, *_READABLE_FOLDERS))
        self._writable = f"{os.path.realpath(task.folder)}/" if task.folder else "/nowhere/"

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See sys.addaudithook. Raises: AddressRefused; PermissionError."""
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._check_address(arguments[1])
        elif event == "open":
            self._check_file(arguments[0], arguments[1], arguments[2])
        elif event in _PROGRAMS:
            self._refuse(PermissionError("it would start another program"))

    def _check_address(self, where: Any) -> None:
        if where is None:
            return  # over a connection that was checked
        refusal = "it is no internet address"
        if isinstance(where, tuple) and where and isinstance(where[0], str):
            refusal = refusal_of(where[0], allows_private=self._allows_private)
        if refusal:
            self._refuse(AddressRefused(refusal))

    def _check_file(self, path: Any, mode: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor, which was opened before
        real = os.path.realpath(os.fsdecode(path))
        if isinstance(mode, str):
            is_writing = not set(mode) <= set("rbtU")
        else:
            is_writing = isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        may_read = real in self._files or real.startswith(self._folders) or os.fsdecode(path) in self._files
        if real == "/dev/null" or real.startswith(self._writable) or (may_read and not is_writing):
            return
        self._refuse(PermissionError("it would open a file that no receiver may open; see receiver_files"))

    def _refuse(self, error: OSError) -> None:
        self.refusal = self.refusal or str(error)
        raise error


class _Logs(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self.texts) < LOGS_MAX:
            self.texts.append(record.getMessage()[:1_000])


def main() -> None:
    """Do the task of stdin."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    _bound(task)
    logs = _Logs()
    logging.getLogger("apprise").addHandler(logs)
    import apprise  # noqa: PLC0415 - 0.4 s, and only this process needs it

    guard = Guard(task)
    sys.addaudithook(guard)
    asset = apprise.AppriseAsset(storage_mode="memory", service_timeout=task.timeout_s, secure_logging=True)
    asset.http_redirects = False
    asset.async_mode = False
    receiver = apprise.Apprise(asset=asset)
    is_done = bool(receiver.add(task.url))
    if is_done and not task.is_check:
        kind: Any = _TYPES.get(task.kind, "info")
        is_done = bool(receiver.notify(task.body, task.title, kind, body_format="text"))
    elif not is_done:
        logs.texts.append("Apprise knows no such URL, or a package that this kind needs is not installed")
    sys.stdout.buffer.write(msgspec.json.encode(Report(is_done=is_done, refusal=guard.refusal, texts=logs.texts)))
    sys.stdout.flush()
    os._exit(0)  # threads that some kinds leave behind must not keep the process


def _bound(task: Task) -> None:
    """No more memory, files and time than a try needs; should the service be killed meanwhile, this ends by itself."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(int(task.timeout_s) + 5)


if __name__ == "__main__":
    main()
