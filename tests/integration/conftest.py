"""Backends once a session, a control plane once a module."""

import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest

from kilonova.tests.integration.backends import MariaDB, PostgreSQL, RabbitMQ
from kilonova.tests.integration.processes import Processes
from kilonova.tests.integration.stack import Stack


@pytest.fixture(scope='session')
def folder() -> Iterator[pathlib.Path]:
    # short, since UNIX sockets live below it; readable for the database's user
    path = pathlib.Path(tempfile.mkdtemp(prefix='kn-', dir='/var/tmp'))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope='session')
def backend_processes(folder: pathlib.Path) -> Iterator[Processes]:
    processes = Processes(folder)
    yield processes
    processes.close()


@pytest.fixture(scope='session')
def mariadb(backend_processes: Processes, folder: pathlib.Path) -> MariaDB:
    return MariaDB(backend_processes, folder)


@pytest.fixture(scope='session')
def postgresql(backend_processes: Processes, folder: pathlib.Path) -> PostgreSQL:
    return PostgreSQL(backend_processes, folder)


@pytest.fixture(scope='session')
def rabbitmq(backend_processes: Processes, folder: pathlib.Path) -> RabbitMQ:
    return RabbitMQ(backend_processes, folder)


@pytest.fixture(scope='module')
def stack(
    folder: pathlib.Path, mariadb: MariaDB, rabbitmq: RabbitMQ, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """A control plane on MariaDB; its daemons end with the module."""
    own = folder / request.module.__name__.rpartition('.')[2]
    own.mkdir()
    processes = Processes(own)
    made = Stack(own, mariadb, rabbitmq, processes, **getattr(request.module, 'STACK', {}))
    try:
        made.start()
        yield made
    finally:
        processes.close()
        made.close()
        if request.session.testsfailed:
            for log in own.glob('*.log'):
                print(f'=== {log.name}\n{log.read_text(errors="replace")[-4000:]}')
