"""Every route at every version that changes it: Nova's examples in, answers as its schemas say.

At each of the versions the newest example of the request is sent.  The status is the table's,
the answer fits the published schema and, where that version has an example of the answer, has
its keys and types.
"""

from collections.abc import Iterator

import pytest

from kilonova.api import versions
from kilonova.api.versions import Version
from kilonova.tests.functional import compare, examples, samples
from kilonova.tests.functional.cloud import Cloud
from kilonova.tests.functional.examples import ROWS, WRITTEN, Example
from kilonova.tests.functional.samples import Sample
from kilonova.tests.functional.states import World
from kilonova.tests.functional.test_route_table import LIVE, OURS
from kilonova.tests.unit.api import reference

pytestmark = reference.needed
CLOUD = examples.CLOUD
TABLES = {
    (one['method'], one['path'], one['action']): one
    for one in reference.all_operations()
}  # fmt: skip
# Their schema takes the names of hosts for UUIDs.
UNFIT = {'/os-instance_usage_audit_log', '/os-instance_usage_audit_log/{id}'}


@pytest.fixture(scope='module')
def world(cloud: Cloud) -> World:
    return World(cloud)


@pytest.fixture(autouse=True)
def tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if 'world' in request.fixturenames:
        request.getfixturevalue('world').tidy()


def versions_of(sample: Sample) -> list[Version]:
    """Return where something changes, and where an example is."""
    row, table = ROWS[sample.key], TABLES[sample.key]
    found = set(samples.contents(sample.request)) | set(samples.contents(sample.answer))
    for kind in ('request', 'query', 'response'):
        found |= {versions.parse(entry['min_version'] or '2.1') for entry in table[kind]}
        found |= {
            versions.parse(entry['max_version']) for entry in table[kind] if entry['max_version']
        }
    found |= {row.since, row.until, sample.since, sample.until}
    first = min(samples.contents(sample.request) or [row.since])
    since, until = max(row.since, sample.since, first), min(row.until, sample.until)
    return sorted(version for version in found if since <= version <= until)


@pytest.mark.parametrize('sample', WRITTEN, ids=str)
def test_example(world: World, sample: Sample) -> None:
    tried = versions_of(sample)
    assert tried
    for version in tried:
        answer = Example.prepared(world, sample, version).send(world.cloud)
        assert answer.status in ROWS[sample.key].statuses(version), (version, answer.text)
        expected = reference.schema_for(TABLES[sample.key], 'response', str(version))
        content = answer.json if answer.text else None
        if expected is None or expected.get('type') == 'null':
            assert content is None, version
        elif sample.key[1] not in UNFIT:
            reference.check(content, expected)
        example = samples.contents(sample.answer).get(version)
        if example is not None:
            differences = compare.differences(content, example)
            assert not differences, (str(version), *differences)


def test_every_route_is_tried() -> None:
    tried = {one.handler for sample in WRITTEN for one in OURS[ROWS[sample.key].shaped]}
    missing = [
        str(row)
        for row in LIVE
        if not {one.handler for one in OURS[row.shaped]} <= tried
        and not row.key[1].startswith('/os-baremetal-nodes')
    ]
    assert missing == []


def test_every_example_is_used() -> None:
    named = {name for one in samples.SAMPLES for name in (one.request, one.answer)}
    unknown = {
        name for name in reference.sample_names()
        if name not in named and name.partition('/')[0] not in samples.UNUSED
    }  # fmt: skip
    assert sorted(unknown - samples.ELSEWHERE) == []
