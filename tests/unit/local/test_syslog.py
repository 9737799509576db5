"""The syslog daemon of a chroot: datagrams to lines."""

import socket
from pathlib import Path

from infra.local.syslog import Syslog, line


def test_a_datagram_becomes_a_line_with_the_host() -> None:
    assert line(b"<22>Nov  3 21:46:00 sendmail[876]: text\n", b"mx1") == b"Nov  3 21:46:00 mx1 sendmail[876]: text\n"


def test_control_characters_cannot_make_lines() -> None:
    assert line(b"<22>Nov  3 21:46:00 a[1]: x\ny\x7f", b"mx1") == b"Nov  3 21:46:00 mx1 a[1]: x#012y#177\n"


def test_what_came_is_written_when_it_stops(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 20) / ("deeper" * 10)
    daemon = Syslog([root], tmp_path / "mail.log", "mx1")
    daemon.start()
    (tmp_path / "log").symlink_to(root / "dev" / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.connect(str(tmp_path / "log"))
        for number in range(50):
            client.send(b"<22>Nov  3 21:46:00 sendmail[876]: %d" % number)
    daemon.stop()
    daemon.stop()
    lines = (tmp_path / "mail.log").read_bytes().splitlines()
    assert lines == [b"Nov  3 21:46:00 mx1 sendmail[876]: %d" % number for number in range(50)]
    assert not (root / "dev" / "log").exists()
