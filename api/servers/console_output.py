"""The console log of a server."""

import re
from typing import Any

from kilonova.api import params, policies
from kilonova.api.operation import operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup

BODY = params.wrapped(
    'os-getConsoleOutput',
    params.obj(
        {
            'length': {
                'type': ['integer', 'string', 'null'],
                'pattern': '^-?[0-9]+$',
                'minimum': -1,
            }
        }
    ),
)
# What a terminal cannot show and JSON clients trip over, but for line ends and tabs.
_CONTROL = re.compile(r'[\x00-\x08\x0b\x0c\x0e-\x1f]')
# More lines than any log holds: as good as all of it, and it still fits a 32-bit reader.
MOST = 2**31 - 1


@operation(
    'POST',
    '/servers/{server_id}/action',
    action='os-getConsoleOutput',
    rule='os_compute_api:os-console-output',
    check=policies.PROJECT_MEMBER_OR_ADMIN,
    target='resource',
    body=BODY,
)
def get_console_output(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Show the console log of a server."""
    server = lookup.get(request, server_id)
    length = body['os-getConsoleOutput'].get('length')
    lines = None if length is None or int(length) == -1 else min(int(length), MOST)
    output = request.conductor.get_console_output(request.context, server.uuid, lines)
    return {'output': _CONTROL.sub('', output)}
