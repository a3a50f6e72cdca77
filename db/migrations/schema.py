"""Bring a database's schema to a version: alembic, without a configuration file.

There are two schemas, ``api`` and ``cell`` (cell0 is a cell).
"""

import pathlib
from typing import Any, Literal

import sqlalchemy as sa
from alembic import autogenerate, command, context
from alembic import config as alembic_config
from alembic import migration as alembic_migration
from alembic import script as alembic_script
from alembic import util as alembic_util
from sqlalchemy.engine import Connection

from kilonova.common import exception
from kilonova.db import types
from kilonova.db.engine import Database
from kilonova.db.models import (  # noqa: F401  (their tables belong to CellBase)
    drains,
    migrations,
    servers,
    volume_usage,
)
from kilonova.db.models.api import ApiBase
from kilonova.db.models.cell import CellBase

HERE = pathlib.Path(__file__).parent
METADATA = {'api': ApiBase.metadata, 'cell': CellBase.metadata}
VERSION_TABLE = {'api': 'api_schema_version', 'cell': 'cell_schema_version'}
"""Two names, so that both schemas can be in one database."""

NAMED_TYPES = {
    types.Json: 'types.Json()',
    types.UtcDateTime: 'types.UtcDateTime()',
}


class SchemaError(exception.KilonovaError):
    """The database's schema is not one of ours, or a version does not exist."""

    msg = '%(reason)s'


def sync(database: Database, schema: str, revision: str | None = None) -> None:
    """Upgrade to a revision (default: the newest)."""
    settings = _settings(schema)
    try:
        with database.engine.begin() as connection:
            _refuse_foreign(connection, schema)
            settings.attributes['connection'] = connection
            command.upgrade(settings, revision or 'head')
    except alembic_util.CommandError as error:
        raise SchemaError(
            reason=f'The {schema} database cannot be brought to '
            f'{revision or "the newest version"}: {error}'
        ) from error


def _refuse_foreign(connection: Connection, schema: str) -> None:
    """Nova's tables have the same names and other columns."""
    names = set(sa.inspect(connection).get_table_names())
    if VERSION_TABLE[schema] not in names and names & set(METADATA[schema].tables):
        raise SchemaError(
            reason=f'The {schema} database has tables that were not made by this program: '
            f'{", ".join(sorted(names & set(METADATA[schema].tables)))}'
        )


def version(database: Database, schema: str) -> str | None:
    """Return the revision of a database; None when it is empty."""
    with database.engine.connect() as connection:
        return _migration_context(connection, schema).get_current_revision()


def head(schema: str) -> str | None:
    """Return the newest revision."""
    return alembic_script.ScriptDirectory.from_config(_settings(schema)).get_current_head()


def differences(database: Database, schema: str) -> list[Any]:
    """Return what a database has otherwise than the models."""
    with database.engine.connect() as connection:
        found = _migration_context(connection, schema)
        return list(autogenerate.compare_metadata(found, METADATA[schema]))


def render(database: Database, schema: str) -> str:
    """Return the code that would bring a database to the models."""
    with database.engine.connect() as connection:
        script = autogenerate.produce_migrations(
            _migration_context(connection, schema, render_item=_render), METADATA[schema]
        )
    operations = script.upgrade_ops
    assert operations is not None
    return autogenerate.render_python_code(operations, render_item=_render)


def run_environment(schema: str) -> None:
    """Migrate over the connection that ``sync`` has put into the settings."""
    connection: Connection = context.config.attributes['connection']
    context.configure(
        connection=connection,
        target_metadata=METADATA[schema],
        version_table=VERSION_TABLE[schema],
    )
    with context.begin_transaction():
        context.run_migrations()


def _settings(schema: str) -> alembic_config.Config:
    settings = alembic_config.Config()
    # Percent signs in a path would be read as interpolation.
    settings.set_main_option('script_location', str(HERE / schema).replace('%', '%%'))
    settings.set_main_option('path_separator', 'os')
    return settings


def _migration_context(
    connection: Connection, schema: str, **options: Any
) -> alembic_migration.MigrationContext:
    return alembic_migration.MigrationContext.configure(
        connection,
        opts={'compare_type': True, 'version_table': VERSION_TABLE[schema], **options},
    )


def _render(kind: str, value: Any, context: Any) -> str | Literal[False]:
    if kind != 'type':
        return False
    if value is types.LongText or isinstance(value, sa.Text) and value._variant_mapping:
        return 'types.LongText'
    return NAMED_TYPES.get(type(value), False)
