"""Nova's published schemas and tables, on machines that have them; tests skip elsewhere."""

import functools
import json
import os
import pathlib
from typing import Any

import pytest

from kilonova.api import schema, versions

ROOT = pathlib.Path(
    os.environ.get('KILONOVA_REFERENCE')
    or pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'reference'
)
Json = dict[str, Any]
Key = tuple[str, str, str | None]


def file(name: str) -> pathlib.Path:
    """Return one file's path; the test is skipped where it is not there."""
    path = ROOT / name
    if not path.exists():
        pytest.skip('the reference tables are not here')
    return path


@functools.cache
def _read(path: pathlib.Path) -> Json:
    content: Json = json.loads(path.read_text())
    return content


def operations(controller: str) -> dict[Key, Json]:
    """Return a controller's operations by method, path and action."""
    content = _read(file(f'schemas/{controller}.json'))
    return {(one['method'], one['path'], one['action']): one for one in content['operations']}


def all_operations() -> list[Json]:
    """Return every operation of every controller ([] without the tables)."""
    paths = sorted((ROOT / 'schemas').glob('*.json'))
    return [one for path in paths for one in _read(path)['operations']]


def schema_for(operation: Json, kind: str, version: str) -> Json | None:
    """Return the 'request', 'query' or 'response' schema that holds at a version."""
    wanted = versions.parse(version)
    for entry in operation[kind]:
        since = versions.parse(entry['min_version'] or '2.0')
        until = versions.parse(entry['max_version'] or '2.999')
        if since <= wanted <= until:
            found: Json = entry['schema']
            return found
    return None


def boundaries(operation: Json, kind: str) -> list[str]:
    """Return the first and the last version of each range, from 2.1 to the newest."""
    found = {versions.MIN, versions.MAX}
    for entry in operation[kind]:
        found.add(versions.parse(entry['min_version'] or '2.1'))
        found.add(versions.parse(entry['max_version'] or str(versions.MAX)))
    return [str(one) for one in sorted(found) if one >= versions.MIN]


def check(answer: Any, expected: Json | None) -> None:
    """Fail unless an answer fits a schema."""
    assert expected is not None, 'the reference has no schema for this version'
    schema.Validator(expected).check_body(answer)


def samples(folder: str) -> list[tuple[str, Any]]:
    """Return (name, content) of a folder's samples, of all versions."""
    found = []
    for path in sorted((ROOT / 'api_samples' / folder).rglob('*.json')):
        try:
            found.append((path.relative_to(ROOT / 'api_samples').as_posix(), _read(path)))
        except ValueError:  # a few are templates
            continue
    return found
