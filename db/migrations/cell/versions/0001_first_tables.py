"""First tables."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table(
        'compute_nodes',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('hypervisor_hostname', sa.String(length=255), nullable=False),
        sa.Column('hypervisor_type', sa.String(length=255), nullable=False),
        sa.Column('hypervisor_version', sa.Integer(), nullable=False),
        sa.Column('host_ip', sa.String(length=39), nullable=True),
        sa.Column('vcpus', sa.Integer(), nullable=False),
        sa.Column('memory_mb', sa.Integer(), nullable=False),
        sa.Column('local_gb', sa.Integer(), nullable=False),
        sa.Column('disk_available_least', sa.Integer(), nullable=True),
        sa.Column('cpu_info', types.Json(), nullable=False),
        sa.Column('supported_instances', types.Json(), nullable=False),
        sa.Column('metrics', types.Json(), nullable=False),
        sa.Column('stats', types.Json(), nullable=False),
        sa.Column('numa_topology', types.Json(), nullable=True),
        sa.Column('pci_devices', types.Json(), nullable=False),
        sa.Column('cpu_allocation_ratio', sa.Double(), nullable=False),
        sa.Column('ram_allocation_ratio', sa.Double(), nullable=False),
        sa.Column('disk_allocation_ratio', sa.Double(), nullable=False),
        sa.Column('reserved_host_cpus', sa.Integer(), nullable=False),
        sa.Column('reserved_host_memory_mb', sa.Integer(), nullable=False),
        sa.Column('reserved_host_disk_mb', sa.Integer(), nullable=False),
        sa.Column('failed_builds', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_compute_nodes')),
        sa.UniqueConstraint(
            'host', 'hypervisor_hostname', name='uniq_compute_nodes0host0hypervisor_hostname'
        ),
        sa.UniqueConstraint('uuid', name=op.f('uniq_compute_nodes0uuid')),
        **types.MYSQL,
    )
    host_table = op.create_table(
        'host_table',
        sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
        sa.Column('version', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_host_table')),
        **types.MYSQL,
    )
    op.bulk_insert(host_table, [{'id': 1, 'version': 1}])
    op.create_table(
        'instances',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('description', sa.String(length=255), nullable=True),
        sa.Column('hostname', sa.String(length=255), nullable=True),
        sa.Column('project_id', sa.String(length=255), nullable=False),
        sa.Column('user_id', sa.String(length=255), nullable=False),
        sa.Column('reservation_id', sa.String(length=64), nullable=True),
        sa.Column('launch_index', sa.Integer(), nullable=False),
        sa.Column('vm_state', sa.String(length=32), nullable=False),
        sa.Column('task_state', sa.String(length=64), nullable=True),
        sa.Column('power_state', sa.Integer(), nullable=False),
        sa.Column('progress', sa.Integer(), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=True),
        sa.Column('node', sa.String(length=255), nullable=True),
        sa.Column('launched_on', sa.String(length=255), nullable=True),
        sa.Column('availability_zone', sa.String(length=255), nullable=True),
        sa.Column('requested_zone', sa.String(length=255), nullable=True),
        sa.Column('flavor', types.Json(), nullable=False),
        sa.Column('flavorid', sa.String(length=255), nullable=False),
        sa.Column('vcpus', sa.Integer(), nullable=False),
        sa.Column('memory_mb', sa.Integer(), nullable=False),
        sa.Column('root_gb', sa.Integer(), nullable=False),
        sa.Column('ephemeral_gb', sa.Integer(), nullable=False),
        sa.Column('image', types.Json(), nullable=False),
        sa.Column('image_id', sa.String(length=36), nullable=False),
        sa.Column('kernel_id', sa.String(length=255), nullable=True),
        sa.Column('ramdisk_id', sa.String(length=255), nullable=True),
        sa.Column('key_name', sa.String(length=255), nullable=True),
        sa.Column('key_public', types.LongText, nullable=True),
        sa.Column('key_type', sa.String(length=32), nullable=True),
        sa.Column('user_data', types.LongText, nullable=True),
        sa.Column('config_drive', sa.Boolean(), nullable=False),
        sa.Column('metadata', types.Json(), nullable=False),
        sa.Column('system_metadata', types.Json(), nullable=False),
        sa.Column('network_info', types.Json(), nullable=False),
        sa.Column('ip_v4', types.LongText, nullable=False),
        sa.Column('ip_v6', types.LongText, nullable=False),
        sa.Column('security_groups', types.Json(), nullable=False),
        sa.Column('trusted_image_certificates', types.Json(), nullable=True),
        sa.Column('root_device_name', sa.String(length=255), nullable=True),
        sa.Column('access_ip_v4', sa.String(length=39), nullable=True),
        sa.Column('access_ip_v6', sa.String(length=39), nullable=True),
        sa.Column('auto_disk_config', sa.Boolean(), nullable=False),
        sa.Column('locked', sa.Boolean(), nullable=False),
        sa.Column('locked_by', sa.String(length=16), nullable=True),
        sa.Column('locked_reason', sa.String(length=255), nullable=True),
        sa.Column('fault', types.Json(), nullable=True),
        sa.Column('launched_at', types.UtcDateTime(), nullable=True),
        sa.Column('terminated_at', types.UtcDateTime(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=False),
        sa.Column('deleted', sa.Integer(), nullable=False),
        sa.Column('deleted_at', types.UtcDateTime(), nullable=True),
        sa.Column('hidden', sa.Boolean(), nullable=False),
        sa.Column('operation', sa.String(length=36), nullable=True),
        sa.Column('attempt', sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_instances')),
        sa.UniqueConstraint('uuid', name=op.f('uniq_instances0uuid')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_instances_deleted_created_at', 'instances', ['deleted', 'created_at'], unique=False
    )
    op.create_index('ix_instances_host_deleted', 'instances', ['host', 'deleted'], unique=False)
    op.create_index(
        'ix_instances_project_id_deleted_created_at',
        'instances',
        ['project_id', 'deleted', 'created_at'],
        unique=False,
    )
    op.create_index('ix_instances_reservation_id', 'instances', ['reservation_id'], unique=False)
    op.create_index('ix_instances_updated_at', 'instances', ['updated_at'], unique=False)
    op.create_table(
        'operations',
        sa.Column('id', sa.String(length=36), nullable=False),
        sa.Column('action', sa.String(length=64), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('request_id', sa.String(length=255), nullable=False),
        sa.Column('user_id', sa.String(length=255), nullable=True),
        sa.Column('project_id', sa.String(length=255), nullable=True),
        sa.Column('step', sa.String(length=32), nullable=False),
        sa.Column('payload', types.LongText, nullable=False),
        sa.Column('owner', sa.String(length=255), nullable=True),
        sa.Column('lease_until', types.UtcDateTime(), nullable=True),
        sa.Column('attempt', sa.Integer(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('message', types.LongText, nullable=True),
        sa.Column('started_at', types.UtcDateTime(), nullable=False),
        sa.Column('updated_at', types.UtcDateTime(), nullable=False),
        sa.Column('finished_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_operations')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_operations_instance_uuid_started_at',
        'operations',
        ['instance_uuid', 'started_at'],
        unique=False,
    )
    op.create_index('ix_operations_lease_until', 'operations', ['lease_until'], unique=False)
    op.create_index('ix_operations_owner_state', 'operations', ['owner', 'state'], unique=False)
    op.create_index(
        'ix_operations_state_lease_until', 'operations', ['state', 'lease_until'], unique=False
    )
    op.create_table(
        'services',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('binary', sa.String(length=255), nullable=False),
        sa.Column('topic', sa.String(length=255), nullable=True),
        sa.Column('report_count', sa.BigInteger(), nullable=False),
        sa.Column('disabled', sa.Boolean(), nullable=False),
        sa.Column('disabled_reason', sa.String(length=255), nullable=True),
        sa.Column('last_seen_up', types.UtcDateTime(), nullable=True),
        sa.Column('forced_down', sa.Boolean(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_services')),
        sa.UniqueConstraint('host', 'binary', name='uniq_services0host0binary'),
        sa.UniqueConstraint('uuid', name=op.f('uniq_services0uuid')),
        **types.MYSQL,
    )
    op.create_table(
        'block_device_mapping',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('volume_id', sa.String(length=36), nullable=True),
        sa.Column('device', types.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ['instance_uuid'],
            ['instances.uuid'],
            name=op.f('fk_block_device_mapping_instance_uuid'),
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_block_device_mapping')),
        sa.UniqueConstraint('uuid', name=op.f('uniq_block_device_mapping0uuid')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_block_device_mapping_instance_uuid',
        'block_device_mapping',
        ['instance_uuid'],
        unique=False,
    )
    op.create_index(
        'ix_block_device_mapping_volume_id', 'block_device_mapping', ['volume_id'], unique=False
    )
    op.create_table(
        'operation_events',
        sa.Column('id', sa.Integer(), autoincrement=True, nullable=False),
        sa.Column('operation_id', sa.String(length=36), nullable=False),
        sa.Column('event', sa.String(length=255), nullable=False),
        sa.Column('start_time', types.UtcDateTime(), nullable=False),
        sa.Column('finish_time', types.UtcDateTime(), nullable=True),
        sa.Column('result', sa.String(length=32), nullable=True),
        sa.Column('traceback', types.LongText, nullable=True),
        sa.Column('details', types.LongText, nullable=True),
        sa.Column('host', sa.String(length=255), nullable=True),
        sa.ForeignKeyConstraint(
            ['operation_id'], ['operations.id'], name=op.f('fk_operation_events_operation_id')
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_operation_events')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_operation_events_operation_id', 'operation_events', ['operation_id'], unique=False
    )
    op.create_table(
        'tags',
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('tag', sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ['instance_uuid'], ['instances.uuid'], name=op.f('fk_tags_instance_uuid')
        ),
        sa.PrimaryKeyConstraint('instance_uuid', 'tag', name=op.f('pk_tags')),
        **types.MYSQL,
    )
    op.create_index('ix_tags_tag', 'tags', ['tag'], unique=False)
