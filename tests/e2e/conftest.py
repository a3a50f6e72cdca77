"""The cloud that the tests share, and their order: those of ``make demo`` end every cloud."""

import os
from collections.abc import Iterator

import pytest

from kilonova.tests.e2e import test_demo


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name != 'test_demo.py')


@pytest.fixture(scope='session')
def demo_cloud() -> Iterator[None]:
    """Have a cloud: the one that runs, else one that ends with the tests."""
    if os.geteuid() != 0:
        pytest.skip('needs root: it starts a whole cloud')
    status = test_demo.devcloud('status')
    if status.returncode == 0 and 'nothing runs' not in status.stdout:
        yield
        return
    test_demo.up('--no-walk-through', '--with', 'cinder')
    yield
    test_demo.down()
