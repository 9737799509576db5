"""`producer check`: which settings of the mail systems on this host make their logs say less than the law asks for.

Each mail system is asked by its own program (postconf, exim -bP, doveconf) or, where it has none, in its own file. What
carries the lines (rsyslog, journald) is looked at too: a limit there drops lines. Nothing is changed.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

ASK_SECONDS_MAX: Final = 20.0
FILE_BYTES_MAX: Final = 4 * 1024**2
_BREAK: Final = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: what it is, what it should be, whether evidence is lost by it, and which."""

    system: str
    setting: str
    found: str
    wanted: str
    lost: bool
    why: str


@dataclass(slots=True)
class System:
    """One mail system or carrier: whether it is here, and a word on that."""

    name: str
    found: bool
    note: str
    settings: list[Setting] = field(default_factory=list)
    own_file: bool = False  # it writes its log itself, past every syslog daemon

    def add(self, setting: str, found: str, wanted: str, why: str, *, lost: bool) -> None:
        """Note one setting."""
        self.settings.append(Setting(self.name, setting, found, wanted, lost, why))


def examine(root: Path = Path("/")) -> list[System]:
    """Every mail system that this knows, then what carries its lines. `root` is where files are looked for."""
    systems = [_postfix(), _exim(), _sendmail(root), _opensmtpd(root), _dovecot()]
    if any(system.found and not system.own_file for system in systems):
        systems += [_rsyslog(root), _journald(root)]
    return systems


def report(systems: Iterable[System]) -> dict[str, Any]:
    """For `--json`: `ok` is false when a setting loses evidence."""
    listed = list(systems)
    settings = [asdict(setting) for system in listed for setting in system.settings]
    return {
        "ok": not any(setting["lost"] for setting in settings),
        "systems": [{"name": system.name, "found": system.found, "note": system.note} for system in listed],
        "settings": settings,
    }


def sentences(systems: Iterable[System]) -> list[str]:
    """For people."""
    out = []
    lost = 0
    listed = list(systems)
    for system in listed:
        out.append(f"{system.name}: {system.note}")
        for setting in system.settings:
            lost += setting.lost
            mark = "LOST" if setting.lost else "ok"
            line = f"  {mark:4} {setting.setting} = {setting.found or '(empty)'}"
            out.append(f"{line}; wanted: {setting.wanted}. {setting.why}" if setting.lost else line)
    if lost:
        out.append(f"{lost} settings lose evidence.")
    elif any(system.settings for system in listed):
        out.append("No setting was found that loses evidence.")
    else:
        out.append("No mail system could be asked, so nothing is known of what its log leaves out.")
    return out


# (parameter, wanted, what is lost without it); a parameter that this version does not know is passed over.
_POSTFIX: Final = (
    ("enable_long_queue_ids", "yes", "Short queue ids are used again within days, so two messages can look like one."),
    ("smtpd_client_port_logging", "yes", "Behind a carrier's NAT the address alone names nobody; the port does."),
    ("info_log_address_format", "external", "The internal form is ambiguous: an address can imitate a log field."),
    ("smtpd_delay_reject", "yes", "A client refused before RCPT TO leaves no sender and recipient."),
)


def _postfix() -> System:
    values, note = _asked(["postconf"])
    system = System("postfix", bool(values), note)
    if not values:
        return system
    system.note = f"version {values.get('mail_version', 'unknown')}"
    system.own_file = bool(values.get("maillog_file"))
    for name, wanted, why in _POSTFIX:
        if name in values:
            system.add(name, values[name], wanted, why, lost=values[name] != wanted)
    services, _ = _asked(["postconf", "-P"])
    watched = {name: (wanted, why) for name, wanted, why in _POSTFIX}
    for place, value in services.items():
        wanted, why = watched.get(place.rpartition("/")[2], (value, ""))
        if value != wanted:
            system.add(place, value, wanted, why, lost=True)
    filtered = values.get("content_filter") or any(
        value for place, value in services.items() if place.endswith("/content_filter")
    )
    if filtered:
        _filter_hop(system, values, services)
    return system


def _filter_hop(system: System, values: Mapping[str, str], services: Mapping[str, str]) -> None:
    """A filter between two passes through Postfix hides the client, unless XFORWARD carries it."""
    why = "Behind the content filter every message seems to come from the filter."
    sends = [values.get("smtp_send_xforward_command", "no"), values.get("lmtp_send_xforward_command", "no")]
    sends += [value for place, value in services.items() if place.endswith("_send_xforward_command")]
    system.add("smtp_send_xforward_command", "yes" if "yes" in sends else "no", "yes", why, lost="yes" not in sends)
    hosts = values.get("smtpd_authorized_xforward_hosts", "") or next(
        (value for place, value in services.items() if place.endswith("/smtpd_authorized_xforward_hosts")), ""
    )
    system.add("smtpd_authorized_xforward_hosts", hosts, "the filter's address", why, lost=not hosts)


