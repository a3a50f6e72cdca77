"""Keystone, its users, and the catalog."""

from pathlib import Path

from devcloud import ini, uwsgi, venvs
from devcloud.database import sync
from devcloud.processes import Processes
from devcloud.progress import say
from devcloud.rest import Rest, retry
from devcloud.settings import REGION, Settings

# user: what it is for; each has the roles admin and service in the project service
SERVICE_USERS = ('nova', 'placement', 'glance', 'neutron', 'cinder')


def _config(settings: Settings) -> Path:
    return settings.etc / 'keystone/keystone.conf'


def schema(settings: Settings) -> None:
    config = _config(settings)
    keys = settings.etc / 'keystone'
    ini.save(
        config,
        {
            'DEFAULT': {'use_stderr': 'true', 'max_token_size': 16384},
            'database': {'connection': settings.mariadb_url('keystone')},
            # Tests make a user for each class; a demonstration has few.
            'identity': {'password_hash_rounds': 4} if settings.fake else {},
            'token': {'provider': 'fernet', 'expiration': 86400},
            'fernet_tokens': {'key_repository': keys / 'fernet-keys'},
            'fernet_receipts': {'key_repository': keys / 'fernet-keys'},
            'credential': {'key_repository': keys / 'credential-keys'},
            # In the memory of the one process; there is no memcached.
            'cache': {'enabled': 'true', 'backend': 'dogpile.cache.memory'},
        },
    )
    manage: list[str | Path] = [
        settings.services_venv / 'bin/keystone-manage', '--config-file', config,
    ]  # fmt: skip
    as_root = ['--keystone-user', 'root', '--keystone-group', 'root']
    endpoints = []
    for interface in ('admin', 'internal', 'public'):
        endpoints += [f'--bootstrap-{interface}-url', settings.auth_url + '/']
    sync(
        settings,
        'keystone-schema',
        venvs.services_key(settings) + settings.auth_url,
        [
            [*manage, 'db_sync'],
            [*manage, 'fernet_setup', *as_root],
            [*manage, 'credential_setup', *as_root],
            [*manage, 'bootstrap', '--bootstrap-region-id', REGION, *endpoints],
        ],
        # Not as an argument, where all could read it.
        {'OS_BOOTSTRAP_PASSWORD': settings.password('admin')},
    )


def start(settings: Settings, processes: Processes) -> None:
    config = _config(settings)
    uwsgi.serve(
        settings,
        processes,
        'keystone',
        settings.ports.keystone,
        'keystone.wsgi.api',
        env={'OS_KEYSTONE_CONFIG_DIR': str(config.parent)},
        depends_on=[config, venvs.services_key(settings)],
    )
    processes.wait_http('keystone', settings.auth_url)
    _seed(settings)


def _seed(settings: Settings) -> None:
    endpoints = {
        ('nova', 'compute'): settings.url('compute', '/v2.1'),
        ('placement', 'placement'): settings.url('placement'),
        ('glance', 'image'): settings.url('glance'),
        ('neutron', 'network'): settings.url('neutron'),
    }
    if settings.cinder:
        endpoints['cinder', 'block-storage'] = settings.url('cinder', '/v3')
    key = repr(endpoints)
    if settings.is_done('identity', key):
        return
    say('keystone', 'creating projects, users, roles and the catalog')
    rest = Rest(settings, 'admin', 'admin')
    retry(30, lambda: rest.get('keystone', '/v3/roles'))
    for name in ('service', 'member', 'reader'):
        rest.ensure('keystone', '/v3/roles', 'role', 'roles', {'name': name})
    roles = {role['name']: role['id'] for role in rest.get('keystone', '/v3/roles')['roles']}
    projects = {}
    for name in ('service', 'demo'):
        body = {'name': name, 'domain_id': 'default'}
        projects[name] = rest.ensure('keystone', '/v3/projects', 'project', 'projects', body)['id']
    for name in SERVICE_USERS:
        _user(rest, settings, name, projects['service'], [roles['admin'], roles['service']])
    _user(rest, settings, 'demo', projects['demo'], [roles['member'], roles['reader']])
    admin = rest.find('keystone', '/v3/users', 'users', name='admin') or {}
    _grant(rest, str(admin['id']), projects['demo'], [roles['admin'], roles['member']])
    for (name, kind), url in endpoints.items():
        _endpoint(rest, name, kind, url)
    settings.set_done('identity', key)


def _user(rest: Rest, settings: Settings, name: str, project: str, roles: list[str]) -> None:
    body = {
        'name': name,
        'password': settings.password(name),
        'domain_id': 'default',
        'default_project_id': project,
    }
    user = rest.ensure('keystone', '/v3/users', 'user', 'users', body)
    _grant(rest, user['id'], project, roles)


def _grant(rest: Rest, user: str, project: str, roles: list[str]) -> None:
    for role in roles:
        rest.put('keystone', f'/v3/projects/{project}/users/{user}/roles/{role}')


def _endpoint(rest: Rest, name: str, kind: str, url: str) -> None:
    body = {'name': name, 'type': kind}
    service = rest.ensure('keystone', '/v3/services', 'service', 'services', body)['id']
    existing = {
        endpoint['interface']: endpoint
        for endpoint in rest.get('keystone', f'/v3/endpoints?service_id={service}')['endpoints']
    }
    for interface in ('public', 'internal', 'admin'):
        endpoint = existing.get(interface)
        if not endpoint:
            wanted = {'service_id': service, 'interface': interface, 'url': url, 'region': REGION}
            rest.post('keystone', '/v3/endpoints', {'endpoint': wanted})
        elif endpoint['url'] != url:
            path = f'/v3/endpoints/{endpoint["id"]}'
            rest.patch('keystone', path, {'endpoint': {'url': url}})
