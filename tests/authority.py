"""An authority for tests, which signs certificates of servers and of devices."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


class Authority:
    """Its files are written into a folder: `NAME.pem` has the certificate, `NAME.key` the private key."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        builder = self._builder(self._name, self._key, valid_days=3_650)
        self._certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
            self._key, hashes.SHA256()
        )
        self.path = self._write(name, self._certificate, None)

    def issue(
        self, name: str, *, common_name: str = "", dns: tuple[str, ...] = (), ip: str = "", valid_days: float = 90
    ) -> Path:
        """Sign a certificate, and write it. Returns the path of the certificate; that of its key ends in `.key`."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(common_name) if common_name else x509.Name([]), key, valid_days=valid_days)
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns]
        names += [x509.IPAddress(ipaddress.ip_address(ip))] if ip else []
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not common_name)
        return self._write(name, builder.sign(self._key, hashes.SHA256()), key)

    def revoke(self, *paths: Path) -> Path:
        """Write a list of the revoked certificates."""
        now = datetime.now(UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._name).last_update(now - DAY)
        builder = builder.next_update(now + 30 * DAY)
        for path in paths:
            number = x509.load_pem_x509_certificate(path.read_bytes()).serial_number
            one = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - DAY).build()
            builder = builder.add_revoked_certificate(one)
        listed = self.folder / "revoked.pem"
        listed.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return listed

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, valid_days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + valid_days * DAY)
        )

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None) -> Path:
        path = self.folder / f"{name}.pem"
        if key is not None:
            path.with_suffix(".key").write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
