"""What a console token stands for: asked by console proxies that are not ours."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN
from kilonova.api.removed import refused
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion

PATH = '/os-console-auth-tokens/{console_token}'
RULE = 'os_compute_api:os-console-auth-tokens'
QUERY = ByVersion({'2.1': params.ANY_QUERY, '2.99': params.NO_QUERY})


@operation('GET', PATH, since='2.31', rule=RULE, check=ADMIN, query=QUERY)
def show(request: Request, console_token: str) -> dict[str, Any]:
    """Show the connection information of a console."""
    access = request.conductor.get_console_access(request.context, console_token)
    console = {
        'instance_uuid': access.instance_uuid,
        'host': access.place.host,
        'port': access.place.port,
        'internal_access_path': access.place.internal_access_path,
    }
    if request.version >= (2, 99):
        console['tls_port'] = access.place.tls_port
    return {'console': console}


# Whoever asks is refused, so nobody looks whether he might.
operation('GET', PATH, until='2.30', rule=RULE, check=ADMIN, query=QUERY, target='resource')(
    refused
)
