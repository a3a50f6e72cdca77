"""One API for each test, with an empty conductor behind it."""

import pytest

from kilonova.tests.unit.api.api import Api
from kilonova.tests.unit.api.fake_conductor import FakeConductor


@pytest.fixture(scope='module')
def module_api() -> Api:
    return Api(FakeConductor())


@pytest.fixture
def api(module_api: Api) -> Api:
    # Building an API takes longer than most tests; its conductor is all the state there is.
    FakeConductor.__init__(module_api.conductor)
    return module_api
