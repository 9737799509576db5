"""The authorities whose client certificates are let in now: TLS asks at the handshake, we ask at every call.

A connection may stay open for days; when its authority is taken out of the file, its calls and streams end.
"""

import threading
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from infra.platform import tls
from infra.platform.errors import SettingsError
from query_service.identity import Peer

CHAIN_MAX: Final = 5  # certificates from a client's to its authority's
_CHAINS_REMEMBERED_MAX: Final = 1024


class Authorities:
    """Thread-safe; follows its file."""

    def __init__(self, path: Path) -> None:
        """SettingsError when it holds no certificate."""
        self._path = path
        self._lock = threading.Lock()
        self._stamp = self._modified()
        self._known: dict[bytes, bool] = {}
        try:
            self._anchors = x509.load_pem_x509_certificates(tls.read(path))
        except ValueError:
            raise SettingsError(f"{path} holds no PEM certificate.", "Set server.client_ca_file.") from None

    def issued(self, peer: Peer) -> bool:
        """Whether one of them stands behind this certificate, directly or by the chain that came with it."""
        with self._lock:
            self._follow()
            if peer.chain not in self._known:
                if len(self._known) >= _CHAINS_REMEMBERED_MAX:
                    self._known.clear()
                self._known[peer.chain] = _leads(peer.chain, self._anchors)
            return self._known[peer.chain]

    def _follow(self) -> None:
        stamp = self._modified()
        if stamp == self._stamp:
            return
        try:
            self._anchors = x509.load_pem_x509_certificates(tls.read(self._path))
        except (ValueError, SettingsError):
            return  # half-way through being replaced: the next call looks again
        self._stamp = stamp
        self._known.clear()

    def _modified(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_ino)


def _leads(chain: bytes, anchors: list[x509.Certificate]) -> bool:
    """Follow the issuers; that each was an authority in force, TLS has checked when the connection was made."""
    current, *others = x509.load_pem_x509_certificates(chain)
    for _ in range(CHAIN_MAX):
        if any(map(partial(_signed, current), anchors)):
            return True
        above = next((other for other in others if _authority(other) and _signed(current, other)), None)
        if above is None:
            return False
        current = above
    return False


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, x509.ExtensionNotFound):
        return False
