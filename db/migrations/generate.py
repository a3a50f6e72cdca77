"""Write a migration for what has changed in the models: for developers.

    python -m kilonova.db.migrations.generate cell 'remember the host of a fault'

The file is a start: read it, and add what has to happen to the data.
"""

import pathlib
import re
import sys
import tempfile

from kilonova.db.engine import Database
from kilonova.db.migrations import schema

TEMPLATE = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = {revision!r}
down_revision = {previous!r}


def upgrade() -> None:
{upgrade}
'''


def generate(which: str, title: str) -> pathlib.Path:
    """Compare the newest migration with the models; return the new file."""
    previous = schema.head(which)
    revision = f'{int(previous or 0) + 1:04}'
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f'sqlite:///{folder}/compare.sqlite')
        if previous is not None:
            schema.sync(database, which)
        upgrade = _tidy(schema.render(database, which))
        database.close()
    name = re.sub(r'\W+', '_', title.lower()).strip('_')
    path = schema.HERE / which / 'versions' / f'{revision}_{name}.py'
    path.write_text(
        TEMPLATE.format(
            title=title[0].upper() + title[1:],
            revision=revision,
            previous=previous,
            upgrade=upgrade,
        )
    )
    return path


def _tidy(code: str) -> str:
    code = re.sub(r'^ *#.*\n?', '', code, flags=re.MULTILINE)
    # The table options of MariaDB are the same everywhere.
    code = re.sub(
        r"mysql_charset='\w+',\s*mysql_collate='\w+',\s*mysql_engine='\w+'", '**types.MYSQL', code
    )
    return '\n'.join('    ' + line.removeprefix('    ') for line in code.splitlines() if line)


if __name__ == '__main__':
    print(generate(sys.argv[1], sys.argv[2]))
