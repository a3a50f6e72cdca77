"""The suites that speak SQL pass on MariaDB and PostgreSQL as on SQLite."""

import os
import pathlib
import subprocess
import sys

import pytest

from kilonova.tests.fixtures.databases import VARIABLES
from kilonova.tests.integration.backends import MariaDB, PostgreSQL

# What needs a second try gets it inside, by itself.
pytestmark = [pytest.mark.integration, pytest.mark.flaky(reruns=0)]
TESTS = pathlib.Path(__file__).resolve().parent.parent


def _run(kind: str, url: str) -> None:
    """Run the tests of ``fixtures.databases`` that are for this kind of server."""
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-n', '2', '-p', 'no:cacheprovider', '--timeout', '300',
         '--reruns', '1', '-k', kind,
         '--rootdir', str(TESTS.parent), '-c', str(TESTS.parent / 'setup.cfg'),
         str(TESTS / 'unit' / 'db'), str(TESTS / 'unit' / 'conductor')],
        capture_output=True, text=True, timeout=900, env={**os.environ, VARIABLES[kind]: url},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert ' passed' in done.stdout


def test_mariadb(mariadb: MariaDB) -> None:
    _run('mysql', mariadb.url())


def test_postgresql(postgresql: PostgreSQL) -> None:
    _run('postgresql', postgresql.url())
