"""The suites that speak SQL pass on MariaDB and PostgreSQL as on SQLite."""

import os
import pathlib
import subprocess
import sys

import pytest

from kilonova.tests.integration.backends import MariaDB, PostgreSQL

pytestmark = pytest.mark.integration
TESTS = pathlib.Path(__file__).resolve().parent.parent


def _run(variable: str, url: str) -> None:
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-n', '2', '-p', 'no:cacheprovider', '--timeout', '300',
         '--rootdir', str(TESTS.parent), '-c', str(TESTS.parent / 'setup.cfg'),
         str(TESTS / 'unit' / 'db'), str(TESTS / 'unit' / 'conductor')],
        capture_output=True, text=True, timeout=900, env={**os.environ, variable: url},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert ' passed' in done.stdout


def test_mariadb(mariadb: MariaDB) -> None:
    _run('KILONOVA_TEST_MYSQL_URL', mariadb.url())


def test_postgresql(postgresql: PostgreSQL) -> None:
    _run('KILONOVA_TEST_POSTGRESQL_URL', postgresql.url())
