"""Phases of operations."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    op.add_column(
        'operations', sa.Column('phase', sa.String(length=32), server_default='', nullable=False)
    )
    op.add_column(
        'operations', sa.Column('first_attempt', sa.Integer(), server_default='1', nullable=False)
    )
