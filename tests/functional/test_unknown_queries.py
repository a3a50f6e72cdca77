"""Query parameters that a route does not know: refused or ignored, as each version of it says."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.api import faults, versions
from kilonova.api.operation import Operation
from kilonova.api.request import Request
from kilonova.api.versions import Version
from kilonova.tests.functional import routes
from kilonova.tests.functional.cloud import Answer, Cloud
from kilonova.tests.functional.refusals import check_fault
from kilonova.tests.functional.routes import CALLER, Things
from kilonova.tests.functional.test_route_table import LIVE, OURS
from kilonova.tests.unit.api import reference
from kilonova.tests.unit.api.reference import Json, Row

pytestmark = reference.needed
CLOUD: dict[str, Any] = {}
LET_IN = 418
NAME = 'no_such'
TABLES = {(one['method'], one['path'], one['action']): one for one in reference.all_operations()}
# What they say is the time.
MOVING = ('/diagnostics', '/uptime', '/os-simple-tenant-usage', '/os-services', '/os-hypervisors')


@pytest.fixture
def stopped_behind_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be done but what comes before a request is allowed."""

    def stop(request: Request, **_target: Any) -> None:
        raise faults.Fault(LET_IN, 'let in')

    monkeypatch.setattr(Request, 'authorize', stop)


def _versions(row: Row) -> list[Version]:
    """Return where the query of a route, or the route itself, begins, ends or changes."""
    table = TABLES[row.key]
    found = {versions.parse(text) for text in reference.boundaries(table, 'query')}
    found |= {row.since, row.until}
    return sorted(one for one in found if row.since <= one <= row.until)


def _one(row: Row, version: Version) -> Operation:
    return next(one for one in OURS[row.shaped] if one.serves(version))


def _is_refused(row: Row, version: Version) -> bool:
    declared: Json | None = reference.schema_for(TABLES[row.key], 'query', str(version))
    if declared is None:
        return False
    return not declared.get('additionalProperties', True) and not any(
        re.search(pattern, NAME) for pattern in declared.get('patternProperties', {})
    )


def _ask(cloud: Cloud, things: Things, row: Row, version: Version, query: str = '') -> Answer:
    one = _one(row, version)
    body = routes.bodies(things).get((one.method, one.path, one.action))
    path = one.path.format(**routes.arguments(things)) + query
    return cloud.call(one.method, path, body, token=CALLER, version=str(version))


def _check(cloud: Cloud, things: Things, row: Row) -> Iterator[tuple[Version, Answer]]:
    """See that it is refused where it should be; yields the other answers."""
    for version in _versions(row):
        answer = _ask(cloud, things, row, version, f'?{NAME}=1')
        named = answer.status == 400 and NAME in answer.text
        assert named == _is_refused(row, version), (str(version), answer.status, answer.text)
        if named:
            check_fault(answer, 400)
        else:
            yield version, answer


READS = [row for row in LIVE if row.key[0] == 'GET']
WRITES = [row for row in LIVE if row.key[0] != 'GET']


@pytest.mark.parametrize('row', READS, ids=str)
def test_of_reads(cloud: Cloud, things: Things, row: Row) -> None:
    for version, answer in _check(cloud, things, row):
        plain = _ask(cloud, things, row, version)
        assert answer.status == plain.status
        if not any(part in row.key[1] for part in MOVING):
            assert answer.text == plain.text, version


@pytest.mark.parametrize('row', WRITES, ids=str)
def test_of_writes(cloud: Cloud, things: Things, stopped_behind_the_check: None, row: Row) -> None:
    for version, answer in _check(cloud, things, row):
        assert answer.status in (LET_IN, 400, 404, 410, 501), (version, answer.text)


@pytest.mark.parametrize('row', [row for row in READS if row.since == versions.MIN], ids=str)
def test_of_the_old_api(cloud: Cloud, things: Things, row: Row) -> None:
    """Below /v2 nothing that is unknown is refused."""
    path = _one(row, versions.MIN).path.format(**routes.arguments(things))
    answer = cloud.call('GET', f'//v2{path}?{NAME}=1', token=CALLER, version=None)
    plain = cloud.call('GET', f'//v2{path}', token=CALLER, version=None)
    assert answer.status == plain.status and NAME not in answer.text
