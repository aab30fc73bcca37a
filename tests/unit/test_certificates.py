import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from authority import Authority
from fleetpulse.certificates import CertificateFiles, Certificates, certificates_of
from fleetpulse.errors import SettingsError
from fleetpulse.settings import Settings


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("server", common_name="server", ip="127.0.0.1")
    return made


def files(folder: Path, **more: Path | bool | None) -> CertificateFiles:
    return CertificateFiles(
        **{"certificate": folder / "server.pem", "key": folder / "server.key", **more}  # type: ignore[arg-type]  # wrong ones too
    )


def test_a_context_takes_no_old_protocol_and_no_weak_cipher(authority: Authority, tmp_path: Path) -> None:
    context = Certificates(files(tmp_path)).context
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert {cipher["kea"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"} == {"kx-ecdhe"}
    assert all(cipher["aead"] for cipher in context.get_ciphers())
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize(("is_required", "mode"), [(False, ssl.CERT_OPTIONAL), (True, ssl.CERT_REQUIRED)])
def test_client_certificates_are_optional_or_required(
    is_required: bool, mode: ssl.VerifyMode, authority: Authority, tmp_path: Path
) -> None:
    listed = authority.revoke()
    certificates = Certificates(
        files(tmp_path, client_ca=authority.path, client_crl=listed, is_client_required=is_required)
    )
    assert certificates.context.verify_mode is mode
    assert certificates.context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF


def test_files_are_read_again_when_they_change_and_former_ones_stay_while_they_cannot_be_used(
    authority: Authority, tmp_path: Path
) -> None:
    certificates = Certificates(files(tmp_path))
    first = certificates.context
    assert not certificates.reload()
    key = (tmp_path / "server.key").read_bytes()
    (tmp_path / "server.key").unlink()
    assert (certificates.reload(), certificates.reload(), certificates.context) == (False, False, first)
    (tmp_path / "server.key").write_bytes(key)
    assert certificates.reload()
    second = certificates.context
    assert (second is first, certificates.reload(), certificates.reload(is_forced=True)) == (False, False, True)
    assert certificates.context is not second


def test_a_watch_reads_what_has_changed(authority: Authority, tmp_path: Path) -> None:
    certificates = Certificates(files(tmp_path))
    first = certificates.context
    authority.issue("server", common_name="server", ip="127.0.0.1")

    async def watch() -> None:
        watching = asyncio.get_running_loop().create_task(certificates.watch(0.001))
        while certificates.context is first:
            await asyncio.sleep(0.001)
        watching.cancel()

    asyncio.run(watch())


@pytest.mark.parametrize("wrong", ["certificate", "key", "client_ca", "client_crl"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnonsense"])
def test_a_file_that_cannot_be_used_is_named(
    wrong: str, content: bytes | None, authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / f"wrong-{wrong}.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="cannot be used for TLS"):
        Certificates(files(tmp_path, **{wrong: path}))


def test_a_key_with_a_password_is_refused_without_a_question(authority: Authority, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key((tmp_path / "server.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    (tmp_path / "server.key").write_bytes(locked)
    with pytest.raises(SettingsError, match="has a password"):
        Certificates(files(tmp_path))


def test_that_a_certificate_ends_soon_is_said(
    authority: Authority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Certificates(files(tmp_path))
    assert "expires soon" not in capsys.readouterr().out
    certificates = Certificates(files(tmp_path), now=lambda: datetime.now(UTC) + timedelta(days=80))
    assert "expires soon" in capsys.readouterr().out
    assert certificates.expires_at > datetime.now(UTC)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tls_key": "server.key"},
        {"tls_client_ca": "authority.pem"},
        {"tls_client_required": True},
        {"tls_certificate": "server.pem", "tls_client_required": True},
        {"tls_certificate": "server.pem", "tls_client_crl": "revoked.pem"},
        {"tls_certificate": "server.pem", "tls_key": "authority.pem"},
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    wrong: dict[str, str | bool], authority: Authority, tmp_path: Path
) -> None:
    given = {name: str(tmp_path / value) if isinstance(value, str) else value for name, value in wrong.items()}
    assert authority.path.exists()
    with pytest.raises(SettingsError, match="certificate"):
        certificates_of(Settings(**given))  # type: ignore[arg-type]  # wrong ones too  # settings of several types


def test_without_a_certificate_there_is_no_tls() -> None:
    assert certificates_of(Settings()) is None
