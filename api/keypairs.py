"""Key pairs of a user."""

from typing import Any

from kilonova.api import keys, params, projects
from kilonova.api.operation import operation
from kilonova.api.params import obj, values, wrapped
from kilonova.api.policies import USER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.common.objects.server import Keypair

_USER = {'user_id': values(params.STRING)}
_ONE = ByVersion(
    {
        '2.0': params.ANY_QUERY,
        '2.10': params.query(_USER),
        '2.75': params.query(_USER, more=False),
    }
)
_LIST = ByVersion(
    {
        '2.0': params.ANY_QUERY,
        '2.10': params.query(_USER),
        '2.35': params.query({**_USER, **params.PAGING}),
        '2.75': params.query({**_USER, **params.PAGING}, more=False),
    }
)


def _name(pattern: str) -> Schema:
    return {'allOf': [params.NAME, {'type': 'string', 'pattern': pattern}]}


_FIELDS: Schema = {'name': _name(r'^[_\- a-zA-Z0-9]+$'), 'public_key': params.STRING}
_TYPE: Schema = {'type': {'type': 'string', 'enum': ['ssh', 'x509']}}
_OWNER: Schema = {'user_id': params.STRING}
_LATEST = {**_FIELDS, **_TYPE, **_OWNER, 'name': _name(r'^[_\-\@\. a-zA-Z0-9]+$')}


def _create(fields: Schema, required: list[str] | None = None) -> Schema:
    return wrapped('keypair', obj(fields, required or ['name']))


CREATE = ByVersion(
    {
        '2.0': _create({**_FIELDS, 'name': params.PADDED_NAME}),
        '2.1': _create(_FIELDS),
        '2.2': _create({**_FIELDS, **_TYPE}),
        '2.10': _create({**_FIELDS, **_TYPE, **_OWNER}),
        '2.92': _create(_LATEST, ['name', 'public_key']),
    }
)


def _view(request: Request, keypair: Keypair, *, owner: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {
        'name': keypair.name,
        'public_key': keypair.public_key,
        'fingerprint': keypair.fingerprint,
    }
    if request.version >= (2, 2):
        body['type'] = keypair.type
    if owner:
        body['user_id'] = keypair.user_id
    return body


def _owner(request: Request) -> str:
    """Whose keys: the caller's own, or those of the user that the query names (2.10)."""
    user: str = request.query.one('user_id') or request.context.user_id or ''
    request.authorize(user_id=user)
    return user


@operation('GET', '/os-keypairs', query=_LIST, target='resource',
           rule='os_compute_api:os-keypairs:index', check=USER_OR_ADMIN)  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """List a user's key pairs."""
    user = _owner(request)
    limit = marker = None
    if request.version >= (2, 35):
        limit, marker = params.limit_and_marker(request)
    found = request.conductor.list_keypairs(request.context, user, limit=limit, marker=marker)
    body: dict[str, Any] = {'keypairs': [{'keypair': _view(request, one)} for one in found]}
    if limit is not None:
        links = params.next_page(request, 'os-keypairs', [one.name for one in found])
        if links:
            body['keypairs_links'] = links
    return body


@operation('GET', '/os-keypairs/{name}', query=_ONE, target='resource',
           rule='os_compute_api:os-keypairs:show', check=USER_OR_ADMIN)  # fmt: skip
def show(request: Request, name: str) -> dict[str, Any]:
    """Show a key pair."""
    keypair = request.conductor.get_keypair(request.context, _owner(request), name)
    body = _view(request, keypair, owner=True)
    body.update(
        id=keypair.id,
        created_at=keypair.created_at,
        updated_at=None,
        deleted=False,
        deleted_at=None,
    )
    return {'keypair': body}


@operation('POST', '/os-keypairs', until='2.1', body=CREATE, success=200, target='resource',
           rule='os_compute_api:os-keypairs:create', check=USER_OR_ADMIN)  # fmt: skip
@operation('POST', '/os-keypairs', since='2.2', body=CREATE, success=201, target='resource',
           rule='os_compute_api:os-keypairs:create', check=USER_OR_ADMIN)  # fmt: skip
def create(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Import a public key, or (up to 2.91) make a key pair."""
    asked = body['keypair']
    user = asked.get('user_id') or request.context.user_id or ''
    request.authorize(user_id=user)
    projects.check_id('user_id', user)
    kind = asked.get('type', 'ssh')
    private = None
    if 'public_key' in asked:
        public = asked['public_key']
        fingerprint = keys.fingerprint(kind, public)
    else:
        private, public, fingerprint = keys.generate(kind, user)
    keypair = Keypair(
        name=asked['name'].strip(),
        user_id=user,
        type=kind,
        fingerprint=fingerprint,
        public_key=public,
    )
    created = request.conductor.create_keypair(
        request.context, keypair, generated=private is not None
    )
    answer = _view(request, created, owner=True)
    if private is not None:
        # The only time that it is told: it is kept nowhere.
        answer['private_key'] = private
    return {'keypair': answer}


@operation('DELETE', '/os-keypairs/{name}', until='2.1', query=_ONE, success=202,
           target='resource', rule='os_compute_api:os-keypairs:delete',
           check=USER_OR_ADMIN)  # fmt: skip
@operation('DELETE', '/os-keypairs/{name}', since='2.2', query=_ONE, success=204,
           target='resource', rule='os_compute_api:os-keypairs:delete',
           check=USER_OR_ADMIN)  # fmt: skip
def delete(request: Request, name: str) -> None:
    """Delete a key pair."""
    request.conductor.delete_keypair(request.context, _owner(request), name)
