"""Which names in tags share a queue: a message is known by its queue, and services may log under names of their own.

Postfix's documented names are `<instance>/<service>` (postfix/submission/smtpd beside postfix/qmgr): the part before
the first slash names the queue. Where a service has quite another name, its queue is the one in which its first message
goes on. Only a name under which a queue manager logs is a queue of its own; on one host several may be (case 25).
"""

from typing import Any, Final

from producers.lines import Line
from producers.transactions import from_plain, to_plain

NAMES_MAX: Final = 4096  # of each kind; beyond it the oldest is forgotten
SERVICES_MAX: Final = 16  # on one host, of unknown queue
_Name = tuple[str, str]  # host, instance up to its first slash


class Instances:
    """Names seen so far. The same calls in the same order give the same answers."""

    def __init__(self) -> None:
        """None yet."""
        self._owners: dict[_Name, None] = {}  # under which a queue manager logs
        self._services: dict[str, list[str]] = {}  # by host: under which messages began, and no queue manager logged
        self._served: dict[_Name, str] = {}  # service: the queue that it hands messages to

    def queue_of(self, line: Line) -> str:
        """The name of the queue that a line is about."""
        root = line.instance.partition("/")[0]
        return self._served.get((line.host, root), root) if self._served else root

    def began(self, line: Line) -> None:
        """A message began under this line's name."""
        name = (line.host, line.instance.partition("/")[0])
        if name in self._owners or name in self._served:
            return
        services = self._services.get(line.host)
        if services is None:
            _remember(self._services, line.host, [name[1]])
        elif name[1] not in services:
            services.append(name[1])
            del services[:-SERVICES_MAX]

    def managed(self, line: Line) -> None:
        """A queue manager logged: this line's name is a queue's, whatever was thought of it."""
        name = (line.host, line.instance.partition("/")[0])
        if name not in self._owners:
            _remember(self._owners, name, None)
            self._forget(name)
            self._served.pop(name, None)

    def is_managed(self, line: Line) -> bool:
        """Whether `managed` has nothing to learn from this line."""
        return (line.host, line.instance.partition("/")[0]) in self._owners

    def services(self, host: str, queue: str) -> list[str]:
        """Names on a host, other than `queue`, whose messages may go on in it."""
        return [service for service in self._services.get(host, ()) if service != queue]

    def serves(self, host: str, service: str, queue: str) -> None:
        """A message that began under `service` goes on in `queue`."""
        self._forget((host, service))
        _remember(self._served, (host, service), queue)

    def _forget(self, name: _Name) -> None:
        """A name's queue is known now."""
        services = self._services.get(name[0])
        if services is not None and name[1] in services:
            services.remove(name[1])

    def state(self) -> list[Any]:
        """Everything as plain JSON values."""
        return [to_plain(part) for part in (self._owners, self._services, self._served)]

    def restore(self, state: list[Any]) -> None:
        """Take over a `state`."""
        self._owners, self._services, self._served = (from_plain(part) for part in state)


def _remember(mapping: dict[Any, Any], name: Any, value: Any) -> None:
    mapping[name] = value
    if len(mapping) > NAMES_MAX:
        del mapping[next(iter(mapping))]
