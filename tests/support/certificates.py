"""Certificates for TLS and a private authority that signs them, as PEM files."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.now(timezone.utc)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A private authority, whose files are in ``folder``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey

    @property
    def cert(self) -> Path:
        """Its own certificate."""
        return self.folder / "authority.pem"

    def issue(
        self,
        name: str,
        *,
        begin: datetime = NOW - DAY,
        end: datetime = NOW + DAY,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> tuple[Path, Path]:
        """Certificate of this machine and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        builder = (
            _builder(name, "authority", key.public_key(), begin, end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        return (
            _write(self.folder / f"{name}.pem", builder.sign(self.key, hashes.SHA256())),
            write_key(self.folder / f"{name}.key", key),
        )


def make_authority(folder: Path) -> Authority:
    """A new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("authority", "authority", key.public_key(), NOW - DAY, NOW + DAY)
    usage = x509.BasicConstraints(ca=True, path_length=0)
    made = Authority(folder, key)
    _write(made.cert, builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()))
    return made


def write_key(path: Path, key: ec.EllipticCurvePrivateKey, password: bytes | None = None) -> Path:
    """Write a private key, encrypted if there is a password."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    return path


def encrypt(path: Path, key: Path) -> Path:
    """Write an encrypted copy of a private key."""
    loaded = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return write_key(path, loaded, b"secret")


def _builder(
    name: str, issuer: str, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    subject, authority = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, issuer)
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _write(path: Path, certificate: x509.Certificate) -> Path:
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path
