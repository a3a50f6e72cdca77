"""The tags of a server (2.26)."""

import urllib.parse
from collections.abc import Callable
from typing import Any

from kilonova.api import params, policies
from kilonova.api.faults import Fault
from kilonova.api.operation import Answer, Handler, operation
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common import exception

MOST_TAGS = 50
TAG_LENGTH = 60
TAG: params.Schema = {
    'type': 'string',
    'minLength': 1,
    'maxLength': TAG_LENGTH,
    'pattern': '^[^,/]*$',
}
TAGS = params.array(TAG, maxItems=MOST_TAGS)
ALL = params.wrapped('tags', TAGS)
PATH = '/servers/{server_id}/tags'


def _declare(
    method: str, path: str, name: str, *, body: params.Schema | None = None, success: int = 200
) -> Callable[[Handler], Handler]:
    reads = method == 'GET'
    return operation(
        method,
        path,
        since='2.26',
        rule=f'os_compute_api:os-server-tags:{name}',
        check=policies.PROJECT_READER_OR_ADMIN if reads else policies.PROJECT_MEMBER_OR_ADMIN,
        target='resource',
        query=params.ANY_QUERY if reads else None,
        body=body,
        success=success,
    )


@_declare('GET', PATH, 'index')
def index(request: Request, server_id: str) -> dict[str, Any]:
    """List the tags of a server."""
    return {'tags': lookup.get(request, server_id).tags}


@_declare('GET', PATH + '/{tag}', 'show', success=204)
def show(request: Request, server_id: str, tag: str) -> None:
    """Tell whether a server has a tag."""
    if tag not in lookup.get(request, server_id).tags:
        raise exception.TagNotFound(server_id=server_id, tag=tag)


@_declare('PUT', PATH, 'update_all', body=ALL)
def update_all(request: Request, server_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Replace the tags of a server."""
    server = lookup.get(request, server_id)
    tags = list(dict.fromkeys(body['tags']))
    return {'tags': request.conductor.set_server_tags(request.context, server.uuid, tags)}


@_declare('PUT', PATH + '/{tag}', 'update', success=201)
def update(request: Request, server_id: str, tag: str) -> Answer:
    """Add a tag to a server."""
    if not tag or len(tag) > TAG_LENGTH or ',' in tag:
        raise Fault(
            400, f'Tag {tag!r} is invalid: 1 to {TAG_LENGTH} characters, no comma or slash.'
        )
    server = lookup.get(request, server_id)
    if not request.conductor.add_server_tag(request.context, server.uuid, tag):
        return Answer(status=204)
    tags = f'{params.versioned(request)}/servers/{server.uuid}/tags/'
    location = tags + urllib.parse.quote(tag, safe='')
    return Answer(headers=[('Location', location)])


@_declare('DELETE', PATH + '/{tag}', 'delete', success=204)
def delete(request: Request, server_id: str, tag: str) -> None:
    """Remove a tag from a server."""
    server = lookup.get(request, server_id)
    request.conductor.delete_server_tag(request.context, server.uuid, tag)


@_declare('DELETE', PATH, 'delete_all', success=204)
def delete_all(request: Request, server_id: str) -> None:
    """Remove all tags from a server."""
    server = lookup.get(request, server_id)
    request.conductor.delete_server_tag(request.context, server.uuid, None)
