"""A decided recipient to an envelope record; and the direction of a mail."""

from collections.abc import Sequence
from ipaddress import IPv6Address, IPv6Network, ip_network
from typing import Final, NamedTuple

from infra.platform.errors import SettingsError
from infra.platform.settings import Site
from producers.events import Access, Address, Client, Relay
from producers.identity import message_key, record_id
from producers.lines import Line
from producers.text import ip_address
from producers.times import settled
from producers.transactions import Transaction
from schemas.envelope import Direction, Envelope, Event, Outcome

NO_CLIENT: Final = Client(None, None, "NOT_LOGGED")
NO_RELAY: Final = Relay("", None, None, None, "NOT_CONNECTED")


class RecordMaker:
    """Makes records of one site."""

    def __init__(self, site: Site) -> None:
        """SettingsError when an own network or address of the settings is none."""
        self._own_domains = {domain.lower().rstrip(".") for domain in site.own_domains}
        self._own_networks = [_network(text) for text in site.own_networks]
        self._server_ip = ip_address(site.server_ip.encode()) if site.server_ip else None
        if site.server_ip and self._server_ip is None:
            raise SettingsError(f"agent.site.server_ip {site.server_ip!r} is no IP address.", "Correct it.")
        self._filters = set(site.filters)
        self._blank = _blank(self._server_ip)
        self._added = {text.lower() for text in site.added_recipients}

    def is_filter(self, relay: Relay) -> bool:
        """Whether a relay is one of the site's content filters, by host, address or host:port."""
        if not self._filters or relay.host is None:
            return False
        address, port = relay.text.partition("[")[2].partition("]")[::2]
        names = {relay.host, address, f"{relay.host}{port}", f"{address}{port}"}
        return not names.isdisjoint(self._filters)

    def is_filter_client(self, client: Client) -> bool:
        """Whether a client may be one of the site's content filters, handing a message back."""
        if not self._filters or client.ip is None or client.ip_origin != "CONNECTION":
            return False
        text = str(IPv6Address(client.ip).ipv4_mapped or IPv6Address(client.ip))
        return any(
            text == name.partition(":")[0].strip("[]") or client.host == name.partition(":")[0]
            for name in self._filters
        )

    def delivery(
        self,
        transaction: Transaction,
        line: Line,
        observed_time: int,
        recipient: Address | None,
        original: Address | None,
        relay: Relay,
        outcome: Outcome,
        *,
        is_final: bool = True,
        attempts: int = 0,
        flags: Sequence[str] = (),
        delay_seconds: float | None = None,
    ) -> Envelope:
        """The record of one recipient of a message in the queue; the caller adds what the delivery line told."""
        parent = transaction.parent
        sender = transaction.sender or transaction.sender_told
        record = self._record("DELIVERY", line, observed_time, sender, recipient, _client_of(transaction), outcome)
        if transaction.sender_told is not None and record["sender_logged"] is None:
            told = transaction.sender_told.text
            record["sender_logged"] = told if told != record["sender"] else None
        own = parent is None  # what was made from another message takes over its delays and times
        if line.moment.quality != "EXACT":
            _settle(record, line, transaction.key[2], delay_seconds if own else None)
        if transaction.accept is not None:
            accept = transaction.accept
            record["accept_time"] = settled(accept, line.mta, transaction.key[2], 0 if own else None).time
        record["message_key"] = transaction.message_key
        record["queue_id"] = transaction.key[2]
        record["message_id"] = transaction.message_id
        if parent is not None:
            record["kind"] = parent.kind
            record["parent_message_key"] = parent.message_key
            record["parent_queue_id"] = parent.queue_id
        if original is not None:
            record["original_recipient"] = original.text
        (
            _,
            record["recipient_host"],
            record["recipient_ip"],
            record["recipient_port"],
            record["recipient_ip_origin"],
        ) = relay
        record["size_bytes"], record["recipient_count"] = transaction.size_bytes, transaction.recipient_count
        record["is_final"], record["attempts"] = is_final, attempts
        record["direction"] = self._direction(record, here=relay.ip_origin == "LOCAL_DELIVERY")
        if transaction.flags or flags or original is not None:
            _add_flags(record, transaction.flags, flags, original.flags if original else ())
        if transaction.added or self._added:
            names = [address.text for address in (recipient, original) if address is not None]
            if any(name in transaction.added or name.lower() in self._added for name in names):
                _add_flags(record, ("ADDED_BY_SERVER",))
        return record

    def refusal(
        self,
        line: Line,
        observed_time: int,
        queue_id: str,
        message_key: bytes,
        client: Client,
        sender: Address | None,
        recipient: Address | None,
        outcome: Outcome,
    ) -> Envelope:
        """The record of a recipient or message that was not taken in."""
        record = self._record("REFUSAL", line, observed_time, sender, recipient, client, outcome)
        record["queue_id"], record["message_key"] = queue_id, message_key
        _settle(record, line, queue_id, None)
        record["direction"] = self._direction(record, here=False)
        return record

    def access(self, line: Line, observed_time: int, told: Access) -> Envelope:
        """The record of a mailbox that was opened to a client, or was not. Only who was let in is authenticated."""
        user = Address(told.user, None, told.flags) if told.user is not None else None
        authenticated = told.user if told.outcome == "ACCESSED" else None
        client = Client(None, None, "NOT_LOGGED", user=authenticated, flags=told.flags)
        record = self._record("MAILBOX_ACCESS", line, observed_time, None, user, client, told.outcome)
        record["message_key"] = message_key(line.host, line.instance, "", line.raw, line.n)
        record["recipient_ip"], record["recipient_port"] = told.client_ip, told.client_port
        record["recipient_ip_origin"] = "MAILBOX_CLIENT" if told.client_ip is not None else "NOT_LOGGED"
        record["server_ip"] = told.server_ip or self._server_ip
        record["access_protocol"], record["session_id"] = told.protocol, told.session_id
        record["tls"], record["attempts"] = told.tls, told.attempts
        return record

    def _record(
        self,
        event: Event,
        line: Line,
        observed_time: int,
        sender: Address | None,
        recipient: Address | None,
        client: Client,
        outcome: Outcome,
    ) -> Envelope:
        """Every field, with what all records share."""
        record = self._blank.copy()
        raw, source_name, source_offset, moment, host, instance, mta, n = line
        text = None
        if recipient is not None:
            text, record["recipient_logged"], _ = recipient
            record["recipient"] = text
        if sender is not None:
            record["sender"], record["sender_logged"], _ = sender
        record["record_id"] = record_id(host, instance, event, raw, text, n)
        record["event_time"], record["time_quality"], record["alternative_event_time"] = moment
        record["observed_time"] = observed_time
        record["mta"] = mta
        record["host"] = host
        record["instance"] = instance
        record["event"] = event
        record["outcome"] = outcome
        record["source_name"] = source_name
        record["source_offset"] = source_offset
        (
            record["sender_ip"],
            record["sender_port"],
            record["sender_ip_origin"],
            record["sender_host"],
            record["helo"],
            record["authenticated_user"],
            record["local_uid"],
            flags,
        ) = client
        record["flags"] = []
        _add_flags(record, flags, sender.flags if sender else (), recipient.flags if recipient else ())
        return record

    def _is_own(self, ip: bytes) -> bool:
        return any(network.holds(ip) for network in self._own_networks)

    def _direction(self, record: Envelope, *, here: bool) -> Direction:
        """From where to where. Who hands mail in decides the one end, not the address that he writes.

        UNKNOWN where the site's own domains and networks are not told and the log does not show it.
        """
        recipient = record["recipient"]
        known = bool(self._own_domains)
        to_us = here or (
            known and recipient is not None and recipient.rpartition("@")[2].lower().rstrip(".") in self._own_domains
        )
        ip = record["sender_ip"]
        from_us = (
            record["authenticated_user"] is not None
            or record["sender_ip_origin"] == "LOCAL_PROCESS"
            or record["local_uid"] is not None
            or (bool(self._own_networks) and ip is not None and self._is_own(ip))
        )
        if from_us:
            return "INTERNAL" if to_us else "OUTBOUND" if known or record["outcome"] == "SENT" else "UNKNOWN"
        if to_us:
            return "INBOUND" if ip is not None else "UNKNOWN"
        return "TRANSIT" if known and self._own_networks and recipient is not None else "UNKNOWN"


