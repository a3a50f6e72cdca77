"""Extra specs of flavors."""

from typing import Any

from kilonova.api import extra_spec_checks, params
from kilonova.api.flavor_view import EXTRA_SPECS
from kilonova.api.flavors import visible
from kilonova.api.operation import operation
from kilonova.api.params import wrapped
from kilonova.api.policies import ADMIN, PROJECT_READER_OR_ADMIN
from kilonova.api.request import Request
from kilonova.api.schema import Schema
from kilonova.common import exception

SPECS: Schema = {
    'type': 'object',
    'patternProperties': {
        '^[a-zA-Z0-9-_:. ]{1,255}$': {'type': ['string', 'number'], 'maxLength': 255}
    },
    'additionalProperties': False,
}
ONE_SPEC: Schema = {**SPECS, 'minProperties': 1, 'maxProperties': 1}


@operation('GET', '/flavors/{flavor_id}/os-extra_specs', query=params.QUERY_LESS,
           rule=EXTRA_SPECS.name, check=EXTRA_SPECS.check)  # fmt: skip
def index(request: Request, flavor_id: str) -> dict[str, Any]:
    """List a flavor's extra specs."""
    return {'extra_specs': visible(request, flavor_id).extra_specs}


@operation('POST', '/flavors/{flavor_id}/os-extra_specs', body=wrapped('extra_specs', SPECS),
           rule='os_compute_api:os-flavor-extra-specs:create', check=ADMIN)  # fmt: skip
def create(request: Request, flavor_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Add extra specs to a flavor."""
    specs = _checked(request, body['extra_specs'])
    request.conductor.set_flavor_extra_specs(request.context, flavor_id, specs)
    return {'extra_specs': specs}


@operation('GET', '/flavors/{flavor_id}/os-extra_specs/{key}', query=params.QUERY_LESS,
           rule='os_compute_api:os-flavor-extra-specs:show',
           check=PROJECT_READER_OR_ADMIN)  # fmt: skip
def show(request: Request, flavor_id: str, key: str) -> dict[str, Any]:
    """Show one extra spec of a flavor."""
    specs = visible(request, flavor_id).extra_specs
    if key not in specs:
        raise exception.FlavorExtraSpecsNotFound(flavor_id=flavor_id, extra_specs_key=key)
    return {key: specs[key]}


@operation('PUT', '/flavors/{flavor_id}/os-extra_specs/{key}', body=ONE_SPEC,
           rule='os_compute_api:os-flavor-extra-specs:update', check=ADMIN)  # fmt: skip
def update(request: Request, flavor_id: str, key: str, body: dict[str, Any]) -> dict[str, Any]:
    """Change one extra spec of a flavor."""
    if key not in body:
        raise exception.Invalid('Request body and URI mismatch')
    specs = _checked(request, body)
    request.conductor.set_flavor_extra_specs(request.context, flavor_id, specs)
    return specs


@operation('DELETE', '/flavors/{flavor_id}/os-extra_specs/{key}',
           rule='os_compute_api:os-flavor-extra-specs:delete', check=ADMIN)  # fmt: skip
def delete(request: Request, flavor_id: str, key: str) -> None:
    """Remove one extra spec of a flavor."""
    request.conductor.delete_flavor_extra_spec(request.context, flavor_id, key)


def _checked(request: Request, specs: dict[str, Any]) -> dict[str, str]:
    """Return the specs as they are stored; known ones are checked from 2.86."""
    texts = {name: str(value) for name, value in specs.items()}
    if request.version >= (2, 86):
        for name, value in texts.items():
            extra_spec_checks.check(name, value)
    return texts
