"""Ports of servers."""

import json

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0005'
down_revision = '0004'

BATCH = 500


def upgrade() -> None:
    op.create_table(
        'instance_ports',
        sa.Column('port_id', sa.String(length=255), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ['instance_uuid'], ['instances.uuid'], name=op.f('fk_instance_ports_instance_uuid')
        ),
        sa.PrimaryKeyConstraint('port_id', 'instance_uuid', name=op.f('pk_instance_ports')),
        **types.MYSQL,
    )
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Note the ports of the servers that there are."""
    instances = sa.table(
        'instances', *map(sa.column, ('id', 'uuid', 'deleted')), sa.column('network_info', sa.Text)
    )
    ports = sa.table('instance_ports', sa.column('port_id'), sa.column('instance_uuid'))
    query = sa.select(instances.c.id, instances.c.uuid, instances.c.network_info)
    query = query.where(instances.c.deleted == 0).order_by(instances.c.id).limit(BATCH)
    last = 0
    while found := connection.execute(query.where(instances.c.id > last)).all():
        last = found[-1].id
        rows = [
            {'port_id': port_id, 'instance_uuid': uuid}
            for _, uuid, text in found
            for port_id in {vif['id'] for vif in json.loads(text or '[]')}
        ]
        if rows:
            connection.execute(sa.insert(ports), rows)
