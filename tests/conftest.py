"""Options of the whole test suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        '--regenerate',
        action='store_true',
        help='Write the expected files in tests/data anew; review the difference.',
    )
