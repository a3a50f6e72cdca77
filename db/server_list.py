"""Lists of servers: filters, sorting, paging.

Pages go on by comparing sort keys with those of the marker's row, so a deep page costs
what the first one costs.  NULL counts as the smallest value on every database.
"""

import datetime
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from oslo_utils import timeutils
from sqlalchemy import exc
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.server import Server, ServerQuery
from kilonova.db import patterns, servers
from kilonova.db.servers import INSTANCES, TAGS

Condition = sa.ColumnElement[bool]
Key = tuple[sa.Column[Any], bool]
"""A column and whether it descends."""

SOFT_DELETED = 'soft-delete'
# The API's words that differ from the columns'.
NAMES = {
    'display_name': 'name',
    'display_description': 'description',
    'image': 'image_id',
    'image_ref': 'image_id',
    'flavor': 'flavorid',
    'instance_type_id': 'flavorid',
}
EXACT = {
    'uuid', 'host', 'node', 'project_id', 'user_id', 'reservation_id', 'image_id', 'flavorid',
    'vm_state', 'task_state', 'power_state', 'locked', 'hidden', 'availability_zone', 'key_name',
    'config_drive', 'launch_index', 'root_device_name', 'kernel_id', 'ramdisk_id',
    'terminated_at', 'launched_at', 'created_at', 'progress', 'auto_disk_config',
    'launched_on', 'locked_by', 'id',
}  # fmt: skip
PATTERNS = {
    'name': 'name',
    'description': 'description',
    'hostname': 'hostname',
    'access_ip_v4': 'access_ip_v4',
    'access_ip_v6': 'access_ip_v6',
    'ip': 'ip_v4',
    'ip6': 'ip_v6',
}
SORTABLE = (EXACT | {'name', 'description', 'hostname', 'updated_at', 'access_ip_v4',
                     'access_ip_v6'}) - {'hidden', 'reservation_id'}  # fmt: skip
# What makes ^ match after a line break too, in each database's regular expressions.
LINEWISE = {'postgresql': '(?n)', 'mysql': '(?m)', 'mariadb': '(?m)', 'sqlite': '(?m)'}

_NO_FLAVOR = Flavor(flavorid='', name='', memory_mb=0, vcpus=0)


def find(session: Session, query: ServerQuery) -> list[Server]:
    """Return the servers of one page.  Raises MarkerNotFound, InvalidInput."""
    after = marker_values(session, query) if query.marker else None
    return [server for _, server in page(session, query, after)]


def page(
    session: Session, query: ServerQuery, after: Sequence[Any] | None = None
) -> list[tuple[Sequence[Any], Server]]:
    """Return a page's servers with their values of the sort keys; ``after``: the last page's last.

    Raises InvalidInput.
    """
    keys = _sort_keys(query)
    conditions = _conditions(session, query.filters)
    if after is not None:
        conditions.append(_after(session, keys, after))
    c = INSTANCES.c
    columns = servers.COLUMNS if query.detail else (c.uuid, c.name, c.project_id, c.user_id)
    order = [_ordered(session, column, descends) for column, descends in keys]
    own = [column.label(f'key_{number}') for number, (column, _) in enumerate(keys)]
    statement = sa.select(*columns, *own).where(*conditions).order_by(*order).limit(query.limit)
    with patterns.limited(session, bool(PATTERNS.keys() & _names(query.filters))):
        rows = [(row[-len(own) :], row[: -len(own)]) for row in _execute(session, statement)]
    if not query.detail:
        return [
            (key, Server(uuid=uuid, name=name, project_id=project, user_id=user, flavor=_NO_FLAVOR))
            for key, (uuid, name, project, user) in rows
        ]
    cache: dict[tuple[int, str], Any] = {}
    found = [(key, servers.from_row(row, cache)) for key, row in rows]
    servers.add_parts(session, [server for _, server in found])
    return found


class Rank:
    """Where a server comes in a list, by its values of the sort keys, as databases sort them."""

    def __init__(self, query: ServerQuery, values: Sequence[Any]) -> None:
        self._keys, self._values = _sort_keys(query), values

    def __lt__(self, other: 'Rank') -> bool:
        for (_, descends), mine, theirs in zip(
            self._keys, self._values, other._values, strict=True
        ):
            if mine != theirs:
                # NULL is the smallest value.
                smaller = theirs is not None and (mine is None or mine < theirs)
                return smaller != descends
        return False


