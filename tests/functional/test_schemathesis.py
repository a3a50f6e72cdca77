"""Requests made of the OpenAPI document, right ones and wrong ones, to a cloud with everything.

The same examples in every run; ``KILONOVA_FUZZ=500`` tries more and new ones.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from schemathesis import openapi

from kilonova.tests.functional import openapi_cases, routes
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.openapi_cases import CASES
from kilonova.tests.functional.routes import Things

CLOUD: dict[str, Any] = {}
MANY = os.environ.get('KILONOVA_FUZZ')
FUZZ = openapi_cases.fuzz(int(MANY or 4), same=MANY is None)


@pytest.fixture(scope='module')
def things(cloud: Cloud) -> Things:
    made = Things.make(cloud)
    quota = {'quota_set': {'instances': 2, 'force': True}}
    assert cloud.admin('PUT', '/os-quota-sets/demo', quota).status == 200
    return made


@pytest.fixture(scope='module')
def schema(cloud: Cloud) -> Iterator[Any]:
    yield openapi.from_wsgi('/openapi.json', cloud.all.compute_app)


@pytest.fixture
def host_is_up(cloud: Cloud, things: Things, path: str) -> Iterator[None]:
    """What is right may have forced the only host down."""
    yield
    if path.startswith(('/os-services', '/os-hosts')):
        body = {'status': 'enabled', 'forced_down': False}
        answer = cloud.admin('PUT', f'/os-services/{things.service}', body)
        assert answer.status in (200, 404), answer.text  # it may be deleted


@pytest.mark.usefixtures('host_is_up')
@pytest.mark.parametrize('path, method, mode', CASES, ids=lambda part: getattr(part, 'value', part))
def test_no_defects(schema: Any, things: Things, path: str, method: str, mode: Any) -> None:
    openapi_cases.check(schema, routes.arguments(things), path, method, mode, FUZZ)
