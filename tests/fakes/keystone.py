"""An identity service: what clients ask it for, and endpoints and unified limits."""

from typing import Any

from kilonova.tests.fakes.keystone_tokens import TokenPart
from kilonova.tests.fakes.server import Answer, route

Query = dict[str, list[str]]
DOMAIN, KINDS = 'default', ('project_id', 'domain_id')
SERVICE, REGION, ENDPOINT = 'service-nova', 'region-one', 'endpoint-nova'


class FakeKeystone(TokenPart):
    """Keystone v3.  ``registered`` is for all projects, ``limits`` by (project, resource)."""

    def __init__(self) -> None:
        self.registered: dict[str, int] = {}
        self.limits: dict[tuple[str, str], int] = {}
        self.model = 'flat'
        self.parents: dict[str, str] = {}
        """Project to the one above it; all others are below the domain ``default``."""
        super().__init__()

    @route('GET', '/v3/endpoints/{endpoint_id}')
    def endpoint(self, endpoint_id: str, **_: Any) -> Answer:
        found = {'id': ENDPOINT, 'service_id': SERVICE, 'region_id': REGION, 'interface': 'public'}
        return (200, {'endpoint': found}) if endpoint_id == ENDPOINT else _missing()

    @route('GET', '/v3/services')
    def services(self, query: Query, **_: Any) -> Answer:
        known = {'type': 'compute', 'name': 'nova'}
        fits = all(known.get(name) == value for name, (value,) in query.items())
        return 200, {'services': [{'id': SERVICE, **known}] if fits else []}

    @route('GET', '/v3/endpoints')
    def endpoints(self, query: Query, **_: Any) -> Answer:
        known = {'service_id': SERVICE, 'region_id': REGION, 'interface': 'public'}
        fits = all(known.get(name) == value for name, (value,) in query.items())
        return 200, {'endpoints': [{'id': ENDPOINT, **known}] if fits else []}

    @route('GET', '/v3/registered_limits')
    def registered_limits(self, query: Query, **_: Any) -> Answer:
        assert (query['service_id'], query['region_id']) == ([SERVICE], [REGION])
        return 200, {
            'registered_limits': [
                {'resource_name': name, 'default_limit': limit, 'service_id': SERVICE}
                for name, limit in self.registered.items()
            ]
        }

    @route('GET', '/v3/limits')
    def project_limits(self, query: Query, **_: Any) -> Answer:
        ((kind, wanted),) = [(kind, query[kind][0]) for kind in KINDS if kind in query]
        return 200, {
            'limits': [
                {'resource_name': name, 'resource_limit': limit, kind: owner}
                for (owner, name), limit in self.limits.items()
                if owner == wanted
            ]
        }

    @route('GET', '/v3/limits/model')
    def enforcement_model(self, **_: Any) -> Answer:
        return 200, {'model': {'name': self.model, 'description': ''}}

    @route('GET', '/v3/projects/{project_id}')
    def project(self, project_id: str, **_: Any) -> Answer:
        above = self.parents.get(project_id, DOMAIN)
        return 200, {'project': {'id': project_id, 'parent_id': above, 'domain_id': DOMAIN}}

    @route('GET', '/v3/projects')
    def list_projects(self, query: Query, **_: Any) -> Answer:
        if 'parent_id' not in query:
            return super().list_projects(query=query)
        (wanted,) = query['parent_id']
        below = [one for one, above in self.parents.items() if above == wanted]
        return 200, {'projects': [{'id': one, 'parent_id': wanted} for one in below]}


def _missing() -> Answer:
    return 404, {'error': {'code': 404, 'message': 'not there'}}