def _client_of(transaction: Transaction) -> Client:
    """Where a message came from: its own client, unless a filter handed it back or it was made here from another."""
    client, parent = transaction.client, transaction.parent
    if parent is None:
        return client or NO_CLIENT
    if client is not None and not transaction.handed_back:
        return client
    if parent.kind != "MESSAGE":  # a notice: made by this server, sent by nobody else
        return Client(None, None, "LOCAL_PROCESS")
    origin = "PARENT" if parent.client.ip is not None else parent.client.ip_origin
    return parent.client._replace(ip_origin=origin)


def _settle(record: Envelope, line: Line, queue_id: str, delay_seconds: float | None) -> None:
    moment = settled(line.moment, line.mta, queue_id, delay_seconds)
    record["event_time"], record["time_quality"], record["alternative_event_time"] = moment


def _add_flags(record: Envelope, *groups: Sequence[str]) -> None:
    flags = record["flags"]
    for group in groups:
        for flag in group:
            if flag not in flags:
                flags.append(flag)


class _Network(NamedTuple):
    """A network of 128 bits, as numbers."""

    first: int
    mask: int

    def holds(self, ip: bytes) -> bool:
        """Whether these 16 bytes lie in it."""
        return int.from_bytes(ip, "big") & self.mask == self.first


