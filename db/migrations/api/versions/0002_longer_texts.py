"""Longer texts: MariaDB's TEXT ends at 64 KiB, which is fewer characters than the API takes."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    if op.get_bind().dialect.name not in ('mysql', 'mariadb'):
        return  # their TEXT has no end
    for table, column in (('flavors', 'description'), ('key_pairs', 'public_key')):
        op.alter_column(table, column, type_=types.LongText, existing_type=sa.Text())
