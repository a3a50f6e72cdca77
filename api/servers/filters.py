"""From the query of a server list to what the conductor is asked for.

Who may use which filter is a table; everything else of the query is dropped, as clients
that send more than they may expect.
"""

import datetime
from collections.abc import Callable
from typing import Any

import msgspec
from oslo_utils import strutils

from kilonova.api.faults import Fault
from kilonova.api.policies import ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import status, times
from kilonova.common import exception

ALL_FILTERS = 'os_compute_api:servers:allow_all_filters'
RULE = SoftRule(ALL_FILTERS, ADMIN, 'Use every filter when listing servers.')

Filters = dict[str, Any]

TAGS = {
    'tags': 'tags',
    'tags-any': 'tags_any',
    'not-tags': 'not_tags',
    'not-tags-any': 'not_tags_any',
}

# Filters of everybody, by the minor version from which they are.
_EVERYBODYS = {
    1: ('reservation_id', 'name', 'status', 'image', 'flavor', 'ip', 'changes-since'),
    5: ('ip6',),
    26: tuple(TAGS),
    66: ('changes-before',),
    73: ('locked',),
    83: (
        'availability_zone',
        'config_drive',
        'key_name',
        'created_at',
        'launched_at',
        'terminated_at',
        'power_state',
        'task_state',
        'vm_state',
        'progress',
        'user_id',
    ),
    90: ('hostname',),
}

BIGGEST = 2**31 - 1


def _text(_name: str, value: str) -> str:
    return value


def _number(name: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise exception.Invalid(f'Invalid filter {name}: {value} is no number') from None
    # No column holds more, so nothing can match; the database must not be the one to say so.
    return number if abs(number) <= BIGGEST else -BIGGEST


def _boolean(name: str, value: str) -> bool:
    try:
        return strutils.bool_from_string(value, strict=True)
    except ValueError as error:
        raise exception.InvalidInput(reason=f'{name}: {error}') from None


def _tags(_name: str, value: str) -> list[str]:
    return [tag for tag in value.split(',') if tag]


def _metadata(name: str, value: str) -> dict[str, str]:
    """Read a JSON object, or a list of objects of which all must match."""
    try:
        found = msgspec.json.decode(value)
    except (msgspec.MsgspecError, RecursionError):
        raise exception.Invalid(f'Invalid filter {name}: it is not JSON') from None
    parts = found if isinstance(found, list) else [found]
    if not all(isinstance(part, dict) for part in parts):
        raise exception.Invalid(f'Invalid filter {name}: it is not a JSON object')
    return {key: str(item) for part in parts for key, item in part.items()}


def _time(_name: str, value: str) -> datetime.datetime:
    return times.parse(value)


# Name in the query → (name for the conductor, how it is read).  Lists are made elsewhere.
_KNOWN: dict[str, tuple[str, Callable[[str, str], Any]]] = {
    'name': ('name', _text),
    'display_name': ('name', _text),
    'description': ('description', _text),
    'display_description': ('description', _text),
    'hostname': ('hostname', _text),
    'host': ('host', _text),
    'node': ('node', _text),
    'user_id': ('user_id', _text),
    'project_id': ('project_id', _text),
    'reservation_id': ('reservation_id', _text),
    'image': ('image', _text),
    'image_ref': ('image', _text),
    'flavor': ('flavor', _text),
    'kernel_id': ('kernel_id', _text),
    'ramdisk_id': ('ramdisk_id', _text),
    'key_name': ('key_name', _text),
    'availability_zone': ('availability_zone', _text),
    'root_device_name': ('root_device_name', _text),
    'locked_by': ('locked_by', _text),
    'access_ip_v4': ('access_ip_v4', _text),
    'access_ip_v6': ('access_ip_v6', _text),
    'ip': ('ip', _text),
    'ip6': ('ip6', _text),
    'launch_index': ('launch_index', _number),
    'power_state': ('power_state', _number),
    'progress': ('progress', _number),
    'config_drive': ('config_drive', _boolean),
    'auto_disk_config': ('auto_disk_config', _boolean),
    'locked': ('locked', _boolean),
    'deleted': ('deleted', _boolean),
    'metadata': ('metadata', _metadata),
    'created_at': ('created_at', _time),
    'launched_at': ('launched_at', _time),
    'terminated_at': ('terminated_at', _time),
    **{name: (internal, _tags) for name, internal in TAGS.items()},
}
_LISTS = {'uuid': 'uuid', 'vm_state': 'vm_state', 'task_state': 'task_state'}
# Names that came with a version: before it they mean nothing, to administrators neither.
_NEW = {'locked': 73, 'ip6': 1, **dict.fromkeys(TAGS, 26)}


def allowed(minor: int) -> set[str]:
    """Return the filters that everybody may use at a version."""
    return {name for since, names in _EVERYBODYS.items() if since <= minor for name in names}


def read(request: Request, project_id: str | None) -> Filters | None:
    """Return the filters for the conductor; None: nothing can match.

    ``project_id`` limits the list to one project, whatever the query says.
    """
    minor = request.version.minor
    query: dict[str, list[str]] = dict(request.query)
    if not request.allows(ALL_FILTERS):
        query = {name: query[name] for name in query if name in allowed(minor)}
    if 'tenant_id' in query:
        query.setdefault('project_id', query['tenant_id'])
    filters: Filters = {}
    for name, values in query.items():
        if name in _KNOWN and _NEW.get(name, 0) <= minor:
            internal, convert = _KNOWN[name]
            filters[internal] = convert(name, values[-1])
        elif name in _LISTS:
            filters[_LISTS[name]] = values
    if project_id is not None:
        filters['project_id'] = project_id
    if not _add_states(filters, query.get('status', []), minor):
        return None
    _add_times(request, filters, minor)
    _add_deleted(request, filters)
    return filters


def _add_states(filters: Filters, statuses: list[str], minor: int) -> bool:
    """Turn statuses into states; false when no server can have one of them."""
    if not statuses:
        return True
    vm_states, task_states = status.states_of(statuses)
    if not vm_states:
        if minor >= 38:
            raise Fault(400, 'Invalid status value')
        return False
    filters['vm_state'] = vm_states
    if task_states is not None:
        filters['task_state'] = task_states
    return True


def _add_times(request: Request, filters: Filters, minor: int) -> None:
    since, before = times.changes(request, before=minor >= 66)
    if since is not None:
        filters['changes_since'] = since
    if before is not None:
        filters['changes_before'] = before


def _add_deleted(request: Request, filters: Filters) -> None:
    """Deleted servers are shown to who asks for changes, and to administrators who ask for them."""
    if filters.get('vm_state') == ['deleted']:
        if not request.context.is_admin:
            raise Fault(403, 'Only administrators may list deleted instances')
        filters['deleted'] = True
    if 'deleted' not in filters:
        filters['deleted'] = None if 'changes_since' in filters else False
