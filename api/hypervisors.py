"""Hypervisors."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import hypervisor_view as view
from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import single
from kilonova.api.policies import ADMIN, OLD_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, is_uuid
from kilonova.common import exception
from kilonova.common.objects.host import Hypervisor

REPLACES = ('os_compute_api:os-hypervisors', OLD_ADMIN)
_WITH_SERVERS = {'with_servers': single(params.BOOLEAN)}
LIST = ByVersion(
    {
        '2.1': params.ANY_QUERY,
        '2.33': params.query(params.PAGING),
        '2.53': params.query(
            {
                'limit': single(params.NON_NEGATIVE),
                'marker': single(params.STRING),
                'hypervisor_hostname_pattern': single(params.HOST),
                **_WITH_SERVERS,
            },
            more=False,
        ),
    }
)
SHOW = ByVersion({'2.1': params.ANY_QUERY, '2.53': params.query(_WITH_SERVERS, more=False)})


@operation('GET', '/os-hypervisors', query=LIST, rule='os_compute_api:os-hypervisors:list',
           check=ADMIN, replaces=REPLACES)  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """List hypervisors."""
    found = _listed(request)
    rendered = [view.brief(request, one, _with_servers(request)) for one in found]
    return _page(request, 'os-hypervisors', found, rendered)


@operation('GET', '/os-hypervisors/detail', query=LIST, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hypervisors:list-detail')  # fmt: skip
def detail(request: Request) -> dict[str, Any]:
    """List hypervisors with details."""
    found = _listed(request, _with_uptime(request))
    rendered = [view.full(request, one, _with_servers(request)) for one in found]
    return _page(request, 'os-hypervisors/detail', found, rendered)


def _with_servers(request: Request) -> bool:
    return strutils.bool_from_string(request.query.one('with_servers'))


def _listed(request: Request, with_uptime: bool = False) -> list[Hypervisor]:
    if request.version < (2, 33):
        return request.conductor.list_hypervisors(request.context)
    pattern = request.query.one('hypervisor_hostname_pattern')
    if pattern is not None and ('limit' in request.query or 'marker' in request.query):
        raise exception.Invalid(
            'Paging over hypervisors with the hypervisor_hostname_pattern query parameter '
            'is not supported.'
        )
    limit, marker = params.limit_and_marker(request)
    found = request.conductor.list_hypervisors(
        request.context,
        with_servers=_with_servers(request),
        limit=None if pattern else limit,
        marker=marker,
        hostname_pattern=pattern,
        with_uptime=with_uptime,
    )
    if pattern is not None and not found:
        raise _no_match(pattern)
    return found


def _no_match(pattern: str) -> exception.NotFound:
    return exception.NotFound(f"No hypervisor matching '{pattern}' could be found.")


def _page(
    request: Request, collection: str, found: list[Hypervisor], rendered: list[dict[str, Any]]
) -> dict[str, Any]:
    body: dict[str, Any] = {'hypervisors': rendered}
    if request.version >= (2, 33) and 'hypervisor_hostname_pattern' not in request.query:
        links = params.next_page(request, collection, [str(one['id']) for one in rendered])
        if links:
            body['hypervisors_links'] = links
    return body


def _with_uptime(request: Request) -> bool:
    """Tell whether hypervisors are shown with the uptime, for which their hosts are asked."""
    return request.version >= (2, 88)


def _checked(request: Request, hypervisor_id: str) -> str:
    """Refuse what can be no hypervisor's id, without asking anybody."""
    if request.version >= (2, 53):
        if not is_uuid(hypervisor_id):
            raise exception.Invalid(f'Invalid uuid {hypervisor_id}')
    elif not (hypervisor_id.isascii() and hypervisor_id.isdecimal() and len(hypervisor_id) < 10):
        raise exception.NotFound(f"Hypervisor with ID '{hypervisor_id}' could not be found.")
    return hypervisor_id


@operation('GET', '/os-hypervisors/statistics', until='2.87', check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hypervisors:statistics')  # fmt: skip
def statistics(request: Request) -> dict[str, Any]:
    """Show sums over all enabled hypervisors."""
    found = [
        one
        for one in request.conductor.list_hypervisors(request.context)
        if not one.service.disabled
    ]
    totals = {
        name: sum(getattr(one.node, field) for one in found) for name, field in view.FIGURES.items()
    }
    for one in found:
        for name, value in view.free(one).items():
            totals[name] = totals.get(name, 0) + value
    totals['count'] = len(found)
    totals['disk_available_least'] = sum(one.node.disk_available_least or 0 for one in found)
    for name in ('free_ram_mb', 'free_disk_gb'):
        totals.setdefault(name, 0)
    return {'hypervisor_statistics': totals}


@operation('GET', '/os-hypervisors/{hypervisor_id}', query=SHOW, check=ADMIN, replaces=REPLACES,
           rule='os_compute_api:os-hypervisors:show')  # fmt: skip
def show(request: Request, hypervisor_id: str) -> dict[str, Any]:
    """Show a hypervisor."""
    with_servers = _with_servers(request)
    found = request.conductor.get_hypervisor(
        request.context, _checked(request, hypervisor_id), with_servers, _with_uptime(request)
    )
    return {'hypervisor': view.full(request, found, with_servers)}


@operation('GET', '/os-hypervisors/{hypervisor_id}/uptime', until='2.87', check=ADMIN,
           replaces=REPLACES, rule='os_compute_api:os-hypervisors:uptime')  # fmt: skip
def uptime(request: Request, hypervisor_id: str) -> dict[str, Any]:
    """Show a hypervisor's uptime."""
    found = request.conductor.get_hypervisor_uptime(
        request.context, _checked(request, hypervisor_id)
    )
    return {'hypervisor': view.brief(request, found) | {'uptime': found.uptime}}


@operation('GET', '/os-hypervisors/{pattern}/search', until='2.52', check=ADMIN,
           replaces=REPLACES, rule='os_compute_api:os-hypervisors:search')  # fmt: skip
def search(request: Request, pattern: str) -> dict[str, Any]:
    """Find hypervisors by a part of their host name."""
    found = request.conductor.list_hypervisors(request.context, hostname_pattern=pattern)
    if not found:
        raise _no_match(pattern)
    return {'hypervisors': [view.brief(request, one) for one in found]}


@operation('GET', '/os-hypervisors/{pattern}/servers', until='2.52', check=ADMIN,
           replaces=REPLACES, rule='os_compute_api:os-hypervisors:servers')  # fmt: skip
def servers(request: Request, pattern: str) -> dict[str, Any]:
    """Find hypervisors by a part of their host name, and list their servers."""
    found = request.conductor.list_hypervisors(
        request.context, with_servers=True, hostname_pattern=pattern
    )
    if not found:
        raise _no_match(pattern)
    return {'hypervisors': [view.brief(request, one, with_servers=True) for one in found]}