def _execute(session: Session, statement: sa.Select[Any]) -> Sequence[Any]:
    try:
        return session.execute(statement).all()
    except (exc.DataError, exc.OperationalError, exc.InternalError, exc.ProgrammingError) as error:
        # MariaDB 1139, PostgreSQL 2201B: Python took the pattern, the database does not.
        code = getattr(error.orig, 'pgcode', None) or (error.orig and error.orig.args[0])
        if code in (1139, 3685, 3692, '2201B'):
            raise exception.InvalidInput(reason='The regular expression is not valid.') from error
        if code in patterns.OUT_OF_TIME or patterns.REFUSED in str(error.orig):
            raise exception.InvalidInput(
                reason='The regular expression cannot be matched, or not in time.'
            ) from error
        raise


# -- filters


def _names(filters: dict[str, Any]) -> dict[str, Any]:
    """Return the filters under the names of the columns."""
    return {NAMES.get(name, name): value for name, value in filters.items()}


def _conditions(session: Session, filters: dict[str, Any]) -> list[Condition]:
    filters = _names(filters)
    found: list[Condition] = []
    if 'deleted' not in filters:
        # Who asks for changes wants to hear of those that are gone, too.
        filters['deleted'] = None if 'changes_since' in filters else False
    if filters['deleted'] is False and not _asks_for_soft_deleted(filters):
        found.append(INSTANCES.c.vm_state != SOFT_DELETED)
    for name, value in filters.items():
        condition = _condition(session, name, value)
        if condition is not None:
            found.append(condition)
    return found


def _asks_for_soft_deleted(filters: dict[str, Any]) -> bool:
    wanted = filters.get('vm_state')
    return SOFT_DELETED in (wanted if isinstance(wanted, list | tuple | set) else [wanted])


def _condition(session: Session, name: str, value: Any) -> Condition | None:
    if name in EXACT:
        return _exact(INSTANCES.c[name], value)
    if name in PATTERNS:
        return _pattern(session, name, value)
    if name == 'metadata':
        return _metadata(session, value)
    if name in OTHERS:
        return OTHERS[name](value)
    raise exception.InvalidInput(reason=f'Unknown filter: {name}')


def _exact(column: sa.Column[Any], value: Any) -> Condition:
    if isinstance(value, list | tuple | set):
        values = [_typed(column, one) for one in value if one is not None]
        condition = column.in_(values)
        return sa.or_(condition, column.is_(None)) if None in value else condition
    if value is None:
        return column.is_(None)
    return column == _typed(column, value)


def _typed(column: sa.Column[Any], value: Any) -> Any:
    """Read a value that came as text in a query string."""
    kind = column.type
    try:
        if isinstance(kind, sa.Boolean):
            if isinstance(value, str):
                return value.strip().lower() in ('1', 't', 'true', 'on', 'y', 'yes')
            return bool(value)
        if isinstance(kind, sa.Integer):
            number = int(value)
            if not -(2**31) <= number < 2**31:
                raise ValueError('out of range')
            return number
        if isinstance(kind, sa.types.TypeDecorator) and isinstance(value, str):
            return _when(value)
    except (ValueError, TypeError) as error:
        reason = f'Invalid filter value for {column.name}: {value}'
        raise exception.InvalidInput(reason=reason) from error
    return str(value) if isinstance(kind, sa.String) else value


