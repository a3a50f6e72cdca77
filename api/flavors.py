"""Flavors."""

from typing import Any

from oslo_utils import strutils

from kilonova.api import params
from kilonova.api.flavor_view import EXTRA_SPECS, FlavorView
from kilonova.api.operation import operation
from kilonova.api.params import obj, values, wrapped
from kilonova.api.policies import ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import ByVersion, Schema
from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor

MAX_INT = 2147483647
_SORT_KEYS = (
    'created_at', 'description', 'disabled', 'ephemeral_gb', 'flavorid', 'id', 'is_public',
    'memory_mb', 'name', 'root_gb', 'rxtx_factor', 'swap', 'updated_at', 'vcpu_weight', 'vcpus',
)  # fmt: skip


def _list_parameters(*, without: tuple[str, ...] = ()) -> Schema:
    keys = [key for key in _SORT_KEYS if key not in without]
    return {
        **params.PAGING,
        'is_public': values(params.STRING),
        'minRam': values(params.STRING),
        'minDisk': values(params.STRING),
        'sort_key': values({'type': 'string', 'enum': keys}),
        'sort_dir': values({'type': 'string', 'enum': ['asc', 'desc']}),
    }


LIST = ByVersion(
    {
        '2.1': params.query(_list_parameters()),
        '2.75': params.query(_list_parameters(), more=False),
        '2.102': params.query(
            {**_list_parameters(without=('rxtx_factor',)), 'name': values(params.STRING)},
            more=False,
        ),
    }
)


def _amount(least: int) -> Schema:
    return {
        'type': ['integer', 'string'],
        'pattern': '^[0-9]+$',
        'minimum': least,
        'maximum': MAX_INT,
    }


_FIELDS: Schema = {
    'name': params.NAME,
    'id': {
        'type': ['string', 'number', 'null'],
        'minLength': 1,
        'maxLength': 255,
        'pattern': '^(?! )[a-zA-Z0-9. _-]+(?<! )$',
    },
    'ram': _amount(1),
    'vcpus': _amount(1),
    'disk': _amount(0),
    'OS-FLV-EXT-DATA:ephemeral': _amount(0),
    'swap': _amount(0),
    'os-flavor-access:is_public': params.BOOLEAN,
}
_RXTX: Schema = {
    'rxtx_factor': {
        'type': ['number', 'string'],
        'pattern': r'^[0-9]+(\.[0-9]+)?$',
        'exclusiveMinimum': 0,
        'maximum': 3.40282e38,
    }
}
_DESCRIPTION: Schema = {
    'description': {'type': ['string', 'null'], 'maxLength': 65535, 'format': 'printable'}
}


def _create(fields: Schema) -> Schema:
    return wrapped('flavor', obj(fields, ['name', 'ram', 'vcpus', 'disk']))


CREATE = ByVersion(
    {
        '2.0': _create({**_FIELDS, **_RXTX, 'name': params.PADDED_NAME}),
        '2.1': _create({**_FIELDS, **_RXTX}),
        '2.55': _create({**_FIELDS, **_RXTX, **_DESCRIPTION}),
        '2.102': _create({**_FIELDS, **_DESCRIPTION}),
    }
)
UPDATE = wrapped('flavor', obj(_DESCRIPTION, ['description']))


@operation('GET', '/flavors', query=LIST)
def index(request: Request) -> dict[str, Any]:
    """List flavors."""
    flavors = _listed(request)
    view = FlavorView(request)
    return _page(request, 'flavors', flavors, [view.brief(flavor) for flavor in flavors])


@operation('GET', '/flavors/detail', query=LIST, soft_rules=[EXTRA_SPECS])
def detail(request: Request) -> dict[str, Any]:
    """List flavors with details."""
    flavors = _listed(request)
    view = FlavorView(request)
    return _page(request, 'flavors/detail', flavors, [view.full(flavor) for flavor in flavors])


def _page(
    request: Request, collection: str, flavors: list[Flavor], rendered: list[dict[str, Any]]
) -> dict[str, Any]:
    body: dict[str, Any] = {'flavors': rendered}
    links = params.next_page(request, collection, [flavor.flavorid for flavor in flavors])
    if links:
        body['flavors_links'] = links
    return body


