from __future__ import annotations

import faulthandler
import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.register_assert_rewrite("dc1.testing", "tests.support", "tests.contract.expect")

from tests.stateful.profiles import register_profiles  # noqa: E402 - after what makes its asserts tell more

# A run of the rules alone starts in half the time without the server, Envoy and PostgreSQL: fixtures load them when
# they are asked for.
if TYPE_CHECKING:
    from dc1.testing.edge import Edge
    from dc1.testing.market import LocalMarket
    from dc1.testing.postgres import PostgresServer

register_profiles()

# Every client and process of the tests reads the certificates that it trusts, though none of them meets the world's:
# those of 140 authorities take 59 ms of a core, this one 1 ms. Its key is gone, so it vouches for nobody.
# Before numpy is imported: its threads, one for each core, spin until the last one is there, on cores that others need.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "support" / "tls" / "nobody.pem")

_END_SECONDS = 60
_LONG = frozenset({"chaos", "fuzz", "ops", "stateful"})
"""What has tests of minutes: one that begins last keeps a single worker busy while the others have nothing left."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "settings(**changes): starts the market of this test with these settings")


# Ten thousand tests are 600,000 objects that stay. To look for garbage among them while they come was half of the
# collection's time, and each full look later would go through all of them again.
@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    tests = Path(__file__).parent
    items.sort(
        key=lambda item: not item.path.is_relative_to(tests) or item.path.relative_to(tests).parts[0] not in _LONG
    )


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    # The time of a test ends with the test: a worker that does not end afterwards would keep everybody waiting.
    if hasattr(session.config, "workerinput"):
        faulthandler.dump_traceback_later(_END_SECONDS, exit=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    from dc1.testing.postgres import PostgresServer

    with PostgresServer.running(durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database to copy from."""
    from dc1.storage.engine.database import normalised
    from dc1.storage.engine.migrate import upgrade

    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    upgrade(normalised(f"sqlite:///{path}"))
    return path


@pytest.fixture
def database_file(tmp_path: Path, sqlite_template: Path) -> Path:
    """A migrated database where servers of this test look for theirs: to make one takes longer than most tests."""
    return Path(shutil.copy(sqlite_template, tmp_path / "dc1.sqlite3"))


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """Real Envoy; servers come and go behind it."""
    from dc1.testing.edge import Edge

    edge = Edge(tmp_path_factory.mktemp("edge"))
    yield edge
    edge.close()


@pytest.fixture
def market(edge: Edge, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalMarket]:
    """The whole product on an empty database: rate limits off, admin token set, all else by default."""
    from dc1.testing.market import LocalMarket

    marker = request.node.get_closest_marker("settings")
    market = LocalMarket(edge, tmp_path, **(marker.kwargs if marker else {}))
    yield market
    market.close()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forgets the proxies that this machine's environment names."""
    for kind in ("grpc", "https", "http", "all", "no", "no_grpc"):
        for name in (f"{kind}_proxy", f"{kind}_proxy".upper()):
            monkeypatch.delenv(name, raising=False)
