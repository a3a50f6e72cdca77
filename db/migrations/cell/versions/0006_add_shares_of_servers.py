"""Add shares of servers."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
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
