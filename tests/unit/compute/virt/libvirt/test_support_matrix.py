"""The documentation names tests that are there."""

import csv
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[5]
MATRIX = ROOT / 'doc' / 'source' / 'admin' / 'support-matrix.csv'
INTEGRATION = ROOT / 'tests' / 'integration' / 'libvirt'


def _rows() -> list[dict[str, str]]:
    with open(MATRIX, newline='') as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize('row', _rows(), ids=lambda row: row['feature'])
def test_row(row: dict[str, str]) -> None:
    assert row['state'] in ('complete', 'partial', 'missing')
    names = re.findall(r'(test_\w+\.py)::(test_\w+)', row['shown by'])
    assert names or row['state'] != 'complete'
    for file, function in names:
        assert f'def {function}(' in (INTEGRATION / file).read_text()
