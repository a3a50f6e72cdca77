"""Providers of hosts."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0012'
down_revision = '0011'


def upgrade() -> None:
    op.add_column('compute_nodes', sa.Column('provider', types.Json(), nullable=True))
