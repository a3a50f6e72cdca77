"""What servers have used of the cloud in a time, and what hosts have audited of it."""

import datetime

import msgspec


class ServerUsage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One server's part of its project's usage.  ``hours`` are those within the time asked for."""

    uuid: str
    name: str
    project_id: str
    flavor: str
    vcpus: int
    memory_mb: int
    local_gb: int
    vm_state: str
    launched_at: datetime.datetime
    terminated_at: datetime.datetime | None = None
    hours: float = 0.0


class ProjectUsage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Sums over a project's servers; ``servers`` only where details are asked for."""

    project_id: str
    hours: float = 0.0
    vcpu_hours: float = 0.0
    memory_mb_hours: float = 0.0
    local_gb_hours: float = 0.0
    servers: list[ServerUsage] = []


class UsagePage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Usage of ``count`` servers, in the order of their projects, then of their uuids."""

    projects: list[ProjectUsage] = []
    count: int = 0
    last: str | None = None
    """The last server's uuid: the marker of the next page."""


class AuditLog(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one host has done in one period; ``state`` is RUNNING or DONE."""

    host: str
    state: str
    instances: int = 0
    errors: int = 0
    message: str = ''


class UsageAudit(msgspec.Struct, kw_only=True, omit_defaults=True):
    """All logs of one period, and the compute hosts that there are."""

    period_beginning: datetime.datetime
    period_ending: datetime.datetime
    hosts: list[str] = []
    logs: list[AuditLog] = []
