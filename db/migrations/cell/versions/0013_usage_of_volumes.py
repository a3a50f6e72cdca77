"""Usage of volumes."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0013'
down_revision = '0012'


def upgrade() -> None:
    op.create_table(
        'volume_usage',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('volume_id', sa.String(length=36), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('refreshed_at', types.UtcDateTime(), nullable=False),
        sa.Column('reads', sa.BigInteger(), nullable=False),
        sa.Column('read_bytes', sa.BigInteger(), nullable=False),
        sa.Column('writes', sa.BigInteger(), nullable=False),
        sa.Column('write_bytes', sa.BigInteger(), nullable=False),
        sa.Column('past_reads', sa.BigInteger(), nullable=False),
        sa.Column('past_read_bytes', sa.BigInteger(), nullable=False),
        sa.Column('past_writes', sa.BigInteger(), nullable=False),
        sa.Column('past_write_bytes', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_volume_usage')),
        sa.UniqueConstraint(
            'volume_id', 'instance_uuid', name='uniq_volume_usage0volume_id0instance_uuid'
        ),
        **types.MYSQL,
    )
