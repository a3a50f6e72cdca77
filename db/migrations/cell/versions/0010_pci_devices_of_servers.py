"""PCI devices of servers."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    op.add_column('instances', sa.Column('pci_devices', types.Json(), nullable=True))
