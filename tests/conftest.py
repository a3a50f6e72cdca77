"""Options of the whole test suite, and on which concurrency backend it runs."""

import os

import pytest

from kilonova.common import concurrency

concurrency.choose(os.environ.get('KILONOVA_TEST_BACKEND', 'threading'))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--regenerate',
        action='store_true',
        help='Write the expected files in tests/data anew; review the difference.',
    )
