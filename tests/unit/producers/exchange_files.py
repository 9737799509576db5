"""Files of Exchange's message tracking, built here: Exchange runs on Windows only, so no trace of a real one is made.

Columns, events and sources are those of Microsoft's documentation ("Message tracking", Exchange 2010 to 2019); what
columns hold in which event follows public samples of real files (in shape: names, addresses and ids are invented).
"""

import csv
import io

from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from producers.sources.exchange_rows import LAYOUTS
from schemas.envelope import Envelope
from tests.unit.producers.lines import NOW, SOURCE

TRACKING = Source(name="mail", path=SOURCE.path, mta="exchange")
SITE = Site(own_domains=["example.org"])
NETWORK_ID = "2fd37dca-1234-5bfb-175d-08dc1db88f52"
INTERNAL_ID = "70971234566456"
MESSAGE_ID = "<m@example.net>"
SUBJECT = "a secret that no record may hold"
ALICE, BOB, CAROL, DAVE = (f"{name}@example.org" for name in ("alice", "bob", "carol", "dave"))
INSIDE = "Intra-Organization SMTP Send Connector"


def header(columns: int = 30, *, fields: bool = True) -> bytes:
    """The lines at a file's beginning."""
    lines = ["#Software: Microsoft Exchange Server", "#Version: 15.02.0330.005", "#Log-type: Message Tracking Log"]
    lines.append("#Date: 2026-11-24T09:00:00.000Z")
    if fields:
        lines.append("#Fields: " + ",".join(LAYOUTS[columns]))
    return "".join(line + "\r\n" for line in lines).encode()


def row(event: str, source: str, to: str, second: float = 0, columns: int = 30, **values: str) -> bytes:
    """One row; `values` by column name with _ for -."""
    told = {
        "date-time": f"2026-11-24T09:{int(second) // 60:02d}:{second % 60:06.3f}Z",
        "source": source,
        "event-id": event,
        "recipient-address": to,
        "network-message-id": NETWORK_ID,
        "internal-message-id": INTERNAL_ID,
        "message-id": MESSAGE_ID,
        "return-path": "s@example.net",
        "sender-address": "header@example.net",
        "message-subject": SUBJECT,
        "total-bytes": "7229",
        "recipient-count": str(to.count(";") + 1),
        "directionality": "Incoming",
    } | {name.replace("_", "-"): value for name, value in values.items()}
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow([told.get(column, "") for column in LAYOUTS[columns]])
    return out.getvalue().encode("utf-8", "surrogateescape")


def received(to: str, second: float = 0, columns: int = 30, **values: str) -> bytes:
    """A message came by SMTP, through this server's front end."""
    told = {
        "client_ip": "192.0.2.14",
        "client_hostname": "ex1.example.org",
        "server_ip": "192.0.2.14",
        "server_hostname": "EX1",
        "original_client_ip": "203.0.113.7",
        "connector_id": "EX1\\Default EX1",
        "source_context": "08DC1DB12C345BE5;2026-11-24T09:00:00.544Z;0",
    }
    return row("RECEIVE", "SMTP", to, second, columns, **(told | values))


def sent(to: str, second: float = 1, columns: int = 30, event: str = "SENDEXTERNAL", **values: str) -> bytes:
    """It went to the next server."""
    told = {
        "client_ip": "192.0.2.14",
        "client_hostname": "EX1",
        "server_ip": "198.51.100.25",
        "server_hostname": "mx.example.com",
        "recipient_status": ";".join(["250 2.1.5 Recipient OK"] * (to.count(";") + 1)),
        "source_context": ';250 2.6.0 <m@example.net> [InternalId=5450313518243, Hostname=X] "Queued", mail for delivery',
        "connector_id": "Internet",
    }
    return row(event, "SMTP", to, second, columns, **(told | values))


def passed(to: str, second: float = 1, **values: str) -> bytes:
    """It went to the mailbox delivery of a server of the organisation."""
    return sent(to, second, event="SEND", **({"connector_id": INSIDE, "server_hostname": "EX1.example.org"} | values))


def delivered(to: str, second: float = 2, columns: int = 30, **values: str) -> bytes:
    """It lies in the mailbox."""
    told = {"client_hostname": "EX1", "server_hostname": "EX1"}
    return row("DELIVER", "STOREDRIVER", to, second, columns, **(told | values))


def read(data: bytes, site: Site = SITE, *, finish: bool = True, year: int | None = None) -> list[Envelope]:
    """All records of one file."""
    assembler = Assembler(site, [TRACKING], year)
    records = assembler.read("mail", data, 0, NOW, NOW)
    return records + assembler.finish() if finish else records
