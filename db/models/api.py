"""Tables of the API database: one for the whole deployment."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from kilonova.db.models.base import NAMES, TYPES, Timestamps, table
from kilonova.db.types import Json, LongText


class ApiBase(DeclarativeBase):
    """Base of the API database's tables."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = TYPES
    __table_args__ = table()


class CellMapping(Timestamps, ApiBase):
    """Where a cell's database and message bus are."""

    __tablename__ = 'cell_mappings'

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str | None]
    transport_url: Mapped[str | None] = mapped_column(sa.Text)
    database_connection: Mapped[str | None] = mapped_column(sa.Text)
    disabled: Mapped[bool] = mapped_column(default=False)


class HostMapping(Timestamps, ApiBase):
    """Which cell a compute host is in."""

    __tablename__ = 'host_mappings'

    id: Mapped[int] = mapped_column(primary_key=True)
    cell_id: Mapped[int] = mapped_column(sa.ForeignKey('cell_mappings.id'))
    host: Mapped[str] = mapped_column(unique=True)


class InstanceMapping(Timestamps, ApiBase):
    """Which cell a server is in; its size is kept so that usage is one sum."""

    __tablename__ = 'instance_mappings'
    __table_args__ = table(
        sa.Index('ix_instance_mappings_usage', 'project_id', 'queued_for_delete', 'user_id')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    cell_id: Mapped[int | None] = mapped_column(sa.ForeignKey('cell_mappings.id'))
    project_id: Mapped[str]
    user_id: Mapped[str | None]
    vcpus: Mapped[int] = mapped_column(default=0)
    memory_mb: Mapped[int] = mapped_column(default=0)
    resources: Mapped[str | None] = mapped_column(sa.String(1000))
    """All that it takes of placement's classes, as JSON with sorted keys."""
    queued_for_delete: Mapped[bool] = mapped_column(default=False)


class RequestSpecRow(Timestamps, ApiBase):
    """What was asked for, kept for later moves (``common.objects.request_spec`` as JSON)."""

    __tablename__ = 'request_specs'

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    spec: Mapped[dict[str, Any]] = mapped_column(Json)


class ProjectLock(ApiBase):
    """One row a project; whoever changes it decides alone about the project's quota."""

    __tablename__ = 'project_locks'

    project_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(sa.BigInteger, default=0)


class FlavorRow(Timestamps, ApiBase):
    __tablename__ = 'flavors'

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    flavorid: Mapped[str] = mapped_column(unique=True)
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    root_gb: Mapped[int] = mapped_column(default=0)
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    swap: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(sa.Double, default=1.0)
    vcpu_weight: Mapped[int | None]
    disabled: Mapped[bool] = mapped_column(default=False)
    is_public: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str | None] = mapped_column(LongText)

    specs: Mapped[list['FlavorSpec']] = relationship(
        cascade='all, delete-orphan', passive_deletes=True, lazy='raise'
    )
    access: Mapped[list['FlavorProject']] = relationship(
        cascade='all, delete-orphan', passive_deletes=True, lazy='raise'
    )