def _when(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return timeutils.normalize_time(value)
    try:
        return timeutils.normalize_time(timeutils.parse_isotime(str(value)))
    except ValueError as error:
        raise exception.InvalidInput(reason=f'Invalid time: {value}') from error


def _pattern(session: Session, name: str, value: Any) -> Condition:
    pattern = str(value)
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise exception.InvalidInput(
            reason=f'Filter {name}: {pattern!r} is not a regular expression: {error}'
        ) from error
    if name in ('ip', 'ip6'):
        # One address a line, matched from its beginning.
        dialect = session.get_bind().dialect.name
        pattern = f'{LINEWISE[dialect]}^(?:{pattern})'
    return INSTANCES.c[PATTERNS[name]].regexp_match(pattern)


def _metadata(session: Session, wanted: Any) -> Condition:
    """All pairs must be there; JSON text has them as "key":"value"."""
    pairs: list[tuple[str, str]] = []
    for part in wanted if isinstance(wanted, list) else [wanted]:
        if not isinstance(part, dict):
            raise exception.InvalidInput(reason='Filter metadata must be a JSON object.')
        pairs += [(str(key), str(value)) for key, value in part.items()]
    text = sa.type_coerce(INSTANCES.c['metadata'], sa.Text)
    conditions: list[Condition] = []
    for key, value in pairs:
        piece = msgspec.json.encode({key: value}).decode()[1:-1]
        # A quote inside a string is escaped, so one that stands after { or , is a key's own.
        starts = ('{' + piece, ',' + piece)
        conditions.append(sa.or_(*(_contains(session, text, start) for start in starts)))
    return sa.and_(sa.true(), *conditions)


def _contains(session: Session, column: sa.ColumnElement[str], piece: str) -> Condition:
    """Look for a piece of text; LIKE would not care for case on SQLite."""
    postgresql = session.get_bind().dialect.name == 'postgresql'
    position = sa.func.strpos if postgresql else sa.func.instr
    return position(column, piece) > 0


def _tagged(tags: Any, every: bool, negate: bool) -> Condition:
    names = list(dict.fromkeys(tags))
    match = sa.select(TAGS.c.instance_uuid).where(TAGS.c.tag.in_(names))
    if every:
        match = match.group_by(TAGS.c.instance_uuid).having(sa.func.count() == len(names))
    column = INSTANCES.c.uuid
    return column.not_in(match) if negate else column.in_(match)


def _deleted(value: bool | None) -> Condition | None:
    if value is None:
        return None
    return INSTANCES.c.deleted != 0 if value else INSTANCES.c.deleted == 0


OTHERS: dict[str, Callable[[Any], Condition | None]] = {
    'tags': lambda tags: _tagged(tags, True, False),
    'tags_any': lambda tags: _tagged(tags, False, False),
    'not_tags': lambda tags: _tagged(tags, True, True),
    'not_tags_any': lambda tags: _tagged(tags, False, True),
    'deleted': _deleted,
    'changes_since': lambda value: INSTANCES.c.updated_at >= _when(value),
    'changes_before': lambda value: INSTANCES.c.updated_at <= _when(value),
}


# -- order and pages


def _sort_keys(query: ServerQuery) -> list[Key]:
    """Return the keys asked for, then uuid, which makes every order total."""
    found: list[Key] = []
    for position, word in enumerate(query.sort_keys):
        name = NAMES.get(word, word)
        if name not in SORTABLE:
            raise exception.InvalidInput(reason=f'Sort key supplied is invalid: {word}')
        direction = query.sort_dirs[position] if position < len(query.sort_dirs) else None
        if direction not in (None, 'asc', 'desc'):
            raise exception.InvalidInput(reason=f'Unknown sort direction: {direction}')
        descends = direction == 'desc' if direction else bool(found and found[-1][1])
        found.append((INSTANCES.c[name], descends))
    found.append((INSTANCES.c.uuid, bool(found and found[-1][1])))
    return found


def _ordered(session: Session, column: sa.Column[Any], descends: bool) -> Any:
    exact = _exactly(session, column)
    order = exact.desc() if descends else exact.asc()
    if column.nullable and session.get_bind().dialect.name == 'postgresql':
        return order.nulls_last() if descends else order.nulls_first()
    return order


def _exactly(session: Session, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Compare text by code points, whatever PostgreSQL's locale: as elsewhere, and as Python does.

    What several databases have sorted can then be merged.
    """
    text = isinstance(column.type, sa.String) and column.name != 'uuid'
    if text and session.get_bind().dialect.name == 'postgresql':
        return column.collate('C')
    return column


def marker_values(session: Session, query: ServerQuery) -> Sequence[Any]:
    """Return the marker's values of the sort keys.  Raises MarkerNotFound."""
    columns = [column for column, _ in _sort_keys(query)]
    statement = sa.select(*columns).where(INSTANCES.c.uuid == query.marker)
    project = query.filters.get('project_id')
    if isinstance(project, str):
        statement = statement.where(INSTANCES.c.project_id == project)
    row = session.execute(statement).one_or_none()
    if row is None:
        raise exception.MarkerNotFound(marker=query.marker)
    return row


def _after(session: Session, keys: list[Key], values: Sequence[Any]) -> Condition:
    """(a, b, c) comes after the marker: a after, or a equal and b after, or …"""
    steps: list[Condition] = []
    equal: list[Condition] = []
    for (column, descends), value in zip(keys, values, strict=True):
        steps.append(sa.and_(*equal, _beyond(session, column, descends, value)))
        equal.append(column.is_(None) if value is None else column == value)
    return sa.or_(*steps)


def _beyond(session: Session, column: sa.Column[Any], descends: bool, value: Any) -> Condition:
    if value is None:
        return sa.false() if descends else column.is_not(None)
    exact, marker = _exactly(session, column), sa.literal(value, column.type)
    if not descends:
        return exact > marker
    return sa.or_(exact < marker, column.is_(None)) if column.nullable else exact < marker
