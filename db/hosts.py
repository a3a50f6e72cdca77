"""Services, compute nodes, what their servers take, and the version of the host table."""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.host import ComputeNode, Service
from kilonova.common.objects.image import Image
from kilonova.db.engine import affected
from kilonova.db.models.cell import ComputeNodeRow, HostTableVersion, ServiceRow
from kilonova.db.models.servers import InstanceRow, table_of
from kilonova.db.types import LongText, utcnow

COMPUTE = 'nova-compute'
CONDUCTOR = 'nova-conductor'
CHUNK = 500
"""How many names one IN list gets at most."""

IO_TASKS = (
    'resize_migrating',
    'rebuilding',
    'resize_prep',
    'image_snapshot',
    'image_backup',
    'unshelving',
    'rescuing',
)
"""Task states in which a host is busy with disks."""

_NODE_FIELDS = [
    name
    for name in ComputeNode.__struct_fields__
    if hasattr(ComputeNodeRow, name) and name not in ('id', 'created_at', 'updated_at')
]


class Usage(NamedTuple):
    """What the servers of one node take.  MiB and GiB."""

    servers: int = 0
    vcpus: int = 0
    memory_mb: int = 0
    local_gb: int = 0
    busy: int = 0
    """Servers with a task."""
    io_ops: int = 0


NOTHING = Usage()
Node = tuple[str, str]
"""Host and hypervisor_hostname."""


# -- version


@sa.event.listens_for(HostTableVersion.__table__, 'after_create')
def seed_version(target: sa.Table, connection: Connection, **kwargs: Any) -> None:
    """Insert the one row."""
    connection.execute(sa.insert(HostTableVersion).values(id=1, version=1))


def compute_service(session: Session, host: str) -> ServiceRow:
    """Return the record of a host's nova-compute.  Raises ComputeHostNotFound."""
    found = session.scalars(
        sa.select(ServiceRow)
        .where(ServiceRow.host == host, ServiceRow.binary == COMPUTE)
        .with_for_update()
    ).one_or_none()
    if found is None:
        raise exception.ComputeHostNotFound(host=host)
    return found


def bump(session: Session) -> None:
    """Tell schedulers that services, nodes or aggregates have changed."""
    session.execute(sa.update(HostTableVersion).values(version=HostTableVersion.version + 1))


def version(session: Session) -> int:
    """Return the version of the host table."""
    return session.execute(sa.select(HostTableVersion.version)).scalar_one()


# -- services


def lowest_version(session: Session, binary: str) -> int | None:
    """Return the lowest service version among the daemons of a kind; None without one."""
    return session.scalar(
        sa.select(sa.func.min(ServiceRow.version)).where(
            ServiceRow.binary == binary, ServiceRow.forced_down.is_(False)
        )
    )


class Life(NamedTuple):
    """What tells whether a host's nova-compute lives."""

    host: str
    disabled: bool
    forced_down: bool
    last_seen_up: datetime.datetime | None
    created_at: datetime.datetime | None


_SERVICES = table_of(ServiceRow)
_LIVES = sa.select(*(_SERVICES.c[name] for name in Life._fields)).where(
    _SERVICES.c.binary == COMPUTE
)
_LIVES_OF = _LIVES.where(_SERVICES.c.host.in_(sa.bindparam('hosts', expanding=True)))


def lives(session: Session, names: Collection[str]) -> dict[str, Life]:
    """Return what is known of the named hosts' nova-compute: one statement, however many."""
    if not names:
        return {}
    some = len(names) < CHUNK
    query, values = (_LIVES_OF, {'hosts': list(names)}) if some else (_LIVES, {})
    return {row.host: Life(*row) for row in session.execute(query, values)}


def is_up(row: ServiceRow | Life, down_time: int) -> bool:
    """Tell whether a heartbeat came within ``down_time`` seconds."""
    seen = row.last_seen_up or row.created_at
    if row.forced_down or seen is None:
        return False
    return abs((utcnow() - seen).total_seconds()) <= down_time


