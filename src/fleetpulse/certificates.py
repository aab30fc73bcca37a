"""TLS with certificate files of one's own, which are read again when they change.

New connections get the latest context that could be made; those that are open stay as they are. If files that changed
cannot be used, such as a certificate whose key is not written yet, the former ones stay in use, and it is tried again.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from cryptography.x509 import load_pem_x509_certificates

from fleetpulse.errors import SettingsError
from fleetpulse.settings import Settings

log = structlog.get_logger("tls")
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only. Those of TLS 1.3 are all so."""
EXPIRY_WARNED_DAYS = 14
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """Where the files are; None: there is none.

    Attributes:
        certificate: that of the server, with the chain to its authority.
        key: the private key; None: it is in the same file.
        client_ca: the authorities whose client certificates name devices.
        client_crl: the client certificates that these have revoked.
        is_client_required: nobody may connect without a client certificate.
    """

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None
    client_crl: Path | None = None
    is_client_required: bool = False

    @property
    def all(self) -> list[Path]:
        """All files."""
        return [path for path in (self.certificate, self.key, self.client_ca, self.client_crl) if path is not None]


class Certificates:
    """The context for new connections.

    Attributes:
        context: the latest that could be made.
        expires_at: until when its certificate is valid.
    """

    def __init__(self, files: CertificateFiles, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Blocks. Raises: SettingsError: the files cannot be used."""
        self._files = files
        self._now = now
        self._stamp = self._read_stamp()
        self._is_failed = False
        self._lock = threading.Lock()
        self.context, self.expires_at = self._load()
        self._log("TLS is on")

    def reload(self, *, is_forced: bool = False) -> bool:
        """Read the files again if they have changed, or `is_forced`. Blocks. Returns whether there is a new context."""
        with self._lock:  # it may be time to look, and SIGHUP, at once
            return self._reload(is_forced=is_forced)

    def _reload(self, *, is_forced: bool) -> bool:
        stamp = self._read_stamp()
        if stamp == self._stamp and not self._is_failed and not is_forced:
            return False
        is_news = stamp != self._stamp or is_forced
        self._stamp = stamp
        try:
            self.context, self.expires_at = self._load()
        except SettingsError as error:
            self._is_failed = True
            if is_news:
                log.error("the new certificate files cannot be used: the former ones stay in use", error=str(error))
            return False
        self._is_failed = False
        self._log("certificate files were read again")
        return True

    async def watch(self, check_s: float) -> None:
        """Look every `check_s` seconds whether the files have changed, until this is cancelled."""
        while True:
            await asyncio.sleep(check_s)
            await asyncio.to_thread(self.reload)

    def _log(self, event: str) -> None:
        left = self.expires_at - self._now()
        log.info(event, certificate=str(self._files.certificate), expires_at=self.expires_at.isoformat())
        if left < timedelta(days=EXPIRY_WARNED_DAYS):
            log.warning("the certificate of the server expires soon", days=left // timedelta(days=1))

    def _load(self) -> tuple[ssl.SSLContext, datetime]:
        files = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        path = files.certificate
        try:
            chain = load_pem_x509_certificates(path.read_bytes())
            context.load_cert_chain(path, files.key, password=_no_password)
            if files.client_ca is not None:
                path = files.client_ca
                context.load_verify_locations(path)
                context.verify_mode = ssl.CERT_REQUIRED if files.is_client_required else ssl.CERT_OPTIONAL
            if files.client_crl is not None:
                path = files.client_crl
                context.load_verify_locations(path)
                context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        except (OSError, ValueError) as error:  # errors of ssl are OSErrors
            raise SettingsError(
                f"{path}: cannot be used for TLS: {error}. Expected PEM files; the private key, without a password, "
                "must be that of the certificate."
            ) from error
        return context, chain[0].not_valid_after_utc

    def _read_stamp(self) -> _Stamp:
        """What changes when one of the files does; a file that is away is told, too."""
        found = []
        for path in self._files.all:
            try:
                about = path.stat()
                found.append((about.st_ino, about.st_mtime_ns, about.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)


def _no_password() -> str:
    raise ValueError("the private key has a password")  # OpenSSL itself would ask for it on the terminal


def certificates_of(settings: Settings) -> Certificates | None:
    """What TLS needs; None where it is off. Blocks. Raises: SettingsError."""
    names = ("tls_key", "tls_client_ca", "tls_client_crl")
    certificate, key, client_ca, client_crl = (
        Path(text) if (text := getattr(settings, name)) else None for name in ("tls_certificate", *names)
    )
    if certificate is None:
        for name in (*names, "tls_client_required"):
            if getattr(settings, name):
                raise SettingsError(f"{name} needs tls_certificate: without it there is no TLS")
        return None
    if client_ca is None and (client_crl is not None or settings.tls_client_required):
        raise SettingsError("tls_client_crl and tls_client_required need tls_client_ca, which signs the certificates")
    files = CertificateFiles(
        certificate=certificate,
        key=key,
        client_ca=client_ca,
        client_crl=client_crl,
        is_client_required=settings.tls_client_required,
    )
    return Certificates(files)


@contextlib.asynccontextmanager
async def watching(certificates: Certificates | None, check_s: float) -> AsyncGenerator[None, None]:
    """Read the files again when they change, as long as the context lasts."""
    task = None if certificates is None else asyncio.get_running_loop().create_task(certificates.watch(check_s))
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
