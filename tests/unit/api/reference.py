"""Nova's published schemas and tables, on machines that have them; tests skip elsewhere."""

import csv
import dataclasses
import functools
import json
import os
import pathlib
import re
from typing import Any

import pytest

from kilonova.api import schema, versions
from kilonova.api.versions import Version

ROOT = pathlib.Path(
    os.environ.get('KILONOVA_REFERENCE')
    or pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'reference'
)
Json = dict[str, Any]
Key = tuple[str, str, str | None]


needed = pytest.mark.skipif(
    not ROOT.exists(), reason='the reference tables are not here ($KILONOVA_REFERENCE)'
)


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


def table(name: str) -> list[dict[str, str]]:
    """Return a table's rows ([] without the tables)."""
    path = ROOT / name
    if not path.exists():
        return []
    with path.open(newline='') as content:
        return list(csv.DictReader(content))


def shape(path: str) -> str:
    """Return a path without the names of its variable parts, which are everybody's own."""
    return re.sub(r'{\w+}', '{}', path).rstrip('/') or '/'


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of routes.csv."""

    cells: dict[str, str] = dataclasses.field(hash=False, compare=False)
    key: Key

    @classmethod
    def of(cls, cells: dict[str, str]) -> 'Row':
        return cls(cells, (cells['method'], cells['path'], cells['action'] or None))

    def __str__(self) -> str:
        return ' '.join(filter(None, self.key))

    @property
    def shaped(self) -> Key:
        return self.key[0], shape(self.key[1]), self.key[2]

    @property
    def since(self) -> Version:
        return versions.parse(self.cells['min_version'] or '2.1')

    @property
    def until(self) -> Version:
        text = self.cells['max_version']
        return versions.parse(text) if text else versions.MAX

    @property
    def is_removed(self) -> bool:
        """Tell whether it exists only to say that it does not."""
        return bool(self.cells['removed_release']) or not self.cells['success']

    def statuses(self, version: Version) -> set[int]:
        """Return what success may look like at a version."""
        found = set()
        for text in self.cells['success'].split():
            code, _at, span = text.partition('@')
            first, _dash, last = span.partition('-')
            since = versions.parse(first) if first else versions.LEGACY
            if since <= version <= (versions.parse(last) if last else versions.MAX):
                found.add(int(code))
        return found

    @property
    def enforced(self) -> set[str]:
        """Return the rules that are looked at somewhere in it."""
        return set((self.cells['policy_rules'] + ' ' + self.cells['policy_rules_soft']).split())

    @property
    def refusing(self) -> set[str]:
        return set(self.cells['policy_rules'].split())

    @property
    def documented(self) -> set[str]:
        return set(self.cells['policy_rules_documented'].split())


def route_rows() -> list[Row]:
    """Return the routes below /v2.1."""
    return [
        Row.of(cells)
        for cells in table('routes.csv')
        if cells['path'].startswith('/') and cells['path'] != '/'
    ]


def sample_names() -> set[str]:
    """Return the folder and name of every sample, whatever its versions."""
    root = ROOT / 'api_samples'
    return {f'{path.relative_to(root).parts[0]}/{path.stem}' for path in root.rglob('*.json')}


def samples(folder: str) -> list[tuple[str, Any]]:
    """Return (name, content) of a folder's samples, of all versions."""
    found = []
    for path in sorted((ROOT / 'api_samples' / folder).rglob('*.json')):
        try:
            found.append((path.relative_to(ROOT / 'api_samples').as_posix(), _read(path)))
        except ValueError:  # a few are templates
            continue
    return found


def sample(name: str) -> Any:
    """Return one of the examples by its path; the test is skipped where they are not."""
    file('api_samples')
    folder, _, rest = name.partition('/')
    return dict(samples(folder))[f'{folder}/{rest}']
