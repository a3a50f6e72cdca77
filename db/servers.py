"""Server records: writing them, and reading one.  Lists are in ``db.server_list``."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.numa import NumaTopology
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.pci import PciDevice
from kilonova.common.objects.server import Fault, Server
from kilonova.db import happenings, shares, types
from kilonova.db.engine import affected
from kilonova.db.models.servers import (
    BlockDeviceRow,
    InstanceRow,
    PortRow,
    TagRow,
    table_of,
)

INSTANCES = table_of(InstanceRow)
TAGS = table_of(TagRow)
PORTS = table_of(PortRow)
DEVICES = table_of(BlockDeviceRow)

Values = dict[str, Any]
Decode = Callable[[str], Any]

DECODERS: dict[str, Decode] = {
    name: msgspec.json.Decoder(kind).decode
    for name, kind in {
        'flavor': Flavor,
        'image': Image,
        'metadata': dict[str, str],
        'system_metadata': dict[str, str],
        'network_info': list[VIF],
        'security_groups': list[str],
        'trusted_image_certificates': list[str] | None,
        'scheduler_hints': dict[str, Any],
        'fault': Fault,
        'numa_topology': NumaTopology | None,
        'pci_devices': list[PciDevice],
    }.items()
}
# Other fields are in tables of their own, or are filled where they are asked for.
FIELDS = tuple(name for name in Server.__struct_fields__ if name in INSTANCES.c)
COLUMNS = tuple(
    # JSON comes as text, to be decoded into its type at once.
    sa.type_coerce(INSTANCES.c[name], types.LongText).label(name)
    if name in DECODERS
    else INSTANCES.c[name]
    for name in FIELDS
)
_JSON = tuple((FIELDS.index(name), decode) for name, decode in DECODERS.items())
_HINTS = FIELDS.index('scheduler_hints')
_PCI = FIELDS.index('pci_devices')
_DELETED = FIELDS.index('deleted')
_decode_device = msgspec.json.Decoder(BlockDevice).decode


def from_row(row: Sequence[Any], cache: dict[tuple[int, str], Any]) -> Server:
    """Make a server of the values of ``COLUMNS``.

    Servers made with one ``cache`` share equal parts (flavor, image …): for reading only.
    """
    values = list(row)
    for index, decode in _JSON:
        text = values[index]
        if text is not None:
            key = (index, text)
            if key in cache:
                values[index] = cache[key]
            else:
                values[index] = cache[key] = decode(text)
    values[_HINTS] = values[_HINTS] or {}
    values[_PCI] = values[_PCI] or []
    values[_DELETED] = values[_DELETED] != 0
    return Server(**dict(zip(FIELDS, values, strict=True)))


def to_values(server: Server) -> Values:
    """Return the columns of a new record."""
    values = {name: getattr(server, name) for name in FIELDS if name != 'id'}
    values['deleted'] = 0
    # Few servers have any.
    values['scheduler_hints'] = server.scheduler_hints or None
    values['pci_devices'] = server.pci_devices or None
    return values | derived(values)


def derived(values: Mapping[str, Any]) -> Values:
    """Return the columns that repeat parts of others for SQL's sake."""
    found: Values = {}
    flavor, image, vifs = (values.get(name) for name in ('flavor', 'image', 'network_info'))
    if flavor is not None:
        found = {n: getattr(flavor, n) for n in ('vcpus', 'memory_mb', 'root_gb', 'ephemeral_gb')}
        found['flavorid'] = flavor.flavorid
    if image is not None:
        found['image_id'] = image.id
    if vifs is not None:
        ips = [ip for vif in vifs for ip in vif.fixed_ips]
        found['ip_v4'] = '\n'.join(ip.address for ip in ips if ip.version == 4)
        found['ip_v6'] = '\n'.join(ip.address for ip in ips if ip.version == 6)
    return found


def add(session: Session, servers: Sequence[Server]) -> None:
    """Insert new servers with their tags and block devices; each gets its number.

    Hypervisors name guests by it, so who builds the server has to know it.
    """
    session.execute(sa.insert(INSTANCES), [to_values(server) for server in servers])
    number(session, servers)
    tags = [{'instance_uuid': s.uuid, 'tag': tag} for s in servers for tag in s.tags]
    if tags:
        session.execute(sa.insert(TAGS), tags)
    devices = [
        {'uuid': d.uuid, 'instance_uuid': s.uuid, 'volume_id': d.volume_id, 'device': d}
        for s in servers
        for d in s.block_devices
    ]
    if devices:
        session.execute(sa.insert(DEVICES), devices)


