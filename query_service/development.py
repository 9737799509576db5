"""Certificates, keys and settings to try things with: authority, server, an agency, four people of the provider.

Never for production: whoever has the folder is everybody. Keys are 0600, and nothing is overwritten.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.platform import tls
from infra.platform.errors import SettingsError
from infra.platform.settings import Settings

AGENCY: Final = "gongan"
OFFICER: Final = "zhang"
PEOPLE: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "li": ("李", ("preparer", "operator")),
    "wang": ("王", ("reviewer", "preparer")),
    "zhao": ("赵", ("legal", "reviewer")),
}
AUDITOR: Final = "sun"
WARNING: Final = (
    "These are for development: whoever has this folder is the authority, the agency and the provider's people. "
    "In production each makes their own keys, and your authority signs."
)


def init(folder: Path, settings: Settings, hosts: list[str], now: datetime) -> list[Path]:
    """Make all of it; what was written. SettingsError when the folder has something in it."""
    folder = folder.resolve()
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"{folder} is not empty.", "Nothing is overwritten: give another folder.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    maker = _Maker(folder, settings, now)
    authority = tls.authority("Liucun development authority", now)
    maker.secret("ca.key", authority.key_pem)
    maker.file("ca.pem", authority.certificate_pem)
    maker.issued("server", tls.server(authority, hosts, now))
    maker.client(authority, AGENCY, f"agency/{AGENCY}")
    officer = maker.signing_key(OFFICER)
    maker.settings_file(OFFICER, f"agencies/{AGENCY}/officers/{OFFICER}", AGENCY)
    for name in (*PEOPLE, AUDITOR):
        maker.client(authority, name, f"person/{name}")
        key = maker.signing_key(name)
        maker.settings_file(name, f"persons/{name}", name)
        if name == AUDITOR:
            maker.json("auditor.json", _person(name, "孙", ("auditor",), key))
    maker.json("agency.json", _agency(officer))
    maker.server_settings_file()
    return maker.written


class _Maker:
    """Writes files, and remembers which."""

    def __init__(self, folder: Path, settings: Settings, now: datetime) -> None:
        self._folder = folder
        self._settings = settings
        self._now = now
        self.written: list[Path] = []

    def secret(self, name: str, data: bytes) -> None:
        path = self._folder / name
        tls.write_secret(path, data)
        self.written.append(path)

    def file(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.write_bytes(data)
        self.written.append(path)

    def json(self, name: str, document: Any) -> None:
        self.file(name, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode())

    def issued(self, name: str, issued: tls.Issued) -> None:
        self.secret(f"{name}.key", issued.key_pem)
        self.file(f"{name}.pem", issued.certificate_pem)

    def client(self, authority: tls.Issued, name: str, path: str) -> None:
        uri = f"spiffe://{self._settings.server.trust_domain}/{path}"
        self.issued(name, tls.client(authority, [uri], self._now))

    def signing_key(self, name: str) -> Ed25519PrivateKey:
        """Apart from the certificate's key; the public half is what registries and the genesis take."""
        key = Ed25519PrivateKey.generate()
        self.secret(f"{name}-signing.pem", tls.signing_key_pem(key))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.file(f"{name}-signing.pub", public)
        return key

    def settings_file(self, name: str, speaks_for: str, certificate: str) -> None:
        """`--settings <name>.toml` makes the commands speak for this one."""
        server, folder = self._settings.server, self._folder
        text = f"""\
[client]
target = "{server.host}:{server.port}"
ca_file = "{folder}/ca.pem"
certificate_file = "{folder}/{certificate}.pem"
key_file = "{folder}/{certificate}.key"
name = "{speaks_for}"
signing_key_file = "{folder}/{name}-signing.pem"
"""
        self.file(f"{name}.toml", text.encode())

    def server_settings_file(self) -> None:
        """The [server] section, to be put into the service's settings."""
        server, folder = self._settings.server, self._folder
        text = f"""\
[server]
host = "{server.host}"
port = {server.port}
certificate_file = "{folder}/server.pem"
key_file = "{folder}/server.key"
client_ca_file = "{folder}/ca.pem"
trust_domain = "{server.trust_domain}"
"""
        self.file("server.toml", text.encode())


def _agency(officer: Ed25519PrivateKey) -> dict[str, Any]:
    return {
        "name": f"agencies/{AGENCY}",
        "display_name": "杭州市公安局",
        "agency_class": "PUBLIC_SECURITY",
        "officers": [
            {
                "name": f"agencies/{AGENCY}/officers/{OFFICER}",
                "display_name": "张",
                "public_key": tls.public_key_hex(officer),
            }
        ],
    }


def _person(name: str, display_name: str, roles: tuple[str, ...], key: Ed25519PrivateKey) -> dict[str, Any]:
    return {
        "name": f"persons/{name}",
        "display_name": display_name,
        "roles": [role.upper() for role in roles],
        "public_key": tls.public_key_hex(key),
    }
