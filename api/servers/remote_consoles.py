"""URLs of servers' consoles: actions until 2.5, a resource of its own since 2.6."""

from collections.abc import Callable
from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.api.servers import lookup

Json = dict[str, Any]

RULE = 'os_compute_api:os-remote-consoles'
# action -> protocol, types
_ACTIONS = {
    'os-getVNCConsole': ('vnc', ['novnc', 'xvpvnc']),
    'os-getSPICEConsole': ('spice', ['spice-html5']),
    'os-getSerialConsole': ('serial', ['serial']),
}
_PROTOCOLS = ['vnc', 'spice', 'serial', 'rdp']
_TYPES = ['novnc', 'xvpvnc', 'spice-html5', 'serial', 'rdp-html5']


def _schema(protocols: list[str], types: list[str]) -> Schema:
    fields = {'protocol': {'enum': protocols}, 'type': {'enum': types}}
    return params.wrapped('remote_console', params.obj(fields, ['protocol', 'type']))


BODY = ByVersion(
    {
        '2.6': _schema(_PROTOCOLS, _TYPES),
        '2.8': _schema([*_PROTOCOLS, 'mks'], [*_TYPES, 'webmks']),
        '2.99': _schema([*_PROTOCOLS, 'mks'], [*_TYPES, 'webmks', 'spice-direct']),
    }
)


@operation(
    'POST',
    '/servers/{server_id}/remote-consoles',
    since='2.6',
    rule=RULE,
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=BODY,
)
def create(request: Request, server_id: str, body: Json) -> Json:
    """Create a URL to a console of a server."""
    wanted = body['remote_console']
    url = _url(request, server_id, wanted['protocol'], wanted['type'])
    return {'remote_console': {'protocol': wanted['protocol'], 'type': wanted['type'], 'url': url}}


def _url(request: Request, server_id: str, protocol: str, console_type: str) -> str:
    server = lookup.get(request, server_id)
    conductor = request.conductor
    return conductor.get_console_url(request.context, server.uuid, protocol, console_type)


def _action(action: str, protocol: str) -> Callable[..., Json]:
    def get(request: Request, server_id: str, body: Json) -> Json:
        console_type = body[action]['type']
        url = _url(request, server_id, protocol, console_type)
        return {'console': {'type': console_type, 'url': url}}

    get.__doc__ = f'Get a URL to the {protocol} console of a server.'
    return get


for _name, (_protocol, _types) in _ACTIONS.items():
    operation(
        'POST',
        '/servers/{server_id}/action',
        action=_name,
        until='2.5',
        rule=RULE,
        check=policies.PROJECT_MEMBER_OR_ADMIN,
        target='resource',
        body=params.wrapped(_name, params.obj({'type': {'enum': _types}}, ['type'])),
    )(_action(_name, _protocol))
