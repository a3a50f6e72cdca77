"""First tables."""

import sqlalchemy as sa
from alembic import op

from kilonova.db import types

revision = '0001'
down_revision = None


def upgrade() -> None:
    op.create_table(
        'aggregates',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_aggregates')),
        sa.UniqueConstraint('name', name=op.f('uniq_aggregates0name')),
        sa.UniqueConstraint('uuid', name=op.f('uniq_aggregates0uuid')),
        **types.MYSQL,
    )
    op.create_table(
        'cell_mappings',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=True),
        sa.Column('transport_url', sa.Text(), nullable=True),
        sa.Column('database_connection', sa.Text(), nullable=True),
        sa.Column('disabled', sa.Boolean(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_cell_mappings')),
        sa.UniqueConstraint('uuid', name=op.f('uniq_cell_mappings0uuid')),
        **types.MYSQL,
    )
    op.create_table(
        'flavors',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('flavorid', sa.String(length=255), nullable=False),
        sa.Column('memory_mb', sa.Integer(), nullable=False),
        sa.Column('vcpus', sa.Integer(), nullable=False),
        sa.Column('root_gb', sa.Integer(), nullable=False),
        sa.Column('ephemeral_gb', sa.Integer(), nullable=False),
        sa.Column('swap', sa.Integer(), nullable=False),
        sa.Column('rxtx_factor', sa.Double(), nullable=False),
        sa.Column('vcpu_weight', sa.Integer(), nullable=True),
        sa.Column('disabled', sa.Boolean(), nullable=False),
        sa.Column('is_public', sa.Boolean(), nullable=False),
        sa.Column('description', sa.Text(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_flavors')),
        sa.UniqueConstraint('flavorid', name=op.f('uniq_flavors0flavorid')),
        sa.UniqueConstraint('name', name=op.f('uniq_flavors0name')),
        **types.MYSQL,
    )
    op.create_table(
        'instance_groups',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('uuid', sa.String(length=36), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=True),
        sa.Column('user_id', sa.String(length=255), nullable=True),
        sa.Column('project_id', sa.String(length=255), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_instance_groups')),
        sa.UniqueConstraint('uuid', name=op.f('uniq_instance_groups0uuid')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_instance_groups_project_id', 'instance_groups', ['project_id', 'user_id'], unique=False
    )
    op.create_table(
        'key_pairs',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('name', sa.String(length=255), nullable=False),
        sa.Column('user_id', sa.String(length=255), nullable=False),
        sa.Column('fingerprint', sa.String(length=255), nullable=True),
        sa.Column('public_key', sa.Text(), nullable=True),
        sa.Column('type', sa.String(length=16), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_key_pairs')),
        sa.UniqueConstraint('user_id', 'name', name='uniq_key_pairs0user_id0name'),
        **types.MYSQL,
    )
    op.create_table(
        'project_locks',
        sa.Column('project_id', sa.String(length=255), nullable=False),
        sa.Column('version', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('project_id', name=op.f('pk_project_locks')),
        **types.MYSQL,
    )
    op.create_table(
        'project_user_quotas',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('project_id', sa.String(length=255), nullable=False),
        sa.Column('user_id', sa.String(length=255), nullable=False),
        sa.Column('resource', sa.String(length=255), nullable=False),
        sa.Column('hard_limit', sa.Integer(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_project_user_quotas')),
        sa.UniqueConstraint(
            'user_id',
            'project_id',
            'resource',
            name='uniq_project_user_quotas0user_id0project_id0resource',
        ),
        **types.MYSQL,
    )
    op.create_index(
        'ix_project_user_quotas_project_id', 'project_user_quotas', ['project_id'], unique=False
    )
    op.create_table(
        'quota_classes',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('class_name', sa.String(length=255), nullable=False),
        sa.Column('resource', sa.String(length=255), nullable=False),
        sa.Column('hard_limit', sa.Integer(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_quota_classes')),
        sa.UniqueConstraint(
            'class_name', 'resource', name='uniq_quota_classes0class_name0resource'
        ),
        **types.MYSQL,
    )
    op.create_table(
        'quotas',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('project_id', sa.String(length=255), nullable=False),
        sa.Column('resource', sa.String(length=255), nullable=False),
        sa.Column('hard_limit', sa.Integer(), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_quotas')),
        sa.UniqueConstraint('project_id', 'resource', name='uniq_quotas0project_id0resource'),
        **types.MYSQL,
    )
    op.create_table(
        'request_specs',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('spec', types.Json(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_request_specs')),
        sa.UniqueConstraint('instance_uuid', name=op.f('uniq_request_specs0instance_uuid')),
        **types.MYSQL,
    )
    op.create_table(
        'aggregate_hosts',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('aggregate_id', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['aggregate_id'],
            ['aggregates.id'],
            name=op.f('fk_aggregate_hosts_aggregate_id'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_aggregate_hosts')),
        sa.UniqueConstraint('host', 'aggregate_id', name='uniq_aggregate_hosts0host0aggregate_id'),
        **types.MYSQL,
    )
    op.create_index(
        op.f('ix_aggregate_hosts_aggregate_id'), 'aggregate_hosts', ['aggregate_id'], unique=False
    )
    op.create_table(
        'aggregate_metadata',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('key', sa.String(length=255), nullable=False),
        sa.Column('value', sa.String(length=255), nullable=False),
        sa.Column('aggregate_id', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['aggregate_id'],
            ['aggregates.id'],
            name=op.f('fk_aggregate_metadata_aggregate_id'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_aggregate_metadata')),
        sa.UniqueConstraint('aggregate_id', 'key', name='uniq_aggregate_metadata0aggregate_id0key'),
        **types.MYSQL,
    )
    op.create_table(
        'flavor_extra_specs',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('flavor_id', sa.Integer(), nullable=False),
        sa.Column('key', sa.String(length=255), nullable=False),
        sa.Column('value', sa.String(length=255), nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['flavor_id'],
            ['flavors.id'],
            name=op.f('fk_flavor_extra_specs_flavor_id'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_flavor_extra_specs')),
        sa.UniqueConstraint('flavor_id', 'key', name='uniq_flavor_extra_specs0flavor_id0key'),
        **types.MYSQL,
    )
    op.create_table(
        'flavor_projects',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('flavor_id', sa.Integer(), nullable=False),
        sa.Column('project_id', sa.String(length=255), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['flavor_id'],
            ['flavors.id'],
            name=op.f('fk_flavor_projects_flavor_id'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_flavor_projects')),
        sa.UniqueConstraint(
            'flavor_id', 'project_id', name='uniq_flavor_projects0flavor_id0project_id'
        ),
        **types.MYSQL,
    )
    op.create_index(
        op.f('ix_flavor_projects_project_id'), 'flavor_projects', ['project_id'], unique=False
    )
    op.create_table(
        'host_mappings',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('cell_id', sa.Integer(), nullable=False),
        sa.Column('host', sa.String(length=255), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['cell_id'], ['cell_mappings.id'], name=op.f('fk_host_mappings_cell_id')
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_host_mappings')),
        sa.UniqueConstraint('host', name=op.f('uniq_host_mappings0host')),
        **types.MYSQL,
    )
    op.create_table(
        'instance_group_member',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('group_id', sa.Integer(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['group_id'],
            ['instance_groups.id'],
            name=op.f('fk_instance_group_member_group_id'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_instance_group_member')),
        sa.UniqueConstraint(
            'group_id', 'instance_uuid', name='uniq_instance_group_member0group_id0instance_uuid'
        ),
        **types.MYSQL,
    )
    op.create_index(
        op.f('ix_instance_group_member_instance_uuid'),
        'instance_group_member',
        ['instance_uuid'],
        unique=False,
    )
    op.create_table(
        'instance_group_policy',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('policy', sa.String(length=255), nullable=True),
        sa.Column('group_id', sa.Integer(), nullable=False),
        sa.Column('rules', types.LongText, nullable=True),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['group_id'],
            ['instance_groups.id'],
            name=op.f('fk_instance_group_policy_group_id'),
            ondelete='CASCADE',
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_instance_group_policy')),
        **types.MYSQL,
    )
    op.create_index(
        op.f('ix_instance_group_policy_group_id'),
        'instance_group_policy',
        ['group_id'],
        unique=False,
    )
    op.create_table(
        'instance_mappings',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('instance_uuid', sa.String(length=36), nullable=False),
        sa.Column('cell_id', sa.Integer(), nullable=True),
        sa.Column('project_id', sa.String(length=255), nullable=False),
        sa.Column('user_id', sa.String(length=255), nullable=True),
        sa.Column('vcpus', sa.Integer(), nullable=False),
        sa.Column('memory_mb', sa.Integer(), nullable=False),
        sa.Column('queued_for_delete', sa.Boolean(), nullable=False),
        sa.Column('created_at', types.UtcDateTime(), nullable=True),
        sa.Column('updated_at', types.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ['cell_id'], ['cell_mappings.id'], name=op.f('fk_instance_mappings_cell_id')
        ),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_instance_mappings')),
        sa.UniqueConstraint('instance_uuid', name=op.f('uniq_instance_mappings0instance_uuid')),
        **types.MYSQL,
    )
    op.create_index(
        'ix_instance_mappings_usage',
        'instance_mappings',
        ['project_id', 'queued_for_delete', 'user_id'],
        unique=False,
    )
