"""What servers take of placement."""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'


def upgrade() -> None:
    op.add_column(
        'instance_mappings', sa.Column('resources', sa.String(length=1000), nullable=True)
    )