# (selector, is it on by default, what is lost without it)
_EXIM: Final = (
    ("received_recipients", False, "Recipients of a message that is removed or frozen are never named."),
    ("received_sender", False, "The envelope sender as it came is lost when it is rewritten."),
    ("incoming_port", False, "Behind a carrier's NAT the address alone names nobody; the port does."),
    ("incoming_interface", False, "The server's own address is not logged."),
    ("outgoing_port", False, "The next hop's port is not logged."),
    ("sender_on_delivery", False, "A delivery whose arrival is not in the log has no sender."),
    ("delivery_size", False, "A delivery whose arrival is not in the log has no size."),
    ("msg_id_created", False, "A Message-ID that Exim made is not logged."),
    ("millisec", False, "Lines of one second cannot be put in order."),
    ("pid", False, "Lines that syslog cut cannot be joined again."),
    ("connection_reject", True, "Refused connections are not logged."),
    ("size_reject", True, "Messages refused for their size are not logged."),
    ("msg_id", True, "The Message-ID is not logged."),
)


def _exim() -> System:
    program = next((name for name in ("exim4", "exim") if shutil.which(name)), None)
    if program is None:
        return System("exim", False, "not here: there is no program exim4 or exim")
    values, note = _asked([program, "-bP", "log_selector", "log_timezone", "log_file_path"], booleans=True)
    system = System("exim", bool(values), note)
    if "log_selector" in values:
        chosen = _selected(values["log_selector"])
        for name, default, why in _EXIM:
            on = chosen.get(name, chosen.get("all", default))
            system.add(f"log_selector {name}", _sign(name, on=on), f"+{name}", why, lost=not on)
        subject = chosen.get("subject", chosen.get("all", False))
        why = "It writes content into the log, which Liucun reads past, but nobody needs there."
        system.add("log_selector subject", _sign("subject", on=subject), "-subject", why, lost=False)
    if "log_timezone" in values:
        zone = values["log_timezone"]
        why = "Times without a zone are ambiguous for an hour each autumn, and wrong when the zone is set wrong."
        system.add("log_timezone", zone, "true", why, lost=zone != "true")
    system.own_file = "syslog" not in values.get("log_file_path", "")
    return system


def _selected(text: str) -> dict[str, bool]:
    """What a log_selector turns on and off; of several words on one name the last counts, `all` stands for the rest."""
    chosen: dict[str, bool] = {}
    for word in _BREAK.split(re.sub(r"([+-])\s+", r"\1", text)):
        if word[:1] in ("+", "-") and word[1:]:
            if word[1:] == "all":
                chosen.clear()
            chosen[word[1:]] = word[0] == "+"
    return chosen


def _sign(name: str, *, on: bool) -> str:
    return ("+" if on else "-") + name


def _sendmail(root: Path) -> System:
    text, note = _file(root / "etc/mail/sendmail.cf")
    system = System("sendmail", text is not None, note)
    if text is not None:
        levels = re.findall(r"^O\s*LogLevel\s*=\s*(\d+)", text, re.MULTILINE)
        level = int(levels[-1]) if levels else 9
        why = "Below 9 deliveries and refusals are not all logged; from 10 on the end of each message is, too."
        system.add("LogLevel", str(level), "10 or more", why, lost=level < 9)
    return system


def _opensmtpd(root: Path) -> System:
    places = [root / "etc/smtpd.conf", root / "etc/mail/smtpd.conf"]
    text, note = _file(next((place for place in places if place.is_file()), places[0]))
    system = System("opensmtpd", text is not None, note)
    if text is not None:
        lines = [line.split("#")[0] for line in text.splitlines()]
        filters = [line.strip() for line in lines if re.match(r"\s*filter\s", line) and "proc" in line]
        why = "OpenSMTPD never logs the Message-ID; only a filter with the smtp report sees it."
        system.add("filter", "one" if filters else "none", "a filter that reports message ids", why, lost=not filters)
    return system


