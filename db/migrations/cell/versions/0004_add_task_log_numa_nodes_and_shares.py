"""Add task log, numa nodes and shares."""

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
    op.create_table(
        'share_mapping',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('share_id', sa.String(length=36), nullable=False),
        sa.Column('tag', sa.String(length=255), nullable=False),
        sa.Column('mapping', types.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ['instance_uuid'], ['instances.uuid'], name=op.f('fk_share_mapping_instance_uuid')
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_share_mapping')),
        sa.UniqueConstraint(
            'instance_uuid', 'share_id', name=op.f('uniq_share_mapping0instance_uuid_share_id')
        ),
        sa.UniqueConstraint(
            'instance_uuid', 'tag', name=op.f('uniq_share_mapping0instance_uuid_tag')
        ),
        sa.UniqueConstraint('uuid', name=op.f('uniq_share_mapping0uuid')),
        **types.MYSQL,
    )
    op.create_index('ix_share_mapping_share_id', 'share_mapping', ['share_id'], unique=False)
    op.add_column('instances', sa.Column('numa_topology', types.Json(), nullable=True))
    op.create_index(
        'ix_instances_terminated_at_launched_at',
        'instances',
        ['terminated_at', 'launched_at'],
        unique=False,
    )
