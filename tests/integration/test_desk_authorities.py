"""Certificates that an authority below ours has issued: let in with their chain, while ours is in the file."""

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.platform import tls
from infra.platform.errors import SettingsError
from query_service.authorities import Authorities
from query_service.client import Client, Identity
from query_service.identity import Peer
from tests import desk as kit
from tests.desk import AGENCY, OFFICER, TRUST_DOMAIN, RunningDesk
from tests.places import Place, reason


def authority(name: str, above: tls.Issued | None, *, ca: bool = True) -> tls.Issued:
    """One of its own, or one below another."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above.certificate.subject if above else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(kit.now() - timedelta(minutes=5))
        .not_valid_after(kit.now() + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(above.key if above else key, hashes.SHA256())
    )
    return tls.Issued(certificate, key)


def peer(*chain: tls.Issued) -> Peer:
    return Peer("x", "agency", AGENCY, 0, 2**60, "t", b"".join(one.certificate_pem for one in chain))


def test_chain_leads_to_one_in_the_file(tmp_path: Path) -> None:
    root, strange = authority("root", None), authority("strange", None)
    middle, no_authority = authority("middle", root), authority("no authority", root, ca=False)
    leaf = tls.client(middle, ["spiffe://x/agency/a"], kit.now())
    forged = tls.client(no_authority, ["spiffe://x/agency/a"], kit.now())
    file = tmp_path / "ca.pem"
    file.write_bytes(strange.certificate_pem + root.certificate_pem)
    authorities = Authorities(file)
    assert authorities.issued(peer(leaf, middle))
    assert authorities.issued(peer(leaf, leaf, middle, root)), "the leaf twice, and the root itself"
    assert not authorities.issued(peer(leaf)), "its issuer did not come with it"
    assert not authorities.issued(peer(forged, no_authority))
    file.write_bytes(strange.certificate_pem)
    assert not authorities.issued(peer(leaf, middle))
    file.write_bytes(middle.certificate_pem)
    assert authorities.issued(peer(leaf))


def test_file_without_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"none")
    with pytest.raises(SettingsError):
        Authorities(tmp_path / "ca.pem")


def test_chain_over_a_connection(place: Place) -> None:
    root = authority("root", None)
    middle = authority("middle", root)
    leaf = tls.client(middle, [f"spiffe://{TRUST_DOMAIN}/agency/gongan-hz"], kit.now())
    with place.running() as desk:
        place.world.enrol(desk, place.world.agency())
    (place.folder / "both.pem").write_bytes(place.world.authority.certificate_pem + root.certificate_pem)
    with place.running(client_ca_file=place.folder / "both.pem") as desk, client(desk, leaf, middle) as officer:
        assert reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) == "NOT_FOUND"
        (place.folder / "both.pem").write_bytes(place.world.authority.certificate_pem)
        assert reason(lambda: kit.fetched(officer, f"{AGENCY}/authorizations/x")) == "CERTIFICATE_INVALID"


def client(desk: RunningDesk, leaf: tls.Issued, middle: tls.Issued) -> Client:
    """An officer whose certificate comes with its issuer's."""
    who = Identity(OFFICER, desk.world.key(OFFICER), leaf.certificate_pem + middle.certificate_pem, leaf.key_pem)
    target = f"127.0.0.1:{desk.settings.server.port}"
    return Client(target, desk.world.authority.certificate_pem, who, seconds=5, clock=desk.clock)