def _listed(request: Request) -> list[Flavor]:
    query = request.query
    limit, marker = params.limit_and_marker(request)
    is_public = _is_public(request)
    return request.conductor.list_flavors(
        request.context,
        is_public,
        project_id=request.context.project_id if is_public else None,
        min_ram=_least(request, 'minRam'),
        min_disk=_least(request, 'minDisk'),
        sort_key=query.one('sort_key') or 'flavorid',
        sort_dir=query.one('sort_dir') or 'asc',
        limit=limit,
        marker=marker,
        name=query.one('name') if request.version >= (2, 102) else None,
    )


def _is_public(request: Request) -> bool | None:
    """What an administrator asked for; everybody else sees public and own flavors."""
    asked = request.query.one('is_public')
    if not request.context.is_admin or asked is None:
        return True
    if asked.lower() == 'none':
        return None
    try:
        return strutils.bool_from_string(asked, strict=True)
    except ValueError:
        raise exception.Invalid(f'Invalid is_public filter [{asked}]') from None


def _least(request: Request, name: str) -> int | None:
    asked = request.query.one(name)
    if asked is None:
        return None
    try:
        return max(-MAX_INT, min(int(asked[:4000]), MAX_INT))
    except ValueError:
        raise exception.Invalid(f'Invalid {name} filter [{asked}]') from None


@operation('GET', '/flavors/{flavor_id}', query=params.QUERY_LESS, soft_rules=[EXTRA_SPECS])
def show(request: Request, flavor_id: str) -> dict[str, Any]:
    """Show a flavor."""
    return {'flavor': FlavorView(request).full(visible(request, flavor_id))}


def visible(request: Request, flavor_id: str) -> Flavor:
    """Look up a flavor that the caller may see."""
    return request.conductor.get_flavor(
        request.context, flavor_id, any_project=bool(request.context.is_admin)
    )


@operation('POST', '/flavors', rule='os_compute_api:os-flavor-manage:create', check=ADMIN,
           body=CREATE, soft_rules=[EXTRA_SPECS])  # fmt: skip
def create(request: Request, body: dict[str, Any]) -> dict[str, Any]:
    """Create a flavor."""
    asked = body['flavor']
    flavor = Flavor(
        flavorid=_identifier(asked.get('id')),
        name=asked['name'].strip(),
        memory_mb=int(asked['ram']),
        vcpus=int(asked['vcpus']),
        root_gb=int(asked['disk']),
        ephemeral_gb=int(asked.get('OS-FLV-EXT-DATA:ephemeral', 0)),
        swap=int(asked.get('swap', 0)),
        rxtx_factor=float(asked.get('rxtx_factor', 1.0)),
        is_public=strutils.bool_from_string(asked.get('os-flavor-access:is_public', True)),
        description=asked.get('description'),
    )
    created = request.conductor.create_flavor(request.context, flavor)
    return {'flavor': FlavorView(request).full(created)}


def _identifier(asked: Any) -> str:
    """Return an id as text; none asks for a new UUID."""
    text = '' if asked is None else str(asked)
    if len(text) > 255:
        raise exception.Invalid('Flavor ids have at most 255 characters.')
    return text


@operation('PUT', '/flavors/{flavor_id}', since='2.55', body=UPDATE, soft_rules=[EXTRA_SPECS],
           rule='os_compute_api:os-flavor-manage:update', check=ADMIN)  # fmt: skip
def update(request: Request, flavor_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Update a flavor's description."""
    flavor = request.conductor.update_flavor(
        request.context, flavor_id, body['flavor']['description']
    )
    return {'flavor': FlavorView(request).full(flavor)}


@operation('DELETE', '/flavors/{flavor_id}', success=202,
           rule='os_compute_api:os-flavor-manage:delete', check=ADMIN)  # fmt: skip
def delete(request: Request, flavor_id: str) -> None:
    """Delete a flavor."""
    request.conductor.delete_flavor(request.context, flavor_id)
