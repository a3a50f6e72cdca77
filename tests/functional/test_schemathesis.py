"""Requests made of the OpenAPI document, right ones and wrong ones: no answer is a defect of ours.

The same examples in every run; ``KILONOVA_FUZZ=500`` tries more and new ones.
"""

import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, openapi

from kilonova.api import versions
from kilonova.api.openapi import document
from kilonova.api.openapi.ranges import MAX, MIN
from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.routes import CALLER, Things

CLOUD: dict[str, Any] = {}
MANY = os.environ.get('KILONOVA_FUZZ')
FUZZ = settings(
    max_examples=int(MANY or 4),
    derandomize=MANY is None,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PATHS: dict[str, Any] = document.document()['paths']
# Reads come first: what the others do to the things is not what this is about.
ORDER = ('get', 'head', 'put', 'post', 'delete')
OPERATIONS = sorted(
    ((path, method) for path, item in PATHS.items() for method in item if method in ORDER),
    key=lambda one: (ORDER.index(one[1]), one[0]),
)
# What a path answers that is not there at all, or not at a version.
NO_ROUTE = '"The resource could not be found."'


def _modes(path: str, method: str) -> list[GenerationMode]:
    """Where nothing but the path is asked for, nothing can be wrong."""
    described = PATHS[path][method]
    takes = 'requestBody' in described or len(described['parameters']) > 1
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])]


CASES = [(path, method, mode) for path, method in OPERATIONS for mode in _modes(path, method)]


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
    operation = schema[path][method.upper()]
    described = PATHS[path][method]
    ends = [described[MIN], described.get(MAX, str(versions.MAX))]
    known = routes.arguments(things)
    strategy = operation.as_strategy(
        generation_mode=mode,
        path_parameters={name: known.get(name, 'x') for name in re.findall(r'{(\w+)}', path)},
        headers={'X-Auth-Token': CALLER},
    )
    reached = []

    @FUZZ
    @given(case=strategy, version=st.sampled_from(ends))
    def check(case: Any, version: str) -> None:
        case.headers[versions.HEADER] = f'compute {version}'
        answer = case.call()
        assert answer.status_code < 500 or answer.status_code == 501, (
            case.query,
            case.body,
            answer.text,
        )
        reached.append(answer.status_code != 300 and NO_ROUTE not in answer.text)

    check()
    assert any(reached)