def any_heard(session: Session, down_time: int) -> bool:
    """Tell whether any daemon that reports over the message bus has done so lately."""
    since = utcnow() - datetime.timedelta(seconds=down_time)
    query = sa.select(ServiceRow.id).where(
        ServiceRow.binary != CONDUCTOR, ServiceRow.last_seen_up >= since
    )
    return session.execute(query.limit(1)).first() is not None


def to_service(row: ServiceRow, down_time: int, zone: str | None = None) -> Service:
    """Return the value for a row."""
    return Service(
        id=row.id,
        uuid=row.uuid,
        host=row.host,
        binary=row.binary,
        topic=row.topic,
        version=row.version,
        disabled=row.disabled,
        disabled_reason=row.disabled_reason,
        forced_down=row.forced_down,
        last_seen_up=row.last_seen_up,
        created_at=row.created_at,
        updated_at=row.updated_at,
        up=is_up(row, down_time),
        availability_zone=zone,
        report_count=row.report_count or 0,
    )


def find_compute(session: Session, host: str) -> ServiceRow | None:
    """Return the record of a host's nova-compute."""
    query = sa.select(ServiceRow).where(ServiceRow.host == host, ServiceRow.binary == COMPUTE)
    return session.scalars(query).one_or_none()


def find_service(session: Session, service_id: str, lock: bool = False) -> ServiceRow:
    """Return a service by uuid or by number.  Raises ServiceNotFound."""
    by_number = service_id.isascii() and service_id.isdecimal() and len(service_id) < 10
    query = sa.select(ServiceRow).where(
        ServiceRow.id == int(service_id) if by_number else ServiceRow.uuid == service_id
    )
    if lock:
        query = query.with_for_update()
    row = session.scalars(query).one_or_none()
    if row is None:
        raise exception.ServiceNotFound(service_id=service_id)
    return row


def heartbeat(session: Session, reports: Sequence[tuple[str, str]]) -> None:
    """Note that these (host, binary) live; those without a record are left out."""
    now = utcnow()
    for start in range(0, len(reports), CHUNK):
        session.execute(
            sa.update(ServiceRow)
            .where(
                sa.tuple_(ServiceRow.host, ServiceRow.binary).in_(reports[start : start + CHUNK])
            )
            .values(last_seen_up=now, report_count=ServiceRow.report_count + 1)
            .execution_options(synchronize_session=False)
        )


# -- compute nodes


