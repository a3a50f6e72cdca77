"""Where the tables of Nova's contract are, on machines that have them."""

import json
import os
import pathlib
from typing import Any

import pytest

_ROOT = pathlib.Path(
    os.environ.get('KILONOVA_REFERENCE')
    or pathlib.Path(__file__).resolve().parents[4] / 'shared' / 'reference'
)


def file(name: str) -> pathlib.Path:
    """Return one file's path; the test is skipped where it is not there."""
    path = _ROOT / name
    if not path.exists():
        pytest.skip('the reference tables are not here')
    return path


def present() -> bool:
    return _ROOT.exists()


def operations() -> list[dict[str, Any]]:
    """Return every operation with its schemas ([] without the tables)."""
    return [
        operation
        for path in sorted((_ROOT / 'schemas').glob('*.json'))
        for operation in json.loads(path.read_text())['operations']
    ]


def samples(folder: str) -> list[tuple[str, Any]]:
    """Return (name, content) of a folder's samples, of all versions."""
    found = []
    for path in sorted((_ROOT / 'api_samples' / folder).rglob('*.json')):
        try:
            found.append(
                (path.relative_to(_ROOT / 'api_samples').as_posix(), json.loads(path.read_text()))
            )
        except ValueError:  # a few are templates
            continue
    return found
