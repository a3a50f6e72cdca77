"""The OpenAPI document of a running ``nova-api``, and one request of each kind that it describes."""

import pathlib
from collections.abc import Iterator

import pytest
from schemathesis import openapi

from kilonova.tests.functional import openapi_cases
from kilonova.tests.functional.openapi_cases import CASES
from kilonova.tests.integration.processes import Processes
from kilonova.tests.integration.stack import AllInOneStack

pytestmark = pytest.mark.integration
ONE = openapi_cases.fuzz(1, same=True)


@pytest.fixture(scope='module')
def stack(folder: pathlib.Path) -> Iterator[AllInOneStack]:
    own = folder / 'openapi'
    own.mkdir()
    processes = Processes(own)
    made = AllInOneStack(own, processes)
    try:
        made.start()
        yield made
    finally:
        processes.close()
        made.close()


def test_every_operation(stack: AllInOneStack) -> None:
    """A right and a wrong request for each: in one test, since each alone is over at once."""
    flavor, image = stack.flavor(), stack.glance.add()
    known = {
        'server_id': stack.boot(flavor, image), 'flavor_id': flavor, 'image_id': image,
        'project_id': 'demo', 'host_name': 'controller', 'identifier': 'v2.1',
    }  # fmt: skip
    stack.wait_status(known['server_id'], 'ACTIVE')
    schema = openapi.from_url(stack.url.removesuffix('/v2.1') + '/openapi.json')
    for path, method, mode in CASES:
        openapi_cases.check(schema, known, path, method, mode, ONE, there=False)
    assert 'Traceback' not in stack.processes.log('nova-allinone')
