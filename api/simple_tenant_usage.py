"""What projects have used between two times."""

import datetime
from typing import Any

from oslo_utils import timeutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import values
from kilonova.api.policies import ADMIN, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion
from kilonova.common import exception
from kilonova.common.objects.usage import ProjectUsage, ServerUsage, UsagePage

COLLECTION = 'os-simple-tenant-usage'
FORMATS = ('%Y-%m-%dT%H:%M:%S', '%Y-%m-%dT%H:%M:%S.%f', '%Y-%m-%d %H:%M:%S.%f')
_ONE = {'start': values(params.STRING), 'end': values(params.STRING)}
_LIST = {**_ONE, 'detailed': values(params.STRING)}

Json = dict[str, Any]
Time = datetime.datetime


def _query(names: params.Schema) -> ByVersion:
    paged = {**names, **params.PAGING}
    return ByVersion(
        {
            '2.1': params.query(names),
            '2.40': params.query(paged),
            '2.75': params.query(paged, more=False),
        }
    )


@operation('GET', '/os-simple-tenant-usage', query=_query(_LIST), check=ADMIN,
           rule='os_compute_api:os-simple-tenant-usage:list')  # fmt: skip
def index(request: Request) -> Json:
    """List the usage of all projects."""
    start, end = _times(request)
    detailed = request.query.one('detailed') == '1'
    page = _page(request, start, end, detailed=detailed)
    body: Json = {
        'tenant_usages': [_view(one, start, end, detailed, timeutils.utcnow())
                          for one in page.projects]
    }  # fmt: skip
    return body | _links(request, COLLECTION, 'tenant_usages_links', page)


@operation('GET', '/os-simple-tenant-usage/{project_id}', query=_query(_ONE), target='resource',
           check=PROJECT_READER_OR_ADMIN,
           rule='os_compute_api:os-simple-tenant-usage:show')  # fmt: skip
def show(request: Request, project_id: str) -> Json:
    """Show the usage of a project, server by server."""
    request.authorize(project_id=project_id)
    start, end = _times(request)
    page = _page(request, start, end, project_id=project_id, detailed=True)
    shown = [_view(one, start, end, True, timeutils.utcnow()) for one in page.projects]
    body: Json = {'tenant_usage': shown[0] if shown else {}}
    return body | _links(request, f'{COLLECTION}/{project_id}', 'tenant_usage_links', page)


def _times(request: Request) -> tuple[Time, Time]:
    """Return the time asked for; what is not said is now."""
    now = timeutils.utcnow()
    start, end = (_parse(request.query.one(name)) or now for name in ('start', 'end'))
    if start > end:
        raise exception.Invalid(
            'Invalid start time. The start time cannot occur after the end time.'
        )
    return start, end


def _parse(text: str | None) -> Time | None:
    """Read a time in UTC; it never had a zone."""
    if not text:
        return None
    reason = ''
    for layout in FORMATS:
        try:
            return datetime.datetime.strptime(text, layout)
        except ValueError as error:
            reason = str(error)
    raise exception.Invalid(f'Invalid datetime string: {reason}')


def _page(request: Request, start: Time, end: Time, **what: Any) -> UsagePage:
    if request.version >= (2, 40):
        what['limit'], what['marker'] = params.limit_and_marker(request)
    return request.conductor.get_usage(request.context, start, end, **what)


def _links(request: Request, collection: str, name: str, page: UsagePage) -> Json:
    if request.version < (2, 40) or page.last is None:
        return {}
    limit, _marker = params.limit_and_marker(request)
    return {name: params.next_link(request, collection, page.last)} if page.count >= limit else {}


def _view(usage: ProjectUsage, start: Time, end: Time, detailed: bool, now: Time) -> Json:
    body: Json = {
        'tenant_id': usage.project_id,
        'start': _text(start),
        'stop': _text(end),
        'total_hours': usage.hours,
        'total_vcpus_usage': usage.vcpu_hours,
        'total_memory_mb_usage': usage.memory_mb_hours,
        'total_local_gb_usage': usage.local_gb_hours,
    }
    if detailed:
        body['server_usages'] = [_server(one, now) for one in usage.servers]
    return body


def _server(usage: ServerUsage, now: Time) -> Json:
    ended = usage.terminated_at
    return {
        'instance_id': usage.uuid,
        'name': usage.name,
        'tenant_id': usage.project_id,
        'flavor': usage.flavor,
        'vcpus': usage.vcpus,
        'memory_mb': usage.memory_mb,
        'local_gb': usage.local_gb,
        'hours': usage.hours,
        'started_at': _text(usage.launched_at),
        'ended_at': _text(ended) if ended else None,
        'state': 'terminated' if ended else usage.vm_state,
        'uptime': int(((ended or now) - usage.launched_at).total_seconds()),
    }


def _text(when: Time) -> str:
    return when.isoformat(timespec='microseconds')
