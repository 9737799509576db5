"""Desks over real TLS with a ledger in memory and a made-up store: one for a whole module, or one for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from liucun.authorization.v1 import authorization_pb2

from infra.platform.clock import SystemClock
from query_service.client import Client
from tests import desk as kit
from tests.desk import OFFICER, RunningDesk, World
from tests.places import Place

OTHER = "agencies/gongan-nb"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Whose parts can be broken."""
    return Place(tmp_path)


@pytest.fixture
def desk(place: Place) -> Iterator[RunningDesk]:
    """Running there, with one agency."""
    with place.running(stream_idle_seconds_max=2) as one:
        place.world.enrol(one, place.world.agency())
        yield one


@pytest.fixture
def officer(desk: RunningDesk) -> Iterator[Client]:
    """Of that agency."""
    with desk.client(OFFICER) as client:
        yield client


@pytest.fixture(scope="module")
def world() -> World:
    """The people of a module."""
    return World()


@pytest.fixture(scope="module")
def memory(world: World) -> kit.MemoryLedger:
    """The ledger of a module."""
    return kit.MemoryLedger(world.genesis(), SystemClock())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, world: World, memory: kit.MemoryLedger) -> Iterator[RunningDesk]:
    """The desk of a module, with two agencies."""
    store = kit.FakeStore(25)
    with kit.running(tmp_path_factory.mktemp("desk"), world, memory, store=store, refusals_per_minute_max=1000) as one:
        world.enrol(one, world.agency(officers=("zhang", "zhou")))
        world.enrol(one, world.agency(OTHER))
        yield one


@pytest.fixture(scope="module")
def paper(shared: RunningDesk) -> authorization_pb2.Authorization:
    """An approved instrument for one address."""
    return kit.approved(shared)


@pytest.fixture
def clerk(shared: RunningDesk) -> Iterator[Client]:
    """An officer at the module's desk."""
    with shared.client(OFFICER) as client:
        yield client
