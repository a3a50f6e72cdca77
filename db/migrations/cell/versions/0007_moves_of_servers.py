"""Moves of servers."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    op.create_table(
        'migrations',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('migration_type', sa.String(length=32), nullable=False),
        sa.Column('status', sa.String(length=32), nullable=False),
        sa.Column('source_compute', sa.String(length=255), nullable=True),
        sa.Column('source_node', sa.String(length=255), nullable=True),
        sa.Column('dest_compute', sa.String(length=255), nullable=True),
        sa.Column('dest_node', sa.String(length=255), nullable=True),
        sa.Column('dest_host', sa.String(length=255), nullable=True),
        sa.Column('old_instance_type_id', sa.Integer(), nullable=True),
        sa.Column('new_instance_type_id', sa.Integer(), nullable=True),
        sa.Column('user_id', sa.String(length=255), nullable=True),
        sa.Column('project_id', sa.String(length=255), nullable=True),
        sa.Column('memory_total', sa.BigInteger(), nullable=True),
        sa.Column('memory_processed', sa.BigInteger(), nullable=True),
        sa.Column('memory_remaining', sa.BigInteger(), nullable=True),
        sa.Column('disk_total', sa.BigInteger(), nullable=True),
        sa.Column('disk_processed', sa.BigInteger(), nullable=True),
        sa.Column('disk_remaining', sa.BigInteger(), nullable=True),
        sa.Column('hidden', sa.Boolean(), nullable=False),
        sa.Column('operation', sa.String(length=36), nullable=True),
        sa.Column('wish', sa.String(length=16), nullable=True),
        sa.Column('move', types.Json(), nullable=True),
        sa.Column('release_at', types.UtcDateTime(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ['instance_uuid'], ['instances.uuid'], name=op.f('fk_migrations_instance_uuid')
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_migrations')),
        sa.UniqueConstraint('uuid', name=op.f('uniq_migrations0uuid')),
        **types.MYSQL,
    )
    op.create_index('ix_migrations_created_at_id', 'migrations', ['created_at', 'id'], unique=False)
    op.create_index(
        'ix_migrations_dest_compute_status', 'migrations', ['dest_compute', 'status'], unique=False
    )
    op.create_index(
        'ix_migrations_instance_uuid_status',
        'migrations',
        ['instance_uuid', 'status'],
        unique=False,
    )
    op.create_index('ix_migrations_release_at', 'migrations', ['release_at'], unique=False)
    op.create_index(
        'ix_migrations_source_compute_status',
        'migrations',
        ['source_compute', 'status'],
        unique=False,
    )
    op.create_index('ix_migrations_updated_at', 'migrations', ['updated_at'], unique=False)
