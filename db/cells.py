"""Cell and host mappings, and the URLs that they hold."""

import uuid
from urllib.parse import urlsplit

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.db import locks
from kilonova.db.engine import Database, retry
from kilonova.db.models.api import CellMapping, HostMapping

CELL0_UUID = '00000000-0000-0000-0000-000000000000'
CELL0_TRANSPORT = 'none:///'
FIRST_CELL = 'cell1'


def expand(template: str, url: str | None) -> str:
    """Fill a mapping's ``{scheme}``, ``{username}`` … from this process's own URL."""
    if '{' not in template or not url:
        return template
    # A transport URL may name several hosts; the parts of the first count, also as username1 ….
    scheme, _, rest = url.partition('://')
    authority, slash, tail = rest.partition('/')
    parts = {'scheme': scheme}
    for number, host in enumerate(authority.split(','), 1):
        split = urlsplit(f'//{host}')
        user, _, password = host.rpartition('@')[0].partition(':')
        values = {
            'username': user,
            'password': password,
            'hostname': split.hostname or '',
            'port': str(split.port or ''),
        }
        parts |= {f'{name}{number}': value for name, value in values.items()}
        if number == 1:
            parts |= values
    path, _, query = tail.partition('?')
    path, _, fragment = path.partition('#')
    return template.format_map(
        parts | {'path': path, 'query': query, 'fragment': fragment, 'netloc': authority}
    )


def database_url(conf: cfg.ConfigOpts, mapping: CellMapping) -> str:
    """Return the URL of a cell's database."""
    return expand(mapping.database_connection or '', conf.database.connection)


def cell0_url(connection: str) -> str:
    """Return Nova's default for cell0: the main database's name with ``_cell0``."""
    parsed = make_url(connection)
    name = parsed.database or ''
    if parsed.get_backend_name() == 'sqlite':
        stem, dot, suffix = name.rpartition('.')
        renamed = f'{stem}_cell0.{suffix}' if dot and '/' not in suffix else f'{name}_cell0'
    else:
        renamed = f'{name}_cell0'
    return parsed.set(database=renamed).render_as_string(hide_password=False)


def find(session: Session, cell_uuid: str) -> CellMapping:
    """Raises CellMappingNotFound."""
    row = session.scalars(sa.select(CellMapping).where(CellMapping.uuid == cell_uuid)).one_or_none()
    if row is None:
        raise exception.CellMappingNotFound(uuid=cell_uuid)
    return row


def cell0(session: Session) -> CellMapping | None:
    """Return cell0's mapping."""
    return session.scalars(
        sa.select(CellMapping).where(CellMapping.uuid == CELL0_UUID)
    ).one_or_none()


def find_all(session: Session) -> list[CellMapping]:
    """Return all mappings, cell0 first."""
    return list(session.scalars(sa.select(CellMapping).order_by(CellMapping.id)))


def map_cell0(session: Session, connection: str) -> bool:
    """Map cell0; false when it is mapped."""
    if cell0(session) is not None:
        return False
    session.add(
        CellMapping(
            uuid=CELL0_UUID,
            name='cell0',
            transport_url=CELL0_TRANSPORT,
            database_connection=connection,
        )
    )
    session.flush()
    return True


def create(
    session: Session, name: str | None, transport_url: str, connection: str, disabled: bool = False
) -> CellMapping:
    """Map a cell."""
    row = CellMapping(
        uuid=str(uuid.uuid4()),
        name=name,
        transport_url=transport_url,
        database_connection=connection,
        disabled=disabled,
    )
    session.add(row)
    session.flush()
    return row


def local(session: Session, conf: cfg.ConfigOpts) -> CellMapping | None:
    """Return the mapping of the cell whose database is this process's own."""
    every = find_all(session)
    for row in every:
        if database_url(conf, row) == conf.database.connection:
            return row  # cell0's, too: such a conductor serves the cells, and has no hosts
    rows = [row for row in every if row.uuid != CELL0_UUID]
    # Another spelling of the same place (a host name for an address) is common.
    return rows[0] if len(rows) == 1 else None


@retry
def ensure_simple(database: Database, conf: cfg.ConfigOpts) -> CellMapping:
    """Return the local cell's mapping; map cell0 and cell1 when nothing is mapped yet.

    Raises CellMappingNotFound when there are cells, but not this one.
    """
    with database.reader() as session:
        found = local(session, conf)
        if found is not None:
            return found
    with database.transaction() as session:
        locks.take(session, 'cell mappings')  # several conductors may start at once
        found = local(session, conf)
        if found is not None:
            return found
        if any(row.uuid != CELL0_UUID for row in find_all(session)):
            raise exception.CellMappingNotFound(uuid='of [database]connection')
        map_cell0(session, cell0_url(conf.database.connection))
        return create(
            session, FIRST_CELL, conf.transport_url or 'rabbit://', conf.database.connection
        )


def map_host(session: Session, host: str, cell_id: int) -> bool:
    """Map a host to a cell; false when it is mapped (to whatever cell)."""
    known = session.scalars(sa.select(HostMapping.id).where(HostMapping.host == host)).first()
    if known is not None:
        return False
    session.add(HostMapping(host=host, cell_id=cell_id))
    session.flush()
    return True


def host_mapping(session: Session, host: str) -> HostMapping:
    """Raises HostMappingNotFound."""
    row = session.scalars(sa.select(HostMapping).where(HostMapping.host == host)).one_or_none()
    if row is None:
        raise exception.HostMappingNotFound(name=host)
    return row