def _network(text: str) -> _Network:
    """A network, IPv4 as its mapped IPv6 form. SettingsError when it is none."""
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise SettingsError(
            f"agent.site.own_networks: {text!r} is no network.", "Write such as 192.0.2.0/24."
        ) from None
    if not isinstance(network, IPv6Network):
        network = IPv6Network((f"::ffff:{network.network_address}", 96 + network.prefixlen))
    return _Network(int(network.network_address), int(network.netmask))


def _blank(server_ip: bytes | None) -> Envelope:
    """Every field with the value that it has where nothing is told; a record begins as a copy."""
    return {
        "record_id": b"",
        "event_time": 0,
        "accept_time": None,
        "observed_time": 0,
        "time_quality": "EXACT",
        "alternative_event_time": None,
        "mta": "POSTFIX",
        "host": "",
        "instance": "",
        "queue_id": "",
        "message_key": b"",
        "parent_message_key": None,
        "parent_queue_id": None,
        "next_queue_id": None,
        "message_id": None,
        "event": "DELIVERY",
        "kind": "MESSAGE",
        "direction": "UNKNOWN",
        "sender": None,
        "recipient": None,
        "original_recipient": None,
        "sender_logged": None,
        "recipient_logged": None,
        "authenticated_user": None,
        "local_uid": None,
        "sender_ip": None,
        "sender_port": None,
        "sender_ip_origin": "NOT_LOGGED",
        "sender_host": None,
        "helo": None,
        "recipient_ip": None,
        "recipient_port": None,
        "recipient_ip_origin": "NOT_CONNECTED",
        "recipient_host": None,
        "server_ip": server_ip,
        "outcome": "UNKNOWN",
        "is_final": True,
        "attempts": 0,
        "dsn": None,
        "smtp_code": None,
        "size_bytes": None,
        "recipient_count": None,
        "tls": None,
        "access_protocol": None,
        "session_id": None,
        "flags": [],
        "agent_id": "",
        "agent_epoch": 0,
        "agent_sequence": -1,
        "source_name": "",
        "source_offset": 0,
    }
