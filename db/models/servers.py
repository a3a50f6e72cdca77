"""Tables of the cell database: servers, and the operations that work on them.

A server is one row: what belongs to it alone and is read with it is JSON in that row.
What is searched by value (tags, volumes) has a table.  A deleted server keeps its row,
with ``deleted`` set to its ``id``.
"""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kilonova.db.models.base import table
from kilonova.db.models.cell import CellBase
from kilonova.db.types import Json, LongText, UtcDateTime

When = Mapped[datetime.datetime | None]


def _text(length: int = 255) -> Mapped[Any]:
    return mapped_column(sa.String(length), nullable=True)


class InstanceRow(CellBase):
    """One server; the columns have the names of ``common.objects.server.Server``'s fields.

    ``vcpus`` … ``ephemeral_gb`` and ``flavorid`` repeat parts of ``flavor``, and ``ip_v4``,
    ``ip_v6`` parts of ``network_info`` (one address a line), for SQL to add up and to search.
    """

    __tablename__ = 'instances'

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = _text()
    hostname: Mapped[str | None] = _text()
    project_id: Mapped[str] = mapped_column(sa.String(255))
    user_id: Mapped[str] = mapped_column(sa.String(255))
    reservation_id: Mapped[str | None] = _text(64)
    launch_index: Mapped[int] = mapped_column(default=0)
    vm_state: Mapped[str] = mapped_column(sa.String(32), default='building')
    task_state: Mapped[str | None] = _text(64)
    power_state: Mapped[int] = mapped_column(default=0)
    progress: Mapped[int] = mapped_column(default=0)
    host: Mapped[str | None] = _text()
    node: Mapped[str | None] = _text()
    launched_on: Mapped[str | None] = _text()
    availability_zone: Mapped[str | None] = _text()
    requested_zone: Mapped[str | None] = _text()
    flavor: Mapped[Any] = mapped_column(Json)
    flavorid: Mapped[str] = mapped_column(sa.String(255))
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    root_gb: Mapped[int] = mapped_column(default=0)
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    image: Mapped[Any] = mapped_column(Json)
    image_id: Mapped[str] = mapped_column(sa.String(36), default='')
    kernel_id: Mapped[str | None] = _text()
    ramdisk_id: Mapped[str | None] = _text()
    key_name: Mapped[str | None] = _text()
    key_public: Mapped[str | None] = mapped_column(LongText)
    key_type: Mapped[str | None] = _text(32)
    user_data: Mapped[str | None] = mapped_column(LongText)
    config_drive: Mapped[bool] = mapped_column(default=False)
    metadata_: Mapped[Any] = mapped_column('metadata', Json)
    system_metadata: Mapped[Any] = mapped_column(Json)
    network_info: Mapped[Any] = mapped_column(Json)
    ip_v4: Mapped[str] = mapped_column(LongText, default='')
    ip_v6: Mapped[str] = mapped_column(LongText, default='')
    security_groups: Mapped[Any] = mapped_column(Json)
    trusted_image_certificates: Mapped[Any] = mapped_column(Json, nullable=True)
    scheduler_hints: Mapped[Any] = mapped_column(Json, nullable=True)
    numa_topology: Mapped[Any] = mapped_column(Json, nullable=True)
    pci_devices: Mapped[Any] = mapped_column(Json, nullable=True)
    root_device_name: Mapped[str | None] = _text()
    access_ip_v4: Mapped[str | None] = _text(39)
    access_ip_v6: Mapped[str | None] = _text(39)
    auto_disk_config: Mapped[bool] = mapped_column(default=True)
    locked: Mapped[bool] = mapped_column(default=False)
    locked_by: Mapped[str | None] = _text(16)
    locked_reason: Mapped[str | None] = _text()
    fault: Mapped[Any] = mapped_column(Json, nullable=True)
    launched_at: When = mapped_column(UtcDateTime)
    terminated_at: When = mapped_column(UtcDateTime)
    created_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    deleted: Mapped[int] = mapped_column(default=0)
    deleted_at: When = mapped_column(UtcDateTime)
    hidden: Mapped[bool] = mapped_column(default=False)
    operation: Mapped[str | None] = _text(36)
    attempt: Mapped[int] = mapped_column(default=0)

    __table_args__ = table(
        sa.Index('ix_instances_project_id_deleted_created_at', project_id, deleted, created_at),
        sa.Index('ix_instances_deleted_created_at', deleted, created_at),
        sa.Index('ix_instances_host_deleted', host, deleted),
        sa.Index('ix_instances_updated_at', updated_at),
        sa.Index('ix_instances_reservation_id', reservation_id),
        sa.Index('ix_instances_terminated_at_launched_at', terminated_at, launched_at),
    )


class TagRow(CellBase):
    """One tag of a server."""

    __tablename__ = 'tags'

    instance_uuid: Mapped[str] = mapped_column(
        sa.String(36), sa.ForeignKey('instances.uuid'), primary_key=True
    )
    tag: Mapped[str] = mapped_column(sa.String(80), primary_key=True)

    __table_args__ = table(sa.Index('ix_tags_tag', tag))


