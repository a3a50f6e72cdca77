"""Tables of a cell's database, but for the servers' (see ``db.models.servers``)."""

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from kilonova.db.models.base import NAMES, TYPES, Timestamps, table
from kilonova.db.types import Json


class CellBase(DeclarativeBase):
    """Base of a cell database's tables."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map = TYPES
    __table_args__ = table()


class ServiceRow(Timestamps, CellBase):
    """One daemon on one host."""

    __tablename__ = 'services'
    __table_args__ = table(sa.UniqueConstraint('host', 'binary', name='uniq_services0host0binary'))

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    host: Mapped[str]
    binary: Mapped[str]
    topic: Mapped[str | None]
    report_count: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None]
    last_seen_up: Mapped[datetime.datetime | None]
    forced_down: Mapped[bool] = mapped_column(default=False)
    version: Mapped[int] = mapped_column(default=0)


class ComputeNodeRow(Timestamps, CellBase):
    """One hypervisor as its driver describes it; what is in use is computed from the servers."""

    __tablename__ = 'compute_nodes'
    __table_args__ = table(
        sa.UniqueConstraint(
            'host', 'hypervisor_hostname', name='uniq_compute_nodes0host0hypervisor_hostname'
        )
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    host: Mapped[str]
    hypervisor_hostname: Mapped[str]
    hypervisor_type: Mapped[str]
    hypervisor_version: Mapped[int]
    host_ip: Mapped[str | None] = mapped_column(sa.String(39))
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    local_gb: Mapped[int]
    disk_available_least: Mapped[int | None]
    cpu_info: Mapped[dict[str, Any]] = mapped_column(Json)
    supported_instances: Mapped[list[Any]] = mapped_column(Json)
    metrics: Mapped[list[Any]] = mapped_column(Json)
    stats: Mapped[dict[str, Any]] = mapped_column(Json)
    numa_topology: Mapped[dict[str, Any] | None] = mapped_column(Json)
    pci_devices: Mapped[list[Any]] = mapped_column(Json)
    provider: Mapped[dict[str, Any] | None] = mapped_column(Json)
    cpu_allocation_ratio: Mapped[float] = mapped_column(sa.Double)
    ram_allocation_ratio: Mapped[float] = mapped_column(sa.Double)
    disk_allocation_ratio: Mapped[float] = mapped_column(sa.Double)
    reserved_host_cpus: Mapped[int] = mapped_column(default=0)
    reserved_host_memory_mb: Mapped[int] = mapped_column(default=0)
    reserved_host_disk_mb: Mapped[int] = mapped_column(default=0)
    failed_builds: Mapped[int] = mapped_column(default=0)


class HostTableVersion(CellBase):
    """One row: how often what the scheduler must know of the hosts has changed."""

    __tablename__ = 'host_table'

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(sa.BigInteger)


class TaskLogRow(Timestamps, CellBase):
    """What a host has done of a regular task in one period."""

    __tablename__ = 'task_log'
    __table_args__ = table(
        sa.UniqueConstraint(
            'task_name',
            'host',
            'period_beginning',
            'period_ending',
            name='uniq_task_log0task_name0host0period_beginning0period_ending',
        ),
        sa.Index('ix_task_log_period', 'period_beginning', 'period_ending'),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    task_name: Mapped[str] = mapped_column(sa.String(64))
    state: Mapped[str] = mapped_column(sa.String(16))
    host: Mapped[str]
    period_beginning: Mapped[datetime.datetime]
    period_ending: Mapped[datetime.datetime]
    message: Mapped[str] = mapped_column(sa.String(512))
    task_items: Mapped[int] = mapped_column(default=0)
    errors: Mapped[int] = mapped_column(default=0)
