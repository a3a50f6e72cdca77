"""Emptying hosts for maintenance: not one of Nova's routes, so the prefix is our own."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.params import obj
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.common.objects.drain import Drain, DrainedServer

PATH = '/kilonova/hosts/{host_name}/drain'
RULE = 'kilonova:hosts:drain'
DRAIN = obj(
    {'drain': obj({'evacuate': params.BOOLEAN, 'dry_run': params.BOOLEAN})},
    ['drain'],
)


@operation('POST', PATH, body=DRAIN, success=202, rule=RULE, check=ADMIN)
def drain(request: Request, host_name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Disable a host and move its servers away, or only say how they would be moved."""
    wanted = {name: strutils.bool_from_string(value) for name, value in body['drain'].items()}
    return _view(request.conductor.drain_host(request.context, host_name, **wanted))


@operation('GET', PATH, rule=RULE + ':show', check=ADMIN)
def show(request: Request, host_name: str) -> dict[str, Any]:
    """Show how far the last drain of a host is, and what could not be moved."""
    return _view(request.conductor.get_host_drain(request.context, host_name))


@operation('DELETE', PATH, success=204, rule=RULE + ':stop', check=ADMIN)
def stop(request: Request, host_name: str) -> None:
    """Let a drain begin no further moves; the host stays disabled."""
    request.conductor.stop_host_drain(request.context, host_name)


def _view(found: Drain) -> dict[str, Any]:
    return {
        'drain': {
            'host': found.host,
            'state': found.state,
            'evacuate': found.evacuate,
            'started_at': _time(found.started_at),
            'ended_at': _time(found.ended_at),
            'servers': [_server(one) for one in found.servers],
        }
    }


def _server(one: DrainedServer) -> dict[str, Any]:
    return {
        'id': one.uuid,
        'name': one.name,
        'how': one.how,
        'status': one.status,
        'reason': one.reason,
        'target': one.target,
        'progress': one.progress,
    }


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.strftime('%Y-%m-%dT%H:%M:%SZ')
