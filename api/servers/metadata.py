"""The metadata items of a server."""

from collections.abc import Callable
from typing import Any

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import Handler, operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup

ALL = params.wrapped('metadata', params.METADATA)
ONE = params.wrapped('meta', {**params.METADATA, 'minProperties': 1, 'maxProperties': 1})
PATH = '/servers/{server_id}/metadata'


def _read(path: str, name: str) -> Callable[[Handler], Handler]:
    """Declare a GET, which refuses unknown parameters from 2.102 on."""

    def declare(handler: Handler) -> Handler:
        for since, until, query in (
            ('2.1', '2.101', params.ANY_QUERY),
            ('2.102', None, params.NO_QUERY),
        ):
            operation(
                'GET',
                path,
                since=since,
                until=until,
                rule=f'os_compute_api:server-metadata:{name}',
                check=policies.PROJECT_READER_OR_ADMIN,
                target='resource',
                query=query,
            )(handler)
        return handler

    return declare


def _write(
    method: str, path: str, name: str, body: params.Schema | None, success: int = 200
) -> Callable[[Handler], Handler]:
    return operation(
        method,
        path,
        rule=f'os_compute_api:server-metadata:{name}',
        check=policies.PROJECT_MEMBER_OR_ADMIN,
        target='resource',
        body=body,
        success=success,
    )


@_read(PATH, 'index')
def index(request: Request, server_id: str) -> dict[str, Any]:
    """List the metadata of a server."""
    return {'metadata': lookup.get(request, server_id).metadata}


@_read(PATH + '/{key}', 'show')
def show(request: Request, server_id: str, key: str) -> dict[str, Any]:
    """Show one metadata item of a server."""
    metadata = lookup.get(request, server_id).metadata
    if key not in metadata:
        raise Fault(404, 'Metadata item was not found')
    return {'meta': {key: metadata[key]}}


def _set(
    request: Request, server_id: str, metadata: dict[str, str], replace: bool
) -> dict[str, str]:
    server = lookup.get(request, server_id)
    return request.conductor.set_server_metadata(request.context, server.uuid, metadata, replace)


@_write('POST', PATH, 'create', ALL)
def create(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Add or change metadata items of a server."""
    return {'metadata': _set(request, server_id, body['metadata'], replace=False)}


@_write('PUT', PATH, 'update_all', ALL)
def update_all(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Replace the metadata of a server."""
    return {'metadata': _set(request, server_id, body['metadata'], replace=True)}


@_write('PUT', PATH + '/{key}', 'update', ONE)
def update(request: Request, server_id: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Set one metadata item of a server."""
    if key not in body['meta']:
        raise Fault(400, 'Request body and URI mismatch')
    _set(request, server_id, body['meta'], replace=False)
    return {'meta': body['meta']}


@_write('DELETE', PATH + '/{key}', 'delete', None, success=204)
def delete(request: Request, server_id: str, key: str) -> None:
    """Remove one metadata item of a server."""
    server = lookup.get(request, server_id)
    request.conductor.delete_server_metadata(request.context, server.uuid, key)
