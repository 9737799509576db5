"""Certificates and keys for development, and the reading of PEM files. Nothing here is for production authorities.

One authority signs the server's certificate and those of clients. A client's certificate has one SPIFFE URI and no
other name. Keys of TLS are ECDSA P-256; keys that sign tokens and approvals are Ed25519, apart from any certificate.
"""

import ipaddress
import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.platform.errors import SettingsError

DAYS: Final = 90
_EARLIER: Final = timedelta(minutes=5)  # for clocks that are a little behind


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """As a file has it."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """As a file has it: not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def authority(name: str, now: datetime, days: int = DAYS) -> Issued:
    """An authority of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(subject, subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Issued(certificate, key)


def server(signer: Issued, hosts: list[str], now: datetime, days: int = DAYS) -> Issued:
    """A server's certificate for these host names and addresses."""
    names = [_general(host) for host in hosts]
    return _leaf(signer, hosts[0], names, ExtendedKeyUsageOID.SERVER_AUTH, now, days)


def client(signer: Issued, uris: list[str], now: datetime, days: int = DAYS) -> Issued:
    """A client's certificate; the query service takes those with exactly one URI."""
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    return _leaf(signer, "client", names, ExtendedKeyUsageOID.CLIENT_AUTH, now, days)


def write_secret(path: Path, data: bytes) -> None:
    """A file that only its owner can read. SettingsError when it is there already, or cannot be written."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SettingsError(f"{path} is there already.", "It is not overwritten: move it away first.") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written ({error.strerror}).", "Check the folder.") from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def signing_key_pem(key: Ed25519PrivateKey, passphrase: bytes | None = None) -> bytes:
    """A signing key as a file has it."""
    protection = serialization.BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def public_key_hex(key: Ed25519PrivateKey) -> str:
    """The public half, as registries have it."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def read_signing_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """An Ed25519 key from a PEM file. SettingsError, whose text says nothing of the key."""
    data = read(path)
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except TypeError:
        raise SettingsError(
            f"{path} needs a passphrase, or has none.", "Set LIUCUN_KEY_PASSPHRASE, or type it when asked."
        ) from None
    except ValueError:
        raise SettingsError(f"{path} cannot be opened.", "Check that it is a PEM key, and its passphrase.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{path} is not an Ed25519 key.", "Make one: openssl genpkey -algorithm ed25519.")
    return key


def needs_passphrase(path: Path) -> bool:
    """Whether a PEM key file is encrypted."""
    return b"ENCRYPTED" in read(path)


def read_certificate(path: Path) -> x509.Certificate:
    """The first certificate of a PEM file. SettingsError."""
    try:
        return x509.load_pem_x509_certificate(read(path))
    except ValueError:
        raise SettingsError(f"{path} holds no PEM certificate.", "Check the path.") from None


def read(path: Path) -> bytes:
    """A file's bytes. SettingsError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}).", "Check the path and its permissions."
        ) from None


def _leaf(
    signer: Issued, name: str, names: list[x509.GeneralName], usage: x509.ObjectIdentifier, now: datetime, days: int
) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        _builder(subject, signer.certificate.subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
        .sign(signer.key, hashes.SHA256())
    )
    return Issued(certificate, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
    )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def der(certificate: x509.Certificate) -> bytes:
    """The certificate's bytes, of which tokens hold the hash."""
    return certificate.public_bytes(Encoding.DER)
