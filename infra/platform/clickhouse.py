"""The store's client, one account a role, and its errors in our words.

Driver messages may hold values of rows; they are never passed on. What is kept of one is its code and name.
"""

import logging
import re

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra.platform.errors import LiucunError, UnreachableError
from infra.platform.settings import ClickHouse, StoreUser

__all__ = ["ClickHouseError", "Client", "StoreError", "code_of", "connect", "neutral"]

# The driver writes failures, with addresses of hosts and texts of statements, to a logger of its own. What matters of
# them comes back as an exception; the rest stays silent.
_DRIVER_LOG = logging.getLogger("clickhouse_connect")
_DRIVER_LOG.addHandler(logging.NullHandler())
_DRIVER_LOG.propagate = False

_CODE = re.compile(r"\bcode:? (\d+)|Code: (\d+)", re.IGNORECASE)


class StoreError(LiucunError):
    """The store answered with an error; `code` is ClickHouse's, 0 when it gave none."""

    reason = "STORE_REFUSED"

    def __init__(self, message: str, advice: str = "", code: int = 0) -> None:
        super().__init__(message, advice)
        self.code = code


def connect(store: ClickHouse, role: StoreUser, *, in_database: bool = True) -> Client:
    """A client for one role, in our database unless that may not be there yet.

    UnreachableError when nothing answers, StoreError when the account is refused.
    """
    try:
        return clickhouse_connect.get_client(
            host=store.host,
            port=store.port,
            interface="https" if store.tls else "http",
            ca_cert=str(store.ca_file) if store.ca_file else None,
            username=role.user,
            password=role.secret(),
            connect_timeout=round(store.connect_timeout_seconds),
            send_receive_timeout=round(store.request_timeout_seconds),
            autogenerate_session_id=False,
            query_limit=0,
            database=store.database if in_database else "default",
        )
    except ClickHouseError as error:
        raise neutral(error, store) from None


def code_of(error: Exception) -> int:
    """ClickHouse's error code in a driver error; 0 when there is none (the connection failed, not the query)."""
    found = _CODE.search(str(error))
    return int(found[1] or found[2]) if found else 0


def neutral(error: Exception, store: ClickHouse) -> LiucunError:
    """The driver's error without its text."""
    code = code_of(error)
    where = f"{store.host}:{store.port}"
    if code == 0:
        return UnreachableError(
            f"The store at {where} does not answer.", "Check that ClickHouse runs there and clickhouse.host and .port."
        )
    if code in (192, 193, 194, 516):
        return StoreError(
            f"The store at {where} refused the account (code {code}).",
            "Check clickhouse.*.user and its password file against infra/deploy/clickhouse/users.d.",
            code,
        )
    if code == 497:
        return StoreError(
            f"The store at {where} refused a right (code 497).",
            "Give the role the grants of infra/deploy/clickhouse/users.d.",
            code,
        )
    return StoreError(
        f"The store at {where} refused a statement (code {code}).", "The store's own log says more.", code
    )