class PortRow(CellBase):
    """A port that a server has, or has had: what it has now is its ``network_info``.

    Rows are only added, so that a report of a host costs one statement, and go with the server's.
    """

    __tablename__ = 'instance_ports'

    port_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(
        sa.String(36), sa.ForeignKey('instances.uuid'), primary_key=True
    )


class BlockDeviceRow(CellBase):
    """One disk of a server: the whole of it in ``device``, what is searched beside it."""

    __tablename__ = 'block_device_mapping'

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey('instances.uuid'))
    volume_id: Mapped[str | None] = _text(36)
    device: Mapped[Any] = mapped_column(Json)

    __table_args__ = table(
        sa.Index('ix_block_device_mapping_instance_uuid', instance_uuid),
        sa.Index('ix_block_device_mapping_volume_id', volume_id),
    )


class ShareMappingRow(CellBase):
    """One share of a server: the whole of it in ``mapping``, what is searched beside it."""

    __tablename__ = 'share_mapping'

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey('instances.uuid'))
    share_id: Mapped[str] = mapped_column(sa.String(36))
    tag: Mapped[str] = mapped_column(sa.String(255))
    mapping: Mapped[Any] = mapped_column(Json)

    __table_args__ = table(
        sa.UniqueConstraint(instance_uuid, share_id),
        sa.UniqueConstraint(instance_uuid, tag),
        sa.Index('ix_share_mapping_share_id', share_id),
    )


class OperationRow(CellBase):
    """One durable operation, which is also one entry of os-instance-actions.

    ``owner`` works on it until ``lease_until``: a conductor's worker, or a compute host
    ('compute:' and its name).  After that any conductor may take it over, by raising
    ``attempt``.  ``lease_until`` is empty when nothing is left to do.  ``phase`` is where a
    procedure is, ``first_attempt`` the attempt at which that phase began.  ``reported`` are the
    attempts that hosts have ended: the same report may come again.
    """

    __tablename__ = 'operations'

    id: Mapped[str] = mapped_column(sa.String(36), primary_key=True)
    action: Mapped[str] = mapped_column(sa.String(64))
    instance_uuid: Mapped[str] = mapped_column(sa.String(36))
    request_id: Mapped[str] = mapped_column(sa.String(255))
    user_id: Mapped[str | None] = _text()
    project_id: Mapped[str | None] = _text()
    step: Mapped[str] = mapped_column(sa.String(32))
    phase: Mapped[str] = mapped_column(sa.String(32), default='', server_default='')
    first_attempt: Mapped[int] = mapped_column(default=1, server_default='1')
    reported: Mapped[str] = mapped_column(sa.String(255), default='', server_default='')
    payload: Mapped[str] = mapped_column(LongText, default='')
    owner: Mapped[str | None] = _text()
    lease_until: When = mapped_column(UtcDateTime)
    attempt: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(sa.String(16), default='running')
    message: Mapped[str | None] = mapped_column(LongText)
    started_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    finished_at: When = mapped_column(UtcDateTime)

    __table_args__ = table(
        sa.Index('ix_operations_state_lease_until', state, lease_until),
        sa.Index('ix_operations_lease_until', lease_until),
        sa.Index('ix_operations_instance_uuid_started_at', instance_uuid, started_at),
        sa.Index('ix_operations_owner_state', owner, state),
    )


class OperationEventRow(CellBase):
    """One step of an operation as os-instance-actions shows it."""

    __tablename__ = 'operation_events'

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    operation_id: Mapped[str] = mapped_column(sa.String(36), sa.ForeignKey('operations.id'))
    event: Mapped[str] = mapped_column(sa.String(255))
    start_time: Mapped[datetime.datetime] = mapped_column(UtcDateTime)
    finish_time: When = mapped_column(UtcDateTime)
    result: Mapped[str | None] = _text(32)
    traceback: Mapped[str | None] = mapped_column(LongText)
    details: Mapped[str | None] = mapped_column(LongText)
    host: Mapped[str | None] = _text()

    __table_args__ = table(sa.Index('ix_operation_events_operation_id', operation_id))


class ConsoleTokenRow(CellBase):
    """Leave to use a console of a server; ``compute_host`` is where the server was then."""

    __tablename__ = 'console_auth_tokens'

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    instance_uuid: Mapped[str] = mapped_column(sa.String(36))
    compute_host: Mapped[str] = mapped_column(sa.String(255))
    console_type: Mapped[str] = mapped_column(sa.String(32))
    place: Mapped[Any] = mapped_column(Json)
    base_url: Mapped[str] = mapped_column(LongText)
    expires_at: Mapped[datetime.datetime] = mapped_column(UtcDateTime)

    __table_args__ = table(sa.Index('ix_console_auth_tokens_expires_at', expires_at))


def table_of(model: type[DeclarativeBase]) -> sa.Table:
    """Return a model's table, for statements that need no objects."""
    found = sa.inspect(model).local_table
    assert isinstance(found, sa.Table)
    return found
