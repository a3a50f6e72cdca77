"""What was done with a server, and how it went."""

import datetime
from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import lookup, times, view
from kilonova.common.objects.server import Action, ActionEvent, OwnedActions

LIST = 'os_compute_api:os-instance-actions:list'
SHOW = 'os_compute_api:os-instance-actions:show'
EVENTS = 'os_compute_api:os-instance-actions:events'
DETAILS = 'os_compute_api:os-instance-actions:events:details'
OLD = ('os_compute_api:os-instance-actions', policies.OLD_OWNER)
EVENT_RULES = (
    SoftRule(EVENTS, ADMIN, 'Show trace and host with the events of a server action.'),
    SoftRule(DETAILS, ADMIN, 'Show the details of failed events of a server action.'),
)

TIME = {'type': 'string', 'format': 'date-time'}
QUERY_258 = params.query(
    {
        'limit': params.single(params.NON_NEGATIVE),
        'marker': params.single(params.STRING),
        times.SINCE: params.single(TIME),
    },
    more=False,
)
QUERY_266 = params.query({**QUERY_258['properties'], times.BEFORE: params.single(TIME)}, more=False)
PATH = '/servers/{server_id}/os-instance-actions'

Json = dict[str, Any]


def _visible(request: Request) -> Json:
    """Return which servers count: from 2.21 on also deleted ones."""
    return {
        'project_id': lookup.visible_project(request),
        'deleted': request.version.minor >= 21,
    }


def _checked(request: Request, found: OwnedActions) -> list[Action]:
    request.authorize(project_id=found.project_id, user_id=found.user_id)
    return found.actions


def _time(when: datetime.datetime | None) -> str | None:
    return None if when is None else when.isoformat(timespec='microseconds')


def _action(action: Action, minor: int) -> Json:
    shown: Json = {
        'action': action.action,
        'instance_uuid': action.instance_uuid,
        'request_id': action.request_id,
        'user_id': action.user_id,
        'project_id': action.project_id,
        'start_time': _time(action.start_time),
        'message': action.message,
    }
    if minor >= 58:
        shown['updated_at'] = _time(action.updated_at)
    return shown


@operation(
    'GET',
    PATH,
    until='2.57',
    rule=LIST,
    check=policies.PROJECT_READER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    query=params.ANY_QUERY,
)
@operation(
    'GET',
    PATH,
    since='2.58',
    until='2.65',
    rule=LIST,
    check=policies.PROJECT_READER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    query=QUERY_258,
)
@operation(
    'GET',
    PATH,
    since='2.66',
    rule=LIST,
    check=policies.PROJECT_READER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    query=QUERY_266,
)
def index(request: Request, server_id: str) -> Json:
    """List the actions of a server."""
    minor = request.version.minor
    uuid, asked = lookup.checked(server_id), _visible(request)
    limit = None
    if minor >= 58:
        asked['changes_since'], asked['changes_before'] = times.changes(request)
        limit, asked['marker'] = params.limit_and_marker(request)
    listed = request.conductor.list_actions(request.context, uuid, limit=limit, **asked)
    actions = _checked(request, listed)
    found: Json = {'instanceActions': [_action(action, minor) for action in actions]}
    if actions and len(actions) == limit:
        path = f'servers/{uuid}/os-instance-actions'
        found['links'] = params.next_link(request, path, actions[-1].request_id)
    return found


@operation(
    'GET',
    PATH + '/{request_id}',
    until='2.101',
    rule=SHOW,
    check=policies.PROJECT_READER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    soft_rules=EVENT_RULES,
    query=params.ANY_QUERY,
)
@operation(
    'GET',
    PATH + '/{request_id}',
    since='2.102',
    rule=SHOW,
    check=policies.PROJECT_READER_OR_ADMIN,
    replaces=OLD,
    target='resource',
    soft_rules=EVENT_RULES,
    query=params.NO_QUERY,
)
def show(request: Request, server_id: str, request_id: str) -> Json:
    """Show an action of a server with its events."""
    minor = request.version.minor
    uuid = lookup.checked(server_id)
    found = request.conductor.get_action(request.context, uuid, request_id, **_visible(request))
    [action] = _checked(request, found)
    shown = _action(action, minor)
    # Before 2.51 events were the administrators'; now all see them, but not all of them.
    trusted = request.allows(EVENTS, project_id=found.project_id)
    if trusted or minor >= 51:
        details = minor >= 84 and request.allows(DETAILS, project_id=found.project_id)
        shown['events'] = [
            _event(event, found.project_id, minor, trusted, details) for event in action.events
        ]
    return {'instanceAction': shown}


def _event(event: ActionEvent, project_id: str, minor: int, trusted: bool, details: bool) -> Json:
    shown: Json = {
        'event': event.event,
        'start_time': _time(event.start_time),
        'finish_time': _time(event.finish_time),
        'result': event.result,
    }
    if trusted:
        shown['traceback'] = event.traceback
    if minor >= 62:
        shown['hostId'] = view.host_id(project_id, event.host)
        if trusted and event.host:
            shown['host'] = event.host
    if details:
        shown['details'] = event.details
    return shown
