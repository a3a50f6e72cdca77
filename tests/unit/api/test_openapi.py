"""The OpenAPI document: valid, whole, and what the operations say."""

import json
import pathlib
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from oslo_config import cfg

from kilonova.api import operation, resources, versions
from kilonova.api.openapi import command, document
from kilonova.api.openapi.ranges import MAX, MIN
from kilonova.api.operation import Operation
from kilonova.tests.unit.api.api import Api

resources.load()
Json = dict[str, Any]
DOCUMENT: Json = json.loads(document.encoded())
DECLARED = [one for one in operation.REGISTRY if one.until >= versions.MIN]
EVERY = [versions.Version(2, minor) for minor in range(1, versions.MAX.minor + 1)]


def _shape(path: str) -> str:
    return re.sub(r'{\w+}', '{}', path)


BY_SHAPE = {_shape(path): item for path, item in DOCUMENT['paths'].items()}


def _described(one: Operation) -> Json:
    found: Json = BY_SHAPE[_shape(one.path)][one.method.lower()]
    return found


def _holds(part: Json, version: versions.Version) -> bool:
    since = versions.parse(part.get(MIN, '2.1'))
    return since <= version <= versions.parse(part.get(MAX, str(versions.MAX)))


def _at(schema: Json, version: versions.Version) -> Json:
    """Return what holds at a version, without what only the document has."""
    parts = schema.get('anyOf', [])
    if not all(MIN in part for part in parts):  # it is the declared schema's own
        parts = []
    (found,) = [part for part in parts or [schema] if _holds(part, version)]
    return {k: v for k, v in found.items() if not k.startswith('x-') and k != 'title'}


def test_it_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_it_is_as_it_is_made() -> None:
    assert json.loads(json.dumps(document.document())) == DOCUMENT


@pytest.mark.parametrize('one', DECLARED, ids=lambda o: f'{o.method} {o.path} {o.action} {o.since}')
def test_every_operation_is_in_it(one: Operation) -> None:
    found = _described(one)
    assert _holds(found, max(one.since, versions.MIN)) and _holds(found, one.until)
    assert str(one.success) in found['responses']
    assert found['summary']
    names = set(
        re.findall(r'{(\w+)}', next(p for p in DOCUMENT['paths'] if _shape(p) == _shape(one.path)))
    )
    item = BY_SHAPE[_shape(one.path)]
    assert {part['name'] for part in item.get('parameters', [])} == names


@pytest.mark.parametrize(
    'one', [one for one in DECLARED if one.body], ids=lambda o: f'{o.method} {o.path} {o.action}'
)
def test_bodies_at_every_version(one: Operation) -> None:
    schema = _described(one)['requestBody']['content']['application/json']['schema']
    if one.action is not None:
        (schema,) = [part for part in schema['oneOf'] if part['x-openstack-action'] == one.action]
        assert schema.get('x-openstack-policy') == one.rule
    for version in EVERY:
        if one.serves(version):
            assert one.body is not None
            expected = one.body.at(version, legacy=False).schema
            shown = _at(schema, version)
            assert {k: v for k, v in shown.items() if k in expected or k != 'description'} == (
                json.loads(json.dumps(expected))
            )


@pytest.mark.parametrize(
    'one', [one for one in DECLARED if one.query], ids=lambda o: f'{o.method} {o.path} {o.since}'
)
def test_queries_at_every_version(one: Operation) -> None:
    given = [part for part in _described(one)['parameters'] if part.get('in') == 'query']
    for version in EVERY:
        if one.serves(version):
            assert one.query is not None
            expected = one.query.at(version, legacy=False).schema.get('properties', {})
            # A parameter may have come, gone, and come again.
            shown = {part['name']: part for part in given if _holds(part, version)}
            assert set(expected) <= set(shown)
            for name, schema in expected.items():
                assert _at(shown[name]['schema'], version) == json.loads(json.dumps(schema))


def test_policies() -> None:
    for one in DECLARED:
        newest = max((other for other in DECLARED if (other.method, _shape(other.path)) ==
                      (one.method, _shape(one.path))), key=lambda other: other.until)  # fmt: skip
        if newest.action is None:
            assert _described(one).get('x-openstack-policy') == newest.rule


def test_what_is_gone_says_so() -> None:
    cells = DOCUMENT['paths']['/os-cells']['get']
    assert cells['deprecated'] and 'x-openstack-policy' not in cells
    assert cells['responses']['410']['content']['application/json']['schema'] == {
        '$ref': '#/components/schemas/Fault'
    }
    assert 'deprecated' not in DOCUMENT['paths']['/servers']['get']


def test_names_are_unique() -> None:
    names = [part['operationId'] for item in DOCUMENT['paths'].values()
             for method, part in item.items() if method != 'parameters']  # fmt: skip
    assert len(names) == len(set(names))


def test_it_is_told_to_anyone() -> None:
    api = Api(None)
    answer = api.call('GET', '//openapi.json', token=None)
    assert answer.status == 200
    assert answer.json == {**DOCUMENT, 'servers': [{'url': 'http://localhost/v2.1'}]}
    assert answer.headers['Content-Type'] == 'application/json'
    assert api.call('HEAD', '//openapi.json', token=None).body == b''
    known = {'If-None-Match': answer.headers['ETag']}
    assert api.call('GET', '//openapi.json', token=None, headers=known).status == 304
    refused = api.call('POST', '//openapi.json', {}, token=None)
    assert (refused.status, refused.headers['Allow']) == (405, 'GET')
    assert api.call('GET', '//v2.1/openapi.json').status == 404


def test_the_command(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main('nova-manage api', ['openapi'], cfg.ConfigOpts()) == 0
    assert json.loads(capsys.readouterr().out) == DOCUMENT
    target = tmp_path / 'openapi.json'
    assert (
        command.main('nova-manage api', ['openapi', '--output-file', str(target)], cfg.ConfigOpts())
        == 0
    )
    assert json.loads(target.read_text()) == DOCUMENT
    with pytest.raises(SystemExit):
        command.main('nova-manage api', [], cfg.ConfigOpts())
