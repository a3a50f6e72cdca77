"""List servers."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import filters, times, view
from kilonova.common import exception
from kilonova.common.objects.server import Server, ServerQuery

INDEX = 'os_compute_api:servers:index'
DETAIL = 'os_compute_api:servers:detail'
ALL_TENANTS = ':get_all_tenants'

_REGEX = params.values({'type': 'string', 'format': 'regex'})
_TEXT = params.values(params.STRING)
_TIME = params.values({'type': 'string', 'format': 'date-time'})

SORT_KEYS = (
    'access_ip_v4', 'access_ip_v6', 'auto_disk_config', 'availability_zone', 'config_drive',
    'created_at', 'display_description', 'display_name', 'host', 'hostname', 'image_ref',
    'instance_type_id', 'kernel_id', 'key_name', 'launch_index', 'launched_at', 'locked_by',
    'node', 'power_state', 'progress', 'project_id', 'ramdisk_id', 'root_device_name',
    'task_state', 'terminated_at', 'updated_at', 'user_id', 'uuid', 'vm_state',
)  # fmt: skip
# Accepted as keys, but nothing is sorted by them.
IGNORED_KEYS = (
    'architecture', 'cell_name', 'cleaned', 'default_ephemeral_device', 'default_swap_device',
    'deleted', 'deleted_at', 'disable_terminate', 'ephemeral_gb', 'ephemeral_key_uuid', 'id',
    'key_data', 'launched_on', 'locked', 'memory_mb', 'os_type', 'reservation_id', 'root_gb',
    'shutdown_terminate', 'user_data', 'vcpus', 'vm_mode',
)  # fmt: skip
OPERATORS_KEYS = ('host', 'node')

_PATTERNS = (
    'kernel_id', 'ramdisk_id', 'hostname', 'key_name', 'power_state', 'node', 'flavor',
    'reservation_id', 'launched_at', 'terminated_at', 'availability_zone', 'name',
    'display_name', 'description', 'display_description', 'locked_by', 'root_device_name',
    'config_drive', 'access_ip_v4', 'access_ip_v6', 'auto_disk_config', 'progress', 'ip', 'ip6',
    'created_at',
)  # fmt: skip
_TEXTS = (
    'user_id', 'project_id', 'tenant_id', 'launch_index', 'image_ref', 'image', 'vm_state',
    'task_state', 'host', 'uuid', 'sort_dir', 'all_tenants', 'soft_deleted', 'deleted',
    'status', 'block_device_mapping', 'services', 'metadata', 'system_metadata', 'info_cache',
    'security_groups', 'pci_devices',
)  # fmt: skip


def query_schema(minor: int) -> params.Schema:
    """Return the schema of a list's query at one version."""
    keys = list(SORT_KEYS)
    if minor < 73:
        keys += IGNORED_KEYS
    elif minor < 75:
        keys += [*(key for key in IGNORED_KEYS if key != 'locked'), 'locked']
    else:
        keys.append('locked')
    properties: params.Schema = {
        **dict.fromkeys(_PATTERNS, _REGEX),
        **dict.fromkeys(_TEXTS, _TEXT),
        **params.PAGING,
        times.SINCE: _TIME,
        'sort_key': params.values({'type': 'string', 'enum': keys}),
    }
    if minor >= 26:
        properties.update(dict.fromkeys(filters.TAGS, _REGEX))
    if minor >= 66:
        properties[times.BEFORE] = _TIME
    if minor >= 73:
        properties['locked'] = _TEXT
    return params.obj(properties, more=minor < 75, patternProperties={'^_': _TEXT})


