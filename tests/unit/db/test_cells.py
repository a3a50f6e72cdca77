"""URLs of cells, and the mapping that a conductor finds for itself."""

import threading

import pytest
import sqlalchemy as sa

from kilonova.common import exception
from kilonova.db import cells
from kilonova.db.models.api import CellMapping


@pytest.mark.parametrize(
    ('template', 'url', 'expected'),
    [
        ('mysql://a/b', 'mysql://x/y', 'mysql://a/b'),
        (
            '{scheme}://{username}:{password}@other:{port}/{path}?{query}',
            'mysql+pymysql://nova:pw@db:3306/nova?charset=utf8',
            'mysql+pymysql://nova:pw@other:3306/nova?charset=utf8',
        ),
        (
            'rabbit://{username1}:{password1}@{hostname2}:{port2}/{path}',
            'rabbit://u:p@h1:5672,u2:p2@h2:5673/vhost',
            'rabbit://u:p@h2:5673/vhost',
        ),
        ('{scheme}://{netloc}/{path}_cell0', 'mysql://n:p@h/nova', 'mysql://n:p@h/nova_cell0'),
    ],
)
def test_templates(template, url, expected):
    assert cells.expand(template, url) == expected


@pytest.mark.parametrize(
    ('connection', 'expected'),
    [
        (
            'mysql+pymysql://n:p@h/nova?charset=utf8',
            'mysql+pymysql://n:p@h/nova_cell0?charset=utf8',
        ),
        ('sqlite:////var/nova.sqlite', 'sqlite:////var/nova_cell0.sqlite'),
        ('sqlite:////var.d/nova', 'sqlite:////var.d/nova_cell0'),
    ],
)
def test_name_of_cell0s_database(connection, expected):
    assert cells.cell0_url(connection) == expected


def test_conductors_that_start_together_map_one_cell(api_db, conf):
    found = []

    def start():
        found.append(cells.ensure_simple(api_db, conf).id)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 6
    assert len(set(found)) == 1
    with api_db.reader() as session:
        assert [row.name for row in cells.find_all(session)] == ['cell0', 'cell1']


def test_another_cells_database_is_not_ours(api_db, conf):
    with api_db.transaction() as session:
        for name in ('one', 'two'):
            cells.create(session, name, 'rabbit://', f'mysql://{name}/nova')
    with pytest.raises(exception.CellMappingNotFound):
        cells.ensure_simple(api_db, conf)
    with api_db.transaction() as session:
        session.execute(sa.delete(CellMapping).where(CellMapping.name == 'two'))
    assert cells.ensure_simple(api_db, conf).name == 'one'  # the only one, spelt otherwise
