"""Bare-metal nodes of old (up to 2.35): they are Ironic's, which has commands of its own."""

from typing import Any, NoReturn

from kilonova.api.faults import Fault
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, OLD_ADMIN
from kilonova.api.request import Request

LAST = '2.35'
RULE = 'os_compute_api:os-baremetal-nodes'
PATH = '/os-baremetal-nodes'


@operation('GET', PATH, until=LAST, rule=f'{RULE}:list', check=ADMIN,
           replaces=(RULE, OLD_ADMIN))  # fmt: skip
def index(_request: Request) -> NoReturn:
    """List bare-metal nodes: none can be asked for."""
    _unavailable()


@operation('GET', PATH + '/{node_id}', until=LAST, rule=f'{RULE}:show', check=ADMIN,
           replaces=(RULE, OLD_ADMIN))  # fmt: skip
def show(_request: Request, node_id: str) -> NoReturn:
    """Show a bare-metal node: none can be asked for."""
    _unavailable()


def _unavailable() -> NoReturn:
    raise Fault(501, 'There is no Ironic here that could be asked for its nodes.')


def _refuse(command: str) -> Any:
    """Return a handler that names the command which took an operation's place."""

    def refused(_request: Request, **_path: str) -> NoReturn:
        raise Fault(
            400,
            f'Command not supported. Please use Ironic command {command} to perform this action.',
        )

    refused.__doc__ = f'Refused: {command} of Ironic does it.'
    return refused


for _method, _path, _action, _command in (
    ('POST', PATH, None, 'node-create'),
    ('DELETE', PATH + '/{node_id}', None, 'node-delete'),
    ('POST', PATH + '/{node_id}/action', 'add_interface', 'port-create'),
    ('POST', PATH + '/{node_id}/action', 'remove_interface', 'port-delete'),
):
    operation(_method, _path, action=_action, until=LAST, success=400)(_refuse(_command))
