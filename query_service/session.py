"""A client from settings: who speaks, with which certificate and key. The passphrase of a key is asked for, or given
in $LIUCUN_KEY_PASSPHRASE for scripts; it is written nowhere."""

import os
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infra.platform import settings as settings_module
from infra.platform import tls
from infra.platform.clock import clock_from_environment
from infra.platform.errors import SettingsError
from query_service.client import Client, Identity
from query_service.identity import spiffe_name

PASSPHRASE_VARIABLE = "LIUCUN_KEY_PASSPHRASE"  # noqa: S105  (the name of a variable)


def client(file: Path | None, key: Path | None = None) -> Client:
    """The client that [client] describes; `key` replaces its signing key. SettingsError."""
    section = settings_module.load(file).client
    certificate = tls.read(_given("client.certificate_file", section.certificate_file))
    identity = Identity(
        name=section.name or owner(_given("client.certificate_file", section.certificate_file)),
        signing_key=signing_key(_given("client.signing_key_file", key or section.signing_key_file)),
        certificate_pem=certificate,
        key_pem=tls.read(_given("client.key_file", section.key_file)),
    )
    ca_pem = tls.read(_given("client.ca_file", section.ca_file))
    return Client(section.target, ca_pem, identity, seconds=section.deadline_seconds, clock=clock_from_environment())


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key of a file; an encrypted one with the passphrase. SettingsError."""
    if not tls.needs_passphrase(path):
        return tls.read_signing_key(path, None)
    given = os.environ.get(PASSPHRASE_VARIABLE)
    passphrase = given if given is not None else click.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return tls.read_signing_key(path, passphrase.encode())


def owner(certificate: Path) -> str:
    """The person or agency that a client certificate names. SettingsError."""
    name = spiffe_name(tls.read_certificate(certificate))
    if name is None:
        raise SettingsError(f"{certificate} has not exactly one SPIFFE URI.", "Use a client certificate.")
    return name


def _given(name: str, path: Path | None) -> Path:
    if path is None:
        raise SettingsError(f"{name} is not set.", "Set it in [client]; `liucun certs init` makes some to try.")
    return path
