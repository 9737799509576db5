"""What tests share: the real engines, settings for them, and what to do where a tool is missing.

LIUCUN_REQUIRE=all (as .ci/run sets it) turns a skip for a missing tool into a failure. LIUCUN_LONG=1 runs full counts.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.runtime import home_from_environment
from infra.local.stack import LocalStack
from infra.ops.migrate import migrate_store, migrate_topics
from infra.platform.clock import SystemClock
from infra.platform.settings import Settings
from tests.ledgers import RunningLedger, short_folder
from tests.pipeline import Program, until

LONG = os.environ.get("LIUCUN_LONG") == "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Full counts only when asked for."""
    if not LONG:
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(pytest.mark.skip(reason="full counts: make test-long"))


def missing(reason: str) -> None:
    """A tool is not here: skip, or fail where everything is required."""
    if os.environ.get("LIUCUN_REQUIRE") == "all":
        pytest.fail(f"required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """A broker and a store of this worker's own, with topics and tables."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    home = home_from_environment() / "test" / worker
    for name in ("kafka", "clickhouse"):
        shutil.rmtree(home / name, ignore_errors=True)
    with LocalStack(home) as running:
        settings = running.settings()
        migrate_store(settings, SystemClock(), execute=True)
        migrate_topics(settings, execute=True)
        yield running


@pytest.fixture
def settings(stack: LocalStack) -> Settings:
    """Settings that lead to the shared engines."""
    return stack.settings()


@pytest.fixture
def fresh(stack: LocalStack) -> Settings:
    """Settings with topics, tables and a consumer group that no other test has used."""
    from confluent_kafka.admin import AdminClient

    from infra.platform.clickhouse import connect
    from schemas import topics

    settings = stack.settings()
    admin = AdminClient({"bootstrap.servers": stack.kafka.bootstrap_servers})
    names = {topic.name for topic in topics.all_topics()}
    for done in admin.delete_topics(sorted(names), operation_timeout=30).values():
        done.result()
    until(lambda: names.isdisjoint(admin.list_topics(timeout=10).topics), 30)  # the broker says so a moment later
    client = connect(settings.clickhouse, settings.clickhouse.migrator)
    for table in ("envelope", "coverage", "batch", "retention"):
        client.command(f"DROP TABLE IF EXISTS {table} SYNC")
    client.command("DROP TABLE IF EXISTS migration SYNC")
    client.close()
    migrate_store(settings, SystemClock(), execute=True)
    migrate_topics(settings, execute=True)
    group = f"test-{uuid.uuid4().hex[:12]}"
    return settings.model_copy(update={"loader": settings.loader.model_copy(update={"group_id": group})})


@pytest.fixture
def ledger_folder() -> Iterator[Path]:
    """A folder with room for sockets; ledgers that were made meanwhile are ended before it goes."""
    with short_folder() as folder:
        yield folder
        while RunningLedger.made:
            RunningLedger.made.pop().end()


@pytest.fixture
def ledger(ledger_folder: Path) -> RunningLedger:
    """A ledger with its genesis, and its writer running."""
    running = RunningLedger(ledger_folder)
    running.start()
    return running


@pytest.fixture
def recorded(fresh: Settings, ledger: RunningLedger) -> Settings:
    """`fresh`, with a running ledger: for what deletes or reveals."""
    return fresh.model_copy(update={"ledger": ledger.settings})


@pytest.fixture(autouse=True)
def programs_end() -> Iterator[None]:
    """A test that failed half-way must not leave a loader that disturbs the next."""
    yield
    for program in list(Program.running):
        program.kill()


@pytest.fixture
def corpora() -> Path:
    """Public log lines outside the repository."""
    given = os.environ.get("LIUCUN_CORPORA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "corpora"
    if not folder.is_dir():
        pytest.skip("no corpora outside the repository (LIUCUN_CORPORA)")
    return folder