def number(session: Session, servers: Sequence[Server]) -> None:
    """Give servers the numbers that their records have in this cell."""
    by_uuid = {server.uuid: server for server in servers}
    c = INSTANCES.c
    for uuid, found in session.execute(sa.select(c.uuid, c.id).where(c.uuid.in_(by_uuid))):
        by_uuid[uuid].id = found


def get(
    session: Session,
    uuid: str,
    project_id: str | None = None,
    *,
    deleted: bool | None = False,
    lock: bool = False,
    parts: bool = True,
) -> Server:
    """Return one server; ``deleted`` None: also a deleted one.

    ``lock``: nobody else changes it until the transaction ends.  ``parts``: with tags and
    block devices.  Raises InstanceNotFound.
    """
    query = _one(project_id is not None, deleted, lock)
    row = session.execute(query, {'uuid': uuid, 'project': project_id}).one_or_none()
    if row is None:
        raise exception.InstanceNotFound(instance_id=uuid)
    server = from_row(row, {})
    if parts:
        add_parts(session, [server])
    return server


@functools.cache
def _one(of_project: bool, deleted: bool | None, lock: bool) -> sa.Select[Any]:
    """Return the statement that reads one server: to build it costs more than to run it."""
    query = sa.select(*COLUMNS).where(INSTANCES.c.uuid == sa.bindparam('uuid'))
    if of_project:
        query = query.where(INSTANCES.c.project_id == sa.bindparam('project'))
    if deleted is not None:
        query = query.where(INSTANCES.c.deleted != 0 if deleted else INSTANCES.c.deleted == 0)
    return query.with_for_update() if lock else query


@functools.cache
def _parts_of() -> sa.CompoundSelect[Any]:
    """Return the statement that reads tags, block devices and shares."""
    uuids: sa.BindParameter[Any] = sa.bindparam('uuids', expanding=True)
    tags = sa.select(
        TAGS.c.instance_uuid, sa.literal(0).label('kind'), TAGS.c.tag.label('value')
    ).where(TAGS.c.instance_uuid.in_(uuids))
    devices = sa.select(
        DEVICES.c.instance_uuid,
        DEVICES.c.id.label('kind'),
        sa.type_coerce(DEVICES.c.device, types.LongText).label('value'),
    ).where(DEVICES.c.instance_uuid.in_(uuids))
    attached = sa.select(
        shares.SHARES.c.instance_uuid,
        (-shares.SHARES.c.id).label('kind'),
        sa.type_coerce(shares.SHARES.c.mapping, types.LongText).label('value'),
    ).where(shares.SHARES.c.instance_uuid.in_(uuids))
    return sa.union_all(tags, devices, attached)


def add_parts(session: Session, servers: Sequence[Server]) -> None:
    """Fill in tags, block devices and shares of all servers with one statement."""
    by_uuid = {server.uuid: server for server in servers}
    if not by_uuid:
        return
    found: dict[str, tuple[list[str], list[tuple[int, BlockDevice]]]] = {}
    found_shares: list[tuple[int, str, str]] = []
    for uuid, number, value in session.execute(_parts_of(), {'uuids': list(by_uuid)}):
        if number < 0:
            found_shares.append((-number, uuid, value))
            continue
        mine = found.setdefault(uuid, ([], []))
        if number:
            mine[1].append((number, _decode_device(value)))
        else:
            mine[0].append(value)
    for _, uuid, value in sorted(found_shares):
        by_uuid[uuid].shares = [*by_uuid[uuid].shares, shares.decode(value)]
    for uuid, (names, numbered) in found.items():
        by_uuid[uuid].tags = sorted(names)
        by_uuid[uuid].block_devices = [_numbered(*pair) for pair in sorted(numbered, key=_number)]


def _number(pair: tuple[int, BlockDevice]) -> int:
    return pair[0]


def _numbered(number: int, device: BlockDevice) -> BlockDevice:
    device.id = number
    return device


def update(
    session: Session, uuid: str, fence: Fence | None = None, *, idle: bool = False, **values: Any
) -> bool:
    """Change columns of a server that is not deleted; false when the fence is old.

    ``idle``: only while nothing works on it.

    This one statement is the compare-and-swap of every step of an operation.
    """
    match = [INSTANCES.c.uuid == uuid, INSTANCES.c.deleted == 0]
    if fence is not None:
        match += [INSTANCES.c.operation == fence.operation, INSTANCES.c.attempt == fence.attempt]
    if idle:
        match += [INSTANCES.c.operation.is_(None), INSTANCES.c.task_state.is_(None)]
    row = {**values, **derived(values), 'updated_at': types.utcnow()}
    old = _shown(session, uuid, values)
    if affected(session, sa.update(INSTANCES).where(*match).values(**row)) != 1:
        return False
    if old is not None:
        happenings.note(session, happenings.Changed(uuid, old))
    if values.get('network_info'):
        _add_ports(session, uuid, values['network_info'])
    return True


