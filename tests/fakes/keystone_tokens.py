"""The part of an identity service that clients see: tokens, a catalogue, projects and users."""

from typing import Any

from kilonova.tests.fakes.server import Answer, FakeService, Headed, route

Json = dict[str, Any]
DOMAIN = {'id': 'default', 'name': 'Default'}
EXPIRES = '2099-01-01T00:00:00.000000Z'


class TokenPart(FakeService):
    """Tokens are those of ``noauth2``: who asks as a user of a project gets ``user:project``.

    Names are ids.  ``catalog`` has the address of each type of service.
    """

    def __init__(self) -> None:
        self.catalog: dict[str, str] = {}
        self.projects, self.users = ['demo', 'admin', 'other'], ['demo', 'admin', 'other']
        super().__init__()

    @route('GET', '/')
    def versions(self, **_: Any) -> Answer:
        status, body = self.describe('v3.14', '/v3/')
        return status, {'versions': {'values': body['versions']}}

    @route('GET', '/v3')
    @route('GET', '/v3/')
    def version(self, **_: Any) -> Answer:
        status, body = self.describe('v3.14', '/v3/')
        return status, {'version': body['versions'][0]}

    @route('POST', '/v3/auth/tokens')
    def issue(self, body: Any, **_: Any) -> Answer:
        """Take any password."""
        user = body['auth']['identity']['password']['user']['name']
        project = body['auth']['scope']['project']['name']
        token = {
            'methods': ['password'],
            'user': {'id': user, 'name': user, 'domain': DOMAIN},
            'project': {'id': project, 'name': project, 'domain': DOMAIN},
            'roles': [{'id': 'member', 'name': 'member'}],
            'issued_at': '2026-01-01T00:00:00.000000Z',
            'expires_at': EXPIRES,
            'catalog': [_entry(kind, url) for kind, url in self.catalog.items()],
        }
        return 201, Headed({'token': token}, {'X-Subject-Token': f'{user}:{project}'})

    @route('GET', '/v3/projects')
    def list_projects(self, query: dict[str, list[str]], **_: Any) -> Answer:
        return 200, {'projects': _named(self.projects, query)}

    @route('GET', '/v3/projects/{name}')
    def show_project(self, name: str, **_: Any) -> Answer:
        return _one('project', name, self.projects)

    @route('GET', '/v3/users')
    def list_users(self, query: dict[str, list[str]], **_: Any) -> Answer:
        return 200, {'users': _named(self.users, query)}

    @route('GET', '/v3/users/{name}')
    def show_user(self, name: str, **_: Any) -> Answer:
        return _one('user', name, self.users)


def _entry(kind: str, url: str) -> Json:
    endpoint = {'region': 'RegionOne', 'region_id': 'RegionOne', 'url': url}
    faces = ('public', 'internal', 'admin')
    endpoints = [{'id': f'{kind}-{face}', 'interface': face, **endpoint} for face in faces]
    return {'id': kind, 'type': kind, 'name': kind, 'endpoints': endpoints}


def _known(name: str) -> Json:
    return {'id': name, 'name': name, 'domain_id': 'default', 'enabled': True}


def _named(names: list[str], query: dict[str, list[str]]) -> list[Json]:
    wanted = query.get('name', names)
    return [_known(name) for name in names if name in wanted]


def _one(kind: str, name: str, names: list[str]) -> Answer:
    if name not in names:
        return 404, {'error': {'code': 404, 'message': f'Could not find {kind}: {name}.'}}
    return 200, {kind: _known(name)}
