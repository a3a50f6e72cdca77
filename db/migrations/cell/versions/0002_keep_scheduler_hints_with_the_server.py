"""Keep scheduler hints with the server."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0002'
down_revision = '0001'


def upgrade() -> None:
    op.add_column('instances', sa.Column('scheduler_hints', types.Json(), nullable=True))
