"""`liucun producer check`: programs that answer as the real ones do, and files as distributions ship them."""

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from producers import check
from producers.check import System
from producers.cli import producer

POSTCONF = """\
mail_version = 3.7.11
enable_long_queue_ids = {long}
smtpd_client_port_logging = {port}
info_log_address_format = {form}
smtpd_delay_reject = yes
content_filter = {filter}
maillog_file = {file}
smtp_send_xforward_command = no
smtpd_authorized_xforward_hosts = {hosts}
"""
EXIM = "log_selector = {selector}\n{zone}log_timezone\nlog_file_path = /var/log/exim4/%slog\n"
DOVECOT = "user=<%u> method=%m rip=%r lip=%l mpid=%e %c session=<%{session}>"
GOOD = {"long": "yes", "port": "yes", "form": "external", "filter": "", "file": "/var/log/mail.log", "hosts": ""}
ALL = (
    "+received_recipients +received_sender +incoming_port +incoming_interface +outgoing_port +sender_on_delivery "
    "+delivery_size +msg_id_created +millisec +pid"
)


class Host:
    """Programs on PATH, and files below a root."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.bin.mkdir()

    def program(self, name: str, output: str, *, behind: str = "", exit_code: int = 0) -> None:
        """`output`; with an argument -P `behind`."""
        path = self.bin / name
        path.write_text(
            f"#!/bin/sh\nif [ \"$1\" = -P ]; then printf '%s' '{behind}'; else printf '%s' '{output}'; fi\nexit {exit_code}\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def file(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def postfix(self, *, behind: str = "", **changes: str) -> None:
        self.program("postconf", POSTCONF.format(**(GOOD | changes)), behind=behind)

    def lost(self) -> set[str]:
        """`system setting` of what loses evidence."""
        found = check.report(check.examine(self.root))["settings"]
        return {f"{one['system']} {one['setting']}" for one in found if one["lost"]}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    return made


def test_without_any_mail_system_each_is_said_to_be_missing(host: Host) -> None:
    systems = check.examine(host.root)
    assert [system.name for system in systems] == ["postfix", "exim", "sendmail", "opensmtpd", "dovecot"]
    assert all("not here" in system.note for system in systems)
    assert check.report(systems)["ok"]
    assert check.sentences(systems)[-1].startswith("No mail system could be asked")


def test_a_good_postfix_loses_nothing(host: Host) -> None:
    host.postfix()
    assert host.lost() == set()
    assert check.examine(host.root)[0].note == "version 3.7.11"


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"long": "no"}, {"postfix enable_long_queue_ids"}),
        ({"port": "no"}, {"postfix smtpd_client_port_logging"}),
        ({"form": "internal"}, {"postfix info_log_address_format"}),
        ({"filter": "smtp:[127.0.0.1]:10024"}, {"postfix smtp_send_xforward_command", "postfix smtpd_authorized_xforward_hosts"}),
        ({"filter": "x", "hosts": "127.0.0.0/8"}, {"postfix smtp_send_xforward_command"}),
        ({"behind": "submission/inet/smtpd_client_port_logging = no\nsmtp/inet/syslog_name = x\n"},
         {"postfix submission/inet/smtpd_client_port_logging"}),
        ({"behind": "scan/unix/smtp_send_xforward_command = yes\n127.0.0.1:10025/inet/smtpd_authorized_xforward_hosts = 127.0.0.0/8\n", "filter": "scan:"},
         set()),
    ],
)  # fmt: skip
def test_postfix_settings_that_lose_evidence(host: Host, changes: dict[str, str], lost: set[str]) -> None:
    host.postfix(**changes)
    assert host.lost() == lost


def test_an_older_postfix_is_not_blamed_for_what_it_does_not_know(host: Host) -> None:
    host.program("postconf", "mail_version = 2.6.6\nsmtpd_delay_reject = yes\nmaillog_file = /x\n")
    assert host.lost() == set()


def test_exim_s_log_selector_is_read_word_by_word(host: Host) -> None:
    host.program("exim4", EXIM.format(selector=ALL, zone=""))
    assert host.lost() == set()
    host.program("exim4", EXIM.format(selector="+all -incoming_port - millisec", zone="no_"))
    assert host.lost() == {"exim log_selector incoming_port", "exim log_selector millisec", "exim log_timezone"}
    host.program("exim4", EXIM.format(selector=f"{ALL} -msg_id", zone=""))
    assert host.lost() == {"exim log_selector msg_id"}
    host.program("exim4", EXIM.format(selector="", zone="no_"))
    assert len(host.lost()) == 11


def test_a_program_that_does_not_say_is_told_of(host: Host) -> None:
    host.program("exim", "", exit_code=1)
    (exim,) = [system for system in check.examine(host.root) if system.name == "exim"]
    assert (exim.found, exim.note) == (
        False,
        "`exim -bP log_selector log_timezone log_file_path` did not say (exit 1); ask as root",
    )


@pytest.mark.parametrize(("level", "lost"), [("8", {"sendmail LogLevel"}), ("9", set()), ("14", set())])
def test_sendmail_s_log_level(host: Host, level: str, lost: set[str]) -> None:
    host.file("etc/mail/sendmail.cf", f"# level 10 syslog\n#O LogLevel=1\nO LogLevel={level}\nO Other=2\n")
    assert host.lost() == lost


def test_opensmtpd_needs_a_filter_for_message_ids(host: Host) -> None:
    host.file("etc/smtpd.conf", "listen on lo\n# filter x proc-exec y\n")
    assert host.lost() == {"opensmtpd filter"}
    host.file("etc/smtpd.conf", 'filter "ids" proc-exec "/usr/bin/ids"\nlisten on lo filter "ids"\n')
    assert host.lost() == set()


def test_dovecot_s_elements(host: Host) -> None:
    host.program("doveconf", f"login_log_format_elements = {DOVECOT}\nlog_path = syslog\n")
    assert host.lost() == set()
    host.program("doveconf", "login_log_format_elements = user=<%u> method=%m\nlog_path = /var/log/dovecot.log\n")
    assert len(host.lost()) == 3


def test_what_carries_the_lines_is_looked_at_where_it_carries_them(host: Host) -> None:
    host.file("etc/rsyslog.conf", '$RepeatedMsgReduction on\nmodule(load="imuxsock" sysSock.RateLimit.Interval="5")\n')
    host.file("etc/rsyslog.d/journal.conf", 'module(load="imjournal" StateFile="x")\n# $RepeatedMsgReduction off\n')
    host.file("run/systemd/journal/socket", "")
    host.file("etc/systemd/journald.conf", "[Journal]\n#RateLimitIntervalSec=0\n")
    host.postfix()
    assert host.lost() == set()  # its own file
    host.postfix(file="")
    assert host.lost() == {
        "rsyslog RepeatedMsgReduction",
        "rsyslog imuxsock syssock.ratelimit.interval",
        "rsyslog imjournal ratelimit.interval",
        "journald RateLimitIntervalSec",
    }
    host.file("etc/rsyslog.conf", '$RepeatedMsgReduction off\nmodule(load="imuxsock")\n')
    host.file("etc/rsyslog.d/journal.conf", 'module(load="imjournal" Ratelimit.Interval="0")\n')
    host.file("etc/systemd/journald.conf.d/mail.conf", "[Journal]\nRateLimitIntervalSec=0\n")
    assert host.lost() == set()


def test_the_command_says_it_and_its_exit_code(host: Host) -> None:
    host.postfix()
    good = CliRunner().invoke(producer, ["check"])
    assert (good.exit_code, good.stdout.splitlines()[-1]) == (0, "No setting was found that loses evidence.")
    host.postfix(long="no")
    bad = CliRunner().invoke(producer, ["check", "--json"])
    assert bad.exit_code == 3
    report = json.loads(bad.stdout)
    assert report["ok"] is False
    lost = [one for one in report["settings"] if one["lost"]]
    assert [set(one) for one in lost] == [{"system", "setting", "found", "wanted", "lost", "why"}]
    assert (lost[0]["setting"], lost[0]["found"], lost[0]["wanted"]) == ("enable_long_queue_ids", "no", "yes")
    text = CliRunner().invoke(producer, ["check"]).stdout
    assert "LOST enable_long_queue_ids = no; wanted: yes." in text


def test_hostile_answers_are_only_text(host: Host) -> None:
    host.program("postconf", "\x1b[2J = = =\n=\n\n" + "x" * 100_000)
    assert isinstance(check.examine(host.root)[0], System)
