"""Flavors as JSON, by version."""

from typing import Any

from kilonova.api.params import Links
from kilonova.api.policies import PROJECT_READER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.common.objects.flavor import Flavor

EXTRA_SPECS = SoftRule(
    'os_compute_api:os-flavor-extra-specs:index',
    PROJECT_READER_OR_ADMIN,
    "List a flavor's extra specs, on their own and (from 2.61) in the flavor.",
)


class FlavorView:
    """Renders the flavors of one answer; what they share is worked out once."""

    def __init__(self, request: Request) -> None:
        self._version = request.version
        self._links = Links(request, 'flavors')
        self._with_specs = request.version >= (2, 61) and request.allows(EXTRA_SPECS.name)

    def brief(self, flavor: Flavor) -> dict[str, Any]:
        body: dict[str, Any] = {
            'id': flavor.flavorid,
            'name': flavor.name,
            'links': self._links.of(flavor.flavorid),
        }
        if self._version >= (2, 55):
            body['description'] = flavor.description
        return body

    def full(self, flavor: Flavor) -> dict[str, Any]:
        body = self.brief(flavor)
        body.update(
            {
                'ram': flavor.memory_mb,
                'disk': flavor.root_gb,
                'vcpus': flavor.vcpus,
                # No swap is an empty string up to 2.74.
                'swap': flavor.swap or (0 if self._version >= (2, 75) else ''),
                'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral_gb,
                'os-flavor-access:is_public': flavor.is_public,
            }
        )
        if self._version < (2, 102):
            body['rxtx_factor'] = flavor.rxtx_factor
            body['OS-FLV-DISABLED:disabled'] = flavor.disabled
        if self._with_specs:
            body['extra_specs'] = flavor.extra_specs
        return body