def _sorting(request: Request) -> tuple[list[str], list[str]]:
    """Return keys and directions; a direction that is missing is the first one's."""
    asked, dirs = request.query.all('sort_key'), request.query.all('sort_dir')
    if any(direction not in ('asc', 'desc') for direction in dirs):
        raise exception.InvalidInput(reason="Unknown sort direction, must be 'desc' or 'asc'")
    ignored = set(IGNORED_KEYS) - ({'locked'} if request.version.minor >= 73 else set())
    default = dirs[0] if dirs else 'desc'
    if not asked:
        return ['created_at'], [default]
    if len(dirs) > len(asked):
        raise exception.InvalidInput(reason='Sort direction size exceeds sort key size')
    keys, kept = [], []
    for number, key in enumerate(asked):
        if key in OPERATORS_KEYS and not request.context.is_admin:
            raise Fault(403, f'Only administrators can sort servers by {key}')
        if key not in ignored:
            keys.append(key)
            kept.append(dirs[number] if number < len(dirs) else default)
    return (keys, kept) if keys else (['created_at'], [default])


def _every_project(request: Request) -> bool:
    """Tell whether all projects are asked for; an empty ``all_tenants`` says yes."""
    value = request.query.one('all_tenants')
    if value is None:
        return False
    try:
        wanted = not value or strutils.bool_from_string(value, strict=True)
    except ValueError as error:
        raise exception.InvalidInput(reason=f'all_tenants: {error}') from None
    if wanted:
        request.can(f'{request.operation.rule}{ALL_TENANTS}')
    return wanted


def _limit(request: Request) -> tuple[int, str | None]:
    limit, marker = params.limit_and_marker(request)
    asked = request.query.one('limit')
    return (0 if asked is not None and int(asked) == 0 else limit), marker


def _found(request: Request, limit: int, marker: str | None, detail: bool) -> list[Server]:
    project_id = None if _every_project(request) else request.context.project_id
    chosen = filters.read(request, project_id)
    keys, dirs = _sorting(request)
    if chosen is None or limit == 0:
        return []
    query = ServerQuery(
        unreachable=_shows_unreachable(request),
        filters=chosen,
        sort_keys=keys,
        sort_dirs=dirs,
        limit=limit,
        marker=marker,
        detail=detail,
        host_status=detail and view.wants_host_status(request),
    )
    return request.conductor.list_servers(request.context, query)


def _shows_unreachable(request: Request) -> bool:
    """Tell whether servers of cells that are down are shown: nobody can filter or sort those."""
    return request.version.minor >= 69 and not set(request.query) - {'all_tenants'}


def _answer(request: Request, path: str, render: view.Renderer, detail: bool) -> dict[str, Any]:
    limit, marker = _limit(request)
    servers = _found(request, limit, marker, detail)
    answer: dict[str, Any] = {'servers': [render(server) for server in servers]}
    if servers and len(servers) == limit:
        answer['servers_links'] = params.next_link(request, path, servers[-1].uuid)
    return answer


def index(request: Request) -> dict[str, Any]:
    """List servers."""
    links, about = params.Links(request, 'servers'), view.scene(request)

    def render(server: Server) -> dict[str, Any]:
        if server.unreachable:
            return view.unreachable(server, about, detail=False)
        return {'id': server.uuid, 'name': server.name, 'links': links.of(server.uuid)}

    return _answer(request, 'servers', render, detail=False)


def detail(request: Request) -> dict[str, Any]:
    """List servers with details."""
    return _answer(request, 'servers/detail', view.renderer(request, 'detail'), detail=True)


_RANGES = (
    ('2.1', '2.25'),
    ('2.26', '2.65'),
    ('2.66', '2.72'),
    ('2.73', '2.74'),
    ('2.75', None),
)

for _since, _until in _RANGES:
    _query = query_schema(int(_since.split('.')[1]))
    for _path, _rule, _handler in (
        ('/servers', INDEX, index),
        ('/servers/detail', DETAIL, detail),
    ):
        operation(
            'GET',
            _path,
            since=_since,
            until=_until,
            rule=_rule,
            check=policies.PROJECT_READER_OR_ADMIN,
            soft_rules=(
                filters.RULE,
                SoftRule(_rule + ALL_TENANTS, ADMIN, 'List the servers of all projects.'),
                *(view.RULES if _handler is detail else ()),
            ),
            query=_query,
        )(_handler)
