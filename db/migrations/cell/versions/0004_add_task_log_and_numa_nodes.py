"""Add task log and numa nodes."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0004'
down_revision = '0003'


def upgrade() -> None:
    op.create_table(
        'task_log',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('task_name', sa.String(length=64), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('period_beginning', types.UtcDateTime(), nullable=False),
        sa.Column('period_ending', types.UtcDateTime(), nullable=False),
        sa.Column('message', sa.String(length=512), nullable=False),
        sa.Column('task_items', sa.Integer(), nullable=False),
        sa.Column('errors', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_task_log')),
        sa.UniqueConstraint(
            'task_name',
            'host',
            'period_beginning',
            'period_ending',
            name='uniq_task_log0task_name0host0period_beginning0period_ending',
        ),
        **types.MYSQL,
    )
    op.create_index(
        'ix_task_log_period', 'task_log', ['period_beginning', 'period_ending'], unique=False
    )
    op.add_column('instances', sa.Column('numa_topology', types.Json(), nullable=True))
    op.create_index(
        'ix_instances_terminated_at_launched_at',
        'instances',
        ['terminated_at', 'launched_at'],
        unique=False,
    )
