"""Make the databases ready without an operator: for one process on SQLite."""

from oslo_config import cfg

from kilonova.conductor.manage.parts import Databases
from kilonova.db import cells
from kilonova.db.migrations import schema


def prepare(conf: cfg.ConfigOpts) -> None:
    """Create or upgrade API database, cell0 and cell1, and map the two; again is harmless.

    ``nova-manage api_db sync``, ``cell_v2 simple_cell_setup`` and ``db sync`` do the same.
    """
    with Databases(conf) as databases:
        schema.sync(databases.api(), 'api')
        cells.ensure_simple(databases.api(), conf)
        with databases.api().reader() as session:
            cell0 = cells.cell0(session)
        if cell0 is not None:
            schema.sync(databases.mapped(cell0), 'cell')
        schema.sync(databases.cell(), 'cell')
