"""One API for each test, with an empty conductor behind it."""

from collections.abc import Iterator

import pytest

from kilonova.common.clients import keystone
from kilonova.tests.unit.api.api import Api
from kilonova.tests.unit.api.creating import Cloud
from kilonova.tests.unit.api.fake_conductor import FakeConductor
from kilonova.tests.unit.api.passed_on import Fellows


@pytest.fixture(scope='module')
def module_api() -> Api:
    return Api(FakeConductor())


@pytest.fixture
def api(module_api: Api) -> Api:
    # Building an API takes longer than most tests; its conductor is all the state there is.
    FakeConductor.__init__(module_api.conductor)
    return module_api


@pytest.fixture
def fellows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fellows]:
    made = Fellows()
    monkeypatch.setattr(keystone, 'adapter', made.adapter)
    yield made
    made.close()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Cloud:
    return Cloud(monkeypatch)