# (words of which one must be there, what is lost without)
_DOVECOT: Final = (
    (("user=<", "user="), "Who read the mailbox is not logged."),
    (("rip=",), "From which address a mailbox was read is not logged."),
    (("lip=",), "The address of a name that imitates log fields cannot be told from the true one."),
    (("session=<", "session="), "A login cannot be joined with what was delivered or read in it."),
)


def _dovecot() -> System:
    values, note = _asked(["doveconf", "login_log_format_elements", "log_path", "info_log_path"])
    system = System("dovecot", bool(values), note)
    if "login_log_format_elements" in values:
        elements = values["login_log_format_elements"]
        for words, why in _DOVECOT:
            there = any(word in elements for word in words)
            system.add(f"login_log_format_elements {words[0].rstrip('<')}", elements, words[0], why, lost=not there)
    paths = {values.get("log_path", "syslog"), values.get("info_log_path", "")}
    system.own_file = bool(paths - {"syslog", ""})
    return system


# (module, its limit, rsyslog's default in seconds)
_LIMITS: Final = (("imuxsock", "syssock.ratelimit.interval", "0"), ("imjournal", "ratelimit.interval", "600"))


def _rsyslog(root: Path) -> System:
    texts = [
        text
        for path in [root / "etc/rsyslog.conf", *sorted((root / "etc/rsyslog.d").glob("*.conf"))]
        if (text := _file(path)[0]) is not None
    ]
    if not texts:
        return System("rsyslog", False, "not here: there is no rsyslog.conf")
    text = "\n".join(line.split("#")[0] for one in texts for line in one.splitlines()).lower()
    system = System("rsyslog", True, f"{len(texts)} files")
    repeated = re.findall(r"\$repeatedmsgreduction\s+(on|off)", text)
    why = "Identical lines are counted, not written: refusals that differ in nothing become one."
    system.add("RepeatedMsgReduction", (repeated or ["off"])[-1], "off", why, lost=repeated[-1:] == ["on"])
    why = "In a rush of mail, lines beyond the limit are dropped."
    for module, name, default in _LIMITS:
        loaded = re.search(rf'module\s*\(\s*load\s*=\s*"{module}"([^)]*)\)', text)
        if loaded is not None or f"$modload {module}" in text:
            found = re.search(rf'{re.escape(name)}\s*=\s*"?(\d+)', loaded[1] if loaded else "")
            value = found[1] if found else default
            system.add(f"{module} {name}", value, "0", why, lost=value != "0")
    return system


def _journald(root: Path) -> System:
    if not (root / "run/systemd/journal").is_dir():
        return System("journald", False, "not here: no journal is kept")
    values: dict[str, str] = {}
    for path in [root / "etc/systemd/journald.conf", *sorted((root / "etc/systemd/journald.conf.d").glob("*.conf"))]:
        values |= dict(re.findall(r"^\s*(RateLimit\w+)\s*=\s*(\S*)", _file(path)[0] or "", re.MULTILINE))
    interval = values.get("RateLimitIntervalSec", values.get("RateLimitInterval", "")) or "30s"
    burst = values.get("RateLimitBurst", "") or "10000"
    off = burst == "0" or re.fullmatch(r"0+(s|sec|ms|min)?", interval) is not None
    system = System("journald", True, "a journal is kept")
    why = "In a rush of mail, lines beyond the limit are dropped. LogRateLimitIntervalSec=0 in the unit helps, too."
    system.add("RateLimitIntervalSec", f"{interval} (burst {burst})", "0", why, lost=not off)
    return system


def _asked(command: list[str], *, booleans: bool = False) -> tuple[dict[str, str], str]:
    """`name = value` lines that a program prints, and a word; `booleans`: also Exim's `name` and `no_name`."""
    if shutil.which(command[0]) is None:
        return {}, f"not here: there is no program {command[0]}"
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=ASK_SECONDS_MAX, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}, f"`{' '.join(command)}` gave no answer"
    values = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        name, mark, value = line.partition("=")
        if mark:
            values[name.strip()] = value.strip()
        elif booleans and re.fullmatch(r"\w+", line.strip()):
            word = line.strip()
            values[word.removeprefix("no_")] = "false" if word.startswith("no_") else "true"
    if not values:
        return {}, f"`{' '.join(command)}` did not say (exit {done.returncode}); ask as root"
    return values, "asked"


def _file(path: Path) -> tuple[str | None, str]:
    """A configuration file's text, and a word."""
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode("utf-8", "replace"), f"read {path}"
    except FileNotFoundError:
        return None, f"not here: there is no {path}"
    except OSError as error:
        return None, f"{path} cannot be read ({error.strerror})"
