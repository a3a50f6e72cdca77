"""Console tokens."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0008'
down_revision = '0007'


def upgrade() -> None:
    op.create_table(
        'console_auth_tokens',
        sa.Column('token_hash', sa.String(length=64), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('compute_host', sa.String(length=255), nullable=False),
        sa.Column('console_type', sa.String(length=32), nullable=False),
        sa.Column('place', types.Json(), nullable=False),
        sa.Column('base_url', types.LongText, nullable=False),
        sa.Column('expires_at', types.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint('token_hash', name=op.f('pk_console_auth_tokens')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_console_auth_tokens_expires_at', 'console_auth_tokens', ['expires_at'], unique=False
    )
