"""Configuration of the local Exim: one of each kind of acceptance, refusal and delivery that a log can tell of."""

from typing import Final

OWN_DOMAIN: Final = "example.org"
USERS: Final = ("alice", "bob", "carol", "archive", "away", "freezing", "fake")

ACCOUNTS: Final = """\
root:x:0:0:root:/:/bin/sh
Debian-exim:x:{exim}:{exim}::/var/spool/exim4:/bin/false
vmail:x:{mail}:{mail}::/var/mail:/bin/false
alice:x:8921:8921::/:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP: Final = """\
root:x:0:
Debian-exim:x:{exim}:
vmail:x:{mail}:
alice:x:8921:
nogroup:x:65534:
"""
ALIASES: Final = """\
team: alice, bob
list: alice, dave@lists.example.net
nested: team, carol
hole: :blackhole:
gone: :fail: this mailbox has moved; nothing of this text may be stored
full: :defer: come again later
printer: "|/usr/sbin/exim4 -bV"
folder: /var/mail/folder.mbox
nowhere: /dev/null
"""
AWAY_FILTER: Final = """\
# Exim filter
mail subject "a secret that no record may hold" text "away"
"""
_SELECTORS: Final = {
    "default": "",
    "all": "log_selector = +all\nlog_timezone = true\n",
    "syslog": "log_selector = +all\n",
}


def configuration(logging: str, host: str, port: int, second_port: int, relay_port: int) -> str:
    """The text of exim4.conf."""
    files = "log_file_path = " + ("syslog" if logging == "syslog" else "/var/log/exim4/%slog") + "\n"
    if logging == "syslog":
        files += "syslog_duplication = false\n"
    return (
        _MAIN.format(host=host, domain=OWN_DOMAIN, port=port, users=" : ".join(USERS))
        + files
        + _SELECTORS[logging]
        + _ACLS.format(second_port=second_port)
        + _ROUTERS.format(second_port=second_port)
        + _TRANSPORTS.format(relay_port=relay_port, second_port=second_port)
        + _REST
    )


_MAIN: Final = """\
primary_hostname = {host}
qualify_domain = {domain}
domainlist local_domains = {domain}
localpartlist users = {users}
hosts_proxy = ${{if eq{{$received_port}}{{{port}}}{{127.0.0.1}}}}
host_lookup =
rfc1413_hosts =
smtputf8_advertise_hosts = *
helo_accept_junk_hosts = *
smtp_accept_max = 40
smtp_accept_queue_per_connection = 100
smtp_enforce_sync = false
trusted_users = root
timezone = Asia/Shanghai
never_users =
delay_warning = 3s:1h
timeout_frozen_after = 0s
ignore_bounce_errors_after = 1h
message_size_limit = 50K
tls_certificate = /etc/exim4/exim.pem
tls_privatekey = /etc/exim4/exim.pem
tls_advertise_hosts = *
auth_advertise_hosts = *
dsn_advertise_hosts = *
prdr_enable = true
add_environment =
keep_environment =
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
acl_smtp_predata = acl_predata
acl_smtp_data = acl_data
acl_not_smtp = acl_not_smtp
"""
_ACLS: Final = """\
begin acl
acl_mail:
  deny message = no such sender; R=a T=b H=evil [6.6.6.6]: rejected RCPT <spy@example.org>
       senders = banned@example.net
  accept

acl_rcpt:
  accept condition = ${{if eq{{$received_port}}{{{second_port}}}}}
  discard local_parts = trash
  defer message = come again later
        local_parts = busy
  deny message = 550 5.7.1 F=<ceo@example.org> rejected RCPT <spy@example.org>: this text lies
       local_parts = refusedhere
  warn local_parts = through : unwanted
       control = cutthrough_delivery
  warn local_parts = fake
       control = fakereject/550 but it was taken
  warn local_parts = freezing
       control = freeze
  deny message = unknown user
       domains = +local_domains
      !verify = recipient
  accept domains = +local_domains
  accept authenticated = *
  accept hosts = <; 192.0.2.0/24 ; 2001:db8::/32
  deny message = relay not permitted

acl_predata:
  deny message = not from here
       senders = predata@example.net
  accept

acl_data:
  deny message = bad content; => spy@example.org R=x T=y
       condition = ${{if eq{{$h_x-test:}}{{refuse}}}}
  defer message = come again later
        condition = ${{if eq{{$h_x-test:}}{{later}}}}
  discard condition = ${{if eq{{$h_x-test:}}{{discard}}}}
  accept

acl_not_smtp:
  deny message = bad content
       condition = ${{if eq{{$h_x-test:}}{{refuse}}}}
  accept

"""
_ROUTERS: Final = """\
begin routers
second_hop:
  driver = manualroute
  condition = ${{if eq{{$received_port}}{{{second_port}}}}}
  route_list = * 127.0.0.1 byname
  self = send
  transport = to_relay

to_second_hop:
  driver = manualroute
  domains = hop.example.net
  route_list = * 127.0.0.1 byname
  self = send
  transport = to_second

nobody_answers:
  driver = manualroute
  domains = down.example.net
  route_list = * 127.0.0.1 byname
  self = send
  transport = to_closed_port

remote:
  driver = manualroute
  domains = ! +local_domains
  route_list = * 127.0.0.1 byname
  self = send
  transport = to_relay
  no_more

aliases:
  driver = redirect
  allow_fail
  allow_defer
  data = ${{lookup{{$local_part}}lsearch{{/etc/exim4/aliases}}}}
  file_transport = to_file
  pipe_transport = to_pipe

away:
  driver = redirect
  local_parts = away
  allow_filter
  file = /etc/exim4/away.filter
  user = vmail
  reply_transport = to_reply
  no_verify

odd:
  driver = accept
  condition = ${{if match{{$local_part}}{{^odd}}}}
  transport = to_odd

plain_users:
  driver = accept
  local_parts = +users
  transport = to_mailbox

"""
_TRANSPORTS: Final = """\
begin transports
to_relay:
  driver = smtp
  port = {relay_port}
  hosts_try_fastopen =
  allow_localhost
  tls_tempfail_tryclear
  max_rcpt = 100

to_second:
  driver = smtp
  port = {second_port}
  allow_localhost
  hosts_try_fastopen =

to_closed_port:
  driver = smtp
  port = 1
  allow_localhost
  hosts_try_fastopen =

to_mailbox:
  driver = appendfile
  directory = /var/mail/$local_part_data
  maildir_format
  create_directory
  user = vmail

to_odd:
  driver = appendfile
  directory = /var/mail/odd
  maildir_format
  create_directory
  user = vmail

to_file:
  driver = appendfile
  user = vmail

to_pipe:
  driver = pipe
  user = vmail
  ignore_status

to_reply:
  driver = autoreply
  user = vmail

"""
_REST: Final = """\
begin retry
hopeless.example.net * F,9s,1s
* * F,1h,2s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if eq{$auth3}{secret}}
  server_set_id = $auth2
"""
