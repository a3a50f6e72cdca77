"""Our declarations against Nova's published ones, on machines that have the tables.

Compared is what is accepted and refused, not how a schema is written: every example of
the reference, and each example with something wrong in it, at both ends of every range.
"""

import copy
import csv
import re
from collections.abc import Iterator
from typing import Any

import pytest

from kilonova.api import operation, policies, resources, schema, versions
from kilonova.common import exception
from kilonova.tests.unit.api import reference

resources.load()
Json = dict[str, Any]


def _shape(path: str) -> str:
    return re.sub(r'{\w+}', '{}', path).rstrip('/')


def _ours() -> dict[tuple[str, str, str | None], list[operation.Operation]]:
    found: dict[tuple[str, str, str | None], list[operation.Operation]] = {}
    for one in operation.REGISTRY:
        found.setdefault((one.method, _shape(one.path), one.action), []).append(one)
    return found


OURS = _ours()
PAIRS = [
    (theirs, OURS[theirs['method'], _shape(theirs['path']), theirs['action']])
    for theirs in reference.all_operations()
    if (theirs['method'], _shape(theirs['path']), theirs['action']) in OURS
]
IDS = [f'{one["method"]} {one["path"]} {one["action"] or ""}' for one, _ in PAIRS]


def _at(candidates: list[operation.Operation], version: versions.Version) -> Any:
    return next((one for one in candidates if one.serves(version)), None)


def _strict(validator: schema.Validator, value: Any) -> bool:
    try:
        validator.check_body(copy.deepcopy(value))
    except exception.Invalid:
        return False
    return True


def _examples(declared: Json) -> Iterator[Any]:
    """Make values that a schema accepts, or nearly: the least, the most, and each part wrong."""
    if 'enum' in declared:
        yield from declared['enum']
        yield 'no such word'
        return
    for word in ('oneOf', 'anyOf', 'allOf'):
        for part in declared.get(word, ()):
            rest = {key: value for key, value in declared.items() if key != word}
            yield from _examples(part if word == 'oneOf' else {**rest, **part})
        if word in declared and 'properties' not in declared:
            return
    kinds = declared.get('type', 'string')
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        yield from _of_kind(kind, declared)


_STRINGS = ('', 'a', ' a', 'a b', 'a:b', '1', '0', '-1', '2147483648', 'x' * 255, 'x' * 256,
            'x' * 300, 'true', 'a\n', 'ä', 'é!', 'a/b', 'YWI=', '192.0.2.1', '2001:db8::1',
            '11111111-1111-1111-1111-111111111111', '2020-01-01T00:00:00Z', 'http://a.b/c')  # fmt: skip


def _of_kind(kind: str, declared: Json) -> Iterator[Any]:
    if kind == 'string':
        yield from _STRINGS
        yield 5
    elif kind in ('integer', 'number'):
        for edge in (declared.get('minimum', 0), declared.get('maximum', 1)):
            yield from (edge, edge - 1, edge + 1, str(int(edge)))
        yield from (1.5, True, 'x', None)
    elif kind == 'boolean':
        yield from (True, False, 'true', 'odd')
    elif kind == 'null':
        yield None
    elif kind == 'array':
        yield from ([], 'x')
        for item in _examples(declared.get('items') or {}):
            yield [item]
            yield [item, item]
    elif kind == 'object':
        yield from _objects(declared)


def _first_good(declared: Json) -> Any:
    validator = schema.Validator(declared)
    return next((one for one in _examples(declared) if _strict(validator, one)), None)


def _objects(declared: Json) -> Iterator[Any]:
    properties = declared.get('properties', {})
    required = declared.get('required', [])
    least = {name: _first_good(properties[name]) for name in required if name in properties}
    yield least
    yield []
    yield {**least, 'no_such_key': 1}
    for name in required:
        yield {key: value for key, value in least.items() if key != name}
    for name, part in properties.items():
        for value in _examples(part):
            yield {**least, name: value}
    for part in declared.get('patternProperties', {}).values():
        for value in _examples(part):
            yield from ({**least, 'key': value}, {**least, 'bad key!': value})


@pytest.mark.parametrize('kind', ['request', 'query'])
@pytest.mark.parametrize('theirs, ours', PAIRS, ids=IDS)
def test_accepts_and_refuses_the_same(
    theirs: Json, ours: list[operation.Operation], kind: str
) -> None:
    for text in reference.boundaries(theirs, kind):
        expected = reference.schema_for(theirs, kind, text)
        one = _at(ours, versions.parse(text))
        if expected is None or one is None:
            continue
        ranges = one.body if kind == 'request' else one.query
        if ranges is None:
            assert not expected.get('properties') and expected.get('additionalProperties', True)
            continue
        mine = ranges.at(versions.parse(text), legacy=False)
        theirs_compiled = schema.Validator(expected)
        for value in _examples(expected):
            assert _strict(mine, value) == _strict(theirs_compiled, value), (text, value)


@pytest.mark.parametrize('theirs, ours', PAIRS, ids=IDS)
def test_exists_at_the_same_versions(theirs: Json, ours: list[operation.Operation]) -> None:
    if theirs['removed_release']:
        pytest.skip('answers 410')
    since = versions.parse(theirs['min_version'] or '2.1')
    until = versions.parse(theirs['max_version']) if theirs['max_version'] else versions.MAX
    since = max(since, versions.MIN)
    assert max(min(one.since for one in ours), versions.MIN) == since
    assert max(one.until for one in ours) == until


def test_statuses_are_the_published_ones() -> None:
    with reference.file('routes.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for one in OURS.get((row['method'], _shape(row['path']), row['action'] or None), ()):
            published = {
                int(text.partition('@')[0]): text.partition('@')[2]
                for text in row['success'].split()
            }
            # Routes that do nothing have no success; for RDP consoles Nova refuses to say 410.
            assert one.action == 'os-getRDPConsole' or not published or one.success in published, (
                row['method'],
                row['path'],
                one.success,
            )


def test_rules_have_the_published_defaults() -> None:
    with reference.file('policies.csv').open(newline='') as file:
        published = {row['rule']: row for row in csv.DictReader(file)}
    for rule in policies.list_rules():
        if rule.name.startswith('kilonova:'):  # what Nova does not have is for admins alone
            assert rule.check_str == 'rule:context_is_admin', rule.name
            continue
        row = published[rule.name]
        assert rule.check_str == row['default_check'], rule.name
        assert sorted(rule.scope_types or []) == sorted(row['scope_types'].split()), rule.name
        old = rule.deprecated_rule
        assert (old.name if old else '') == row['deprecated_rule'], rule.name
        assert (old.check_str if old else '') == row['deprecated_rule_check'], rule.name
        since = old.deprecated_since if old else rule.deprecated_since
        assert (since or '') == row['deprecated_since'], rule.name
        assert rule.deprecated_for_removal == (row['deprecated_for_removal'] == 'y'), rule.name