def _shown(session: Session, uuid: str, values: Values) -> Values | None:
    """Return states and name as they are before a change of them, if somebody listens."""
    names = ('vm_state', 'task_state', 'name')
    if happenings.of(session) is None or not set(names) & set(values):
        return None
    columns = [INSTANCES.c[name] for name in names]
    row = session.execute(sa.select(*columns).where(INSTANCES.c.uuid == uuid)).one_or_none()
    return dict(zip(names, row, strict=True)) if row else None


def _add_ports(session: Session, uuid: str, vifs: Iterable[VIF]) -> None:
    """Let ``find_by_port`` find a server, whose row the transaction has changed and so locked."""
    known = sa.select(PORTS.c.port_id).where(
        PORTS.c.port_id == sa.bindparam('port', type_=sa.String), PORTS.c.instance_uuid == uuid
    )
    new = sa.select(sa.bindparam('port', type_=sa.String), sa.literal(uuid)).where(
        ~sa.exists(known)
    )
    session.execute(
        sa.insert(PORTS).from_select(['port_id', 'instance_uuid'], new),
        [{'port': vif.id} for vif in vifs],
    )


def mark_deleted(session: Session, uuid: str, fence: Fence) -> bool:
    """End a record; its row stays.  False when the fence is old."""
    now = types.utcnow()
    return update(
        session,
        uuid,
        fence,
        deleted=INSTANCES.c.id,
        deleted_at=now,
        terminated_at=now,
        vm_state='deleted',
        task_state=None,
        power_state=0,
        operation=None,
    )


def is_held(session: Session, uuid: str) -> bool:
    """Tell whether a server is on a host, so that what it holds in placement is in use."""
    c = INSTANCES.c
    query = sa.select(c.id).where(c.uuid == uuid, c.deleted == 0, c.host.is_not(None))
    return session.execute(query).first() is not None


def on_host(session: Session, host: str) -> list[Server]:
    """Return the servers of a host that are not deleted, with their parts."""
    query = sa.select(*COLUMNS).where(INSTANCES.c.host == host, INSTANCES.c.deleted == 0)
    servers = [from_row(row, {}) for row in session.execute(query.order_by(INSTANCES.c.id))]
    for start in range(0, len(servers), 1000):
        add_parts(session, servers[start : start + 1000])
    return servers


def find_by_port(session: Session, port_id: str) -> Server:
    """Return the server that has a port.  Raises PortNotFound."""
    query = sa.select(*COLUMNS).join(PORTS, PORTS.c.instance_uuid == INSTANCES.c.uuid)
    for row in session.execute(query.where(PORTS.c.port_id == port_id, INSTANCES.c.deleted == 0)):
        server = from_row(row, {})
        if any(vif.id == port_id for vif in server.network_info):
            add_parts(session, [server])
            return server
    raise exception.PortNotFound(port_id=port_id)


def locate(session: Session, uuids: Iterable[str]) -> dict[str, str | None]:
    """Return the host of each server that exists and is not deleted."""
    query = sa.select(INSTANCES.c.uuid, INSTANCES.c.host).where(
        INSTANCES.c.uuid.in_(set(uuids)), INSTANCES.c.deleted == 0
    )
    return {uuid: host for uuid, host in session.execute(query)}


def set_tags(session: Session, uuid: str, tags: Iterable[str]) -> None:
    """Replace a server's tags; its row has to be locked."""
    session.execute(sa.delete(TAGS).where(TAGS.c.instance_uuid == uuid))
    rows = [{'instance_uuid': uuid, 'tag': tag} for tag in tags]
    if rows:
        session.execute(sa.insert(TAGS), rows)


def power_states(session: Session, host: str) -> list[tuple[str, str, str | None, int]]:
    """Return (uuid, vm_state, task_state, power_state) of a host's servers."""
    c = INSTANCES.c
    query = sa.select(c.uuid, c.vm_state, c.task_state, c.power_state)
    rows = session.execute(query.where(c.host == host, c.deleted == 0))
    return [(row[0], row[1], row[2], row[3]) for row in rows]
