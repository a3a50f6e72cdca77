"""Drains of hosts."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0012'
down_revision = '0011'


def upgrade() -> None:
    op.create_table(
        'host_drains',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('evacuate', sa.Boolean(), nullable=False),
        sa.Column('user_id', sa.String(length=255), nullable=True),
        sa.Column('project_id', sa.String(length=255), nullable=True),
        sa.Column('started_at', types.UtcDateTime(), nullable=False),
        sa.Column('ended_at', types.UtcDateTime(), nullable=True),
        sa.Column('servers', types.Json(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_host_drains')),
        sa.UniqueConstraint('host', name='uniq_host_drains0host'),
        **types.MYSQL,
    )