class FlavorSpec(Timestamps, ApiBase):
    __tablename__ = 'flavor_extra_specs'
    __table_args__ = table(
        sa.UniqueConstraint('flavor_id', 'key', name='uniq_flavor_extra_specs0flavor_id0key')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    flavor_id: Mapped[int] = mapped_column(sa.ForeignKey('flavors.id', ondelete='CASCADE'))
    key: Mapped[str]
    value: Mapped[str | None]


class FlavorProject(Timestamps, ApiBase):
    __tablename__ = 'flavor_projects'
    __table_args__ = table(
        sa.UniqueConstraint(
            'flavor_id', 'project_id', name='uniq_flavor_projects0flavor_id0project_id'
        )
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    flavor_id: Mapped[int] = mapped_column(sa.ForeignKey('flavors.id', ondelete='CASCADE'))
    project_id: Mapped[str] = mapped_column(index=True)


class KeypairRow(Timestamps, ApiBase):
    __tablename__ = 'key_pairs'
    __table_args__ = table(
        sa.UniqueConstraint('user_id', 'name', name='uniq_key_pairs0user_id0name')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    user_id: Mapped[str]
    fingerprint: Mapped[str | None]
    public_key: Mapped[str | None] = mapped_column(LongText)
    type: Mapped[str] = mapped_column(sa.String(16), default='ssh')


class AggregateRow(Timestamps, ApiBase):
    __tablename__ = 'aggregates'

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(unique=True)

    hosts: Mapped[list['AggregateHost']] = relationship(
        cascade='all, delete-orphan',
        passive_deletes=True,
        lazy='raise',
        order_by='AggregateHost.id',
    )
    items: Mapped[list['AggregateMetadata']] = relationship(
        cascade='all, delete-orphan', passive_deletes=True, lazy='raise'
    )


class AggregateHost(Timestamps, ApiBase):
    __tablename__ = 'aggregate_hosts'
    __table_args__ = table(
        sa.UniqueConstraint('host', 'aggregate_id', name='uniq_aggregate_hosts0host0aggregate_id')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    host: Mapped[str]
    aggregate_id: Mapped[int] = mapped_column(
        sa.ForeignKey('aggregates.id', ondelete='CASCADE'), index=True
    )


class AggregateMetadata(Timestamps, ApiBase):
    __tablename__ = 'aggregate_metadata'
    __table_args__ = table(
        sa.UniqueConstraint('aggregate_id', 'key', name='uniq_aggregate_metadata0aggregate_id0key')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    value: Mapped[str]
    aggregate_id: Mapped[int] = mapped_column(sa.ForeignKey('aggregates.id', ondelete='CASCADE'))


class Quota(Timestamps, ApiBase):
    """A project's own limit."""

    __tablename__ = 'quotas'
    __table_args__ = table(
        sa.UniqueConstraint('project_id', 'resource', name='uniq_quotas0project_id0resource')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    resource: Mapped[str]
    hard_limit: Mapped[int | None]


class ProjectUserQuota(Timestamps, ApiBase):
    """A limit of one user in one project."""

    __tablename__ = 'project_user_quotas'
    __table_args__ = table(
        sa.UniqueConstraint(
            'user_id',
            'project_id',
            'resource',
            name='uniq_project_user_quotas0user_id0project_id0resource',
        ),
        sa.Index('ix_project_user_quotas_project_id', 'project_id'),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[str]
    user_id: Mapped[str]
    resource: Mapped[str]
    hard_limit: Mapped[int | None]


class QuotaClass(Timestamps, ApiBase):
    """A limit of a class; ``default`` holds for whoever has no limit of his own."""

    __tablename__ = 'quota_classes'
    __table_args__ = table(
        sa.UniqueConstraint('class_name', 'resource', name='uniq_quota_classes0class_name0resource')
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    class_name: Mapped[str]
    resource: Mapped[str]
    hard_limit: Mapped[int | None]


class InstanceGroup(Timestamps, ApiBase):
    __tablename__ = 'instance_groups'
    __table_args__ = table(sa.Index('ix_instance_groups_project_id', 'project_id', 'user_id'))

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str | None]
    user_id: Mapped[str | None]
    project_id: Mapped[str | None]


class InstanceGroupMember(Timestamps, ApiBase):
    __tablename__ = 'instance_group_member'
    __table_args__ = table(
        sa.UniqueConstraint(
            'group_id', 'instance_uuid', name='uniq_instance_group_member0group_id0instance_uuid'
        )
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36), index=True)
    group_id: Mapped[int] = mapped_column(sa.ForeignKey('instance_groups.id', ondelete='CASCADE'))


class InstanceGroupPolicy(Timestamps, ApiBase):
    __tablename__ = 'instance_group_policy'

    id: Mapped[int] = mapped_column(primary_key=True)
    policy: Mapped[str | None]
    group_id: Mapped[int] = mapped_column(
        sa.ForeignKey('instance_groups.id', ondelete='CASCADE'), index=True
    )
    rules: Mapped[str | None] = mapped_column(LongText)
