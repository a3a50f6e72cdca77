"""Reports of hosts."""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'


def upgrade() -> None:
    op.add_column(
        'operations',
        sa.Column('reported', sa.String(length=255), server_default='', nullable=False),
    )