def to_node(row: ComputeNodeRow, used: Usage = NOTHING) -> ComputeNode:
    """Return the value for a row, with what the host keeps for itself in the used figures."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _NODE_FIELDS}
    values['supported_instances'] = [tuple(entry) for entry in row.supported_instances]
    return ComputeNode(
        **values,
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        vcpus_used=row.reserved_host_cpus + used.vcpus,
        memory_mb_used=row.reserved_host_memory_mb + used.memory_mb,
        local_gb_used=row.reserved_host_disk_mb // 1024 + used.local_gb,
        running_vms=used.servers,
        current_workload=used.busy,
    )


def store_node(session: Session, node: ComputeNode) -> tuple[ComputeNodeRow, bool]:
    """Create or update a node; say whether anything is new to the scheduler.

    A record of the same host and name under another uuid is adopted: its uuid changes.
    """
    query = sa.select(ComputeNodeRow).where(
        sa.or_(
            ComputeNodeRow.uuid == node.uuid,
            sa.and_(
                ComputeNodeRow.host == node.host,
                ComputeNodeRow.hypervisor_hostname == node.hypervisor_hostname,
            ),
        )
    )
    rows = session.scalars(query.with_for_update()).all()
    if len(rows) > 1:
        raise exception.Conflict(
            f'Compute node {node.uuid} of host {node.host} has the name of another node there: '
            f'{node.hypervisor_hostname}.'
        )
    values = msgspec.json.decode(msgspec.json.encode(node))  # as it comes back from the database
    wanted = {name: values[name] for name in _NODE_FIELDS}
    if not rows:
        row = ComputeNodeRow(**wanted)
        session.add(row)
        session.flush()
        return row, True
    changed = {name for name in _NODE_FIELDS if getattr(rows[0], name) != wanted[name]}
    for name in changed:
        setattr(rows[0], name, wanted[name])
    session.flush()
    return rows[0], bool(changed)


def note_builds(session: Session, host: str, failed: bool) -> None:
    """Count a failed build of a host; a good one sets the count to zero."""
    change = sa.update(ComputeNodeRow).where(ComputeNodeRow.host == host)
    if failed:
        change = change.values(failed_builds=ComputeNodeRow.failed_builds + 1)
    else:
        change = change.where(ComputeNodeRow.failed_builds > 0).values(failed_builds=0)
    if affected(session, change):
        bump(session)


# -- servers on hosts


def usage(session: Session, hosts: Iterable[str] | None = None) -> Mapping[Node, Usage]:
    """Return what servers take, by (host, node): one statement."""
    query = (
        sa.select(
            InstanceRow.host,
            InstanceRow.node,
            sa.func.count(),
            sa.func.sum(InstanceRow.vcpus),
            sa.func.sum(InstanceRow.memory_mb),
            # Without an image the root disk is a volume.
            sa.func.sum(
                sa.case((InstanceRow.image_id == '', 0), else_=InstanceRow.root_gb)
                + InstanceRow.ephemeral_gb
            ),
            sa.func.count(InstanceRow.task_state),
            sa.func.sum(
                sa.case(
                    (
                        sa.or_(
                            InstanceRow.vm_state == 'building',
                            InstanceRow.task_state.in_(IO_TASKS),
                        ),
                        1,
                    ),
                    else_=0,
                )
            ),
        )
        .where(InstanceRow.deleted == 0, InstanceRow.host.is_not(None))
        .group_by(InstanceRow.host, InstanceRow.node)
    )
    if hosts is not None:
        query = query.where(InstanceRow.host.in_(list(hosts)))
    return {
        (host or '', node or ''): Usage(*(int(value) for value in sums))
        for host, node, *sums in session.execute(query)
    }


def servers_on(
    session: Session, hosts: Iterable[str] | None = None
) -> Mapping[Node, list[tuple[str, str, str]]]:
    """Return (uuid, name, project) of the servers on hosts, by (host, node): one statement."""
    query = sa.select(
        InstanceRow.host,
        InstanceRow.node,
        InstanceRow.uuid,
        InstanceRow.name,
        InstanceRow.project_id,
    ).where(InstanceRow.deleted == 0, InstanceRow.host.is_not(None))
    if hosts is not None:
        query = query.where(InstanceRow.host.in_(list(hosts)))
    found: dict[Node, list[tuple[str, str, str]]] = {}
    for host, node, uuid, name, project_id in session.execute(query):
        found.setdefault((host or '', node or ''), []).append((uuid, name, project_id))
    return found


def image_properties(session: Session) -> dict[Node, dict[str, dict[str, int]]]:
    """Return how many servers of each node have an image property with a value: one statement."""
    image = sa.type_coerce(InstanceRow.image, LongText)
    query = (
        sa.select(InstanceRow.host, InstanceRow.node, image, sa.func.count())
        .where(InstanceRow.deleted == 0, InstanceRow.host.is_not(None))
        .group_by(InstanceRow.host, InstanceRow.node, image)
    )
    decode = msgspec.json.Decoder(Image).decode
    found: dict[Node, dict[str, dict[str, int]]] = {}
    for host, node, text, servers in session.execute(query):
        mine = found.setdefault((host or '', node or ''), {})
        for name, value in decode(text).known_properties().items():
            counts = mine.setdefault(name, {})
            counts[value] = counts.get(value, 0) + servers
    return found


def count_servers(session: Session, host: str) -> int:
    """Return how many servers a host has."""
    query = sa.select(sa.func.count(InstanceRow.id)).where(
        InstanceRow.host == host, InstanceRow.deleted == 0
    )
    return session.execute(query).scalar_one()


def hosts_with_servers(session: Session, hosts: Iterable[str]) -> list[str]:
    """Return those of the hosts that have servers, sorted."""
    query = (
        sa.select(InstanceRow.host)
        .where(InstanceRow.host.in_(list(hosts)), InstanceRow.deleted == 0)
        .distinct()
    )
    return sorted(host for host in session.scalars(query) if host is not None)
