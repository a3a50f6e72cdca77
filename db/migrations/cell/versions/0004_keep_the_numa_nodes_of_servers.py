"""Keep the numa nodes of servers."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    op.add_column('instances', sa.Column('numa_topology', types.Json(), nullable=True))
