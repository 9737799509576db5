"""TLS of the service: its own certificate, read anew when its file changes, and client certificates required.

The library speaks TLS 1.2 and 1.3 only. A connection without a certificate of our authority never reaches Python.
"""

from pathlib import Path
from typing import Any, Final

import grpc

from infra.platform.errors import SettingsError
from infra.platform.settings import Server

METADATA_BYTES_MAX: Final = 16 * 1024
KEEPALIVE_MILLISECONDS: Final = 30_000
KEEPALIVE_TIMEOUT_MILLISECONDS: Final = 10_000


def options(server: Server) -> list[tuple[str, int]]:
    """Bounds of the transport, spelled out."""
    return [
        ("grpc.max_receive_message_length", server.message_bytes_max),
        ("grpc.max_send_message_length", server.message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", server.calls_max),
        ("grpc.keepalive_time_ms", KEEPALIVE_MILLISECONDS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MILLISECONDS),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.so_reuseport", 0),
        ("grpc.enable_http_proxy", 0),
    ]


def files(server: Server) -> list[Path]:
    """Certificate, key, authorities of clients. SettingsError when one is missing."""
    named = {
        "server.certificate_file": server.certificate_file,
        "server.key_file": server.key_file,
        "server.client_ca_file": server.client_ca_file,
    }
    return [_given(name, path) for name, path in named.items()]


def listen(grpc_server: grpc.Server, server: Server) -> None:
    """Take the port. SettingsError when it cannot be had."""
    try:
        grpc_server.add_secure_port(f"{server.host}:{server.port}", credentials(server))
    except RuntimeError:
        raise SettingsError(
            f"The service cannot listen on {server.host}:{server.port}.", "Set server.host and .port to what is free."
        ) from None


def credentials(server: Server) -> grpc.ServerCredentials:
    """Credentials that follow their files. SettingsError when one is missing at the start."""
    paths = files(server)
    last = [_stamp(paths)]

    def newer() -> grpc.ServerCertificateConfiguration | None:
        """Asked at every handshake; None = go on with what there is."""
        stamp = _stamp(paths)
        if stamp == last[0]:
            return None
        try:
            configuration = _configuration(*paths)
        except OSError:
            return None  # half-way through being replaced: the next handshake asks again
        last[0] = stamp
        return configuration

    fetcher: Any = newer  # its stub does not know that None means no change
    return grpc.dynamic_ssl_server_credentials(_configuration(*paths), fetcher, require_client_authentication=True)


def _configuration(certificate: Path, key: Path, authority: Path) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(key.read_bytes(), certificate.read_bytes())], root_certificates=authority.read_bytes()
    )


def _given(name: str, path: Path | None) -> Path:
    if path is None:
        raise SettingsError(
            f"{name} is not set.", "The service speaks TLS only; `liucun certs init` makes some to try."
        )
    try:
        path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{name} cannot be read ({error.strerror}).", "Check the path and its permissions."
        ) from None
    return path


def _stamp(paths: list[Path]) -> tuple[int, ...]:
    try:
        return tuple(path.stat().st_mtime_ns for path in paths)
    except OSError:
        return ()
