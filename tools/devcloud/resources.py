"""What a user finds in the fresh cloud: credentials, flavors, image, networks, a key pair."""

import hashlib
import os
from pathlib import Path
from typing import Any

from devcloud import guestimage
from devcloud.commands import run
from devcloud.progress import say
from devcloud.rest import Rest, retry
from devcloud.settings import (
    EXTERNAL_CIDR,
    EXTERNAL_GATEWAY,
    PRIVATE_CIDR,
    REGION,
    Settings,
    owner,
    write,
)

CLOUD = 'kilonova'
IMAGE = 'kilonova-guest'
KEY_PAIR = 'demo'
FLAVORS = (
    # name, MiB of memory, GiB of disk, vCPUs
    ('m1.nano', 128, 1, 1),
    ('m1.micro', 192, 1, 1),
    ('m1.tiny', 512, 1, 1),
    ('m1.small', 2048, 20, 1),
    ('m1.medium', 4096, 40, 2),
)


# ---- files for the user


def clouds_yaml(settings: Settings) -> Path:
    return settings.etc / 'clouds.yaml'


def private_key(settings: Settings) -> Path:
    return settings.etc / 'id_demo'


def credentials(settings: Settings) -> None:
    """Write clouds.yaml, the openrc files and the ssh key; the user at the keyboard owns them."""
    clouds = 'clouds:\n'
    for cloud, user in ((CLOUD, 'demo'), (f'{CLOUD}-admin', 'admin')):
        clouds += (
            f'  {cloud}:\n'
            f'    region_name: {REGION}\n'
            '    identity_api_version: 3\n'
            '    auth:\n'
            f'      auth_url: {settings.auth_url}\n'
            f'      username: {user}\n'
            f'      password: {settings.password(user)}\n'
            '      project_name: demo\n'
            '      user_domain_name: Default\n'
            '      project_domain_name: Default\n'
        )
    _give(clouds_yaml(settings), clouds)
    for name, user in (('openrc', 'admin'), ('openrc-demo', 'demo')):
        _give(settings.root / name, _openrc(settings, user))
    # A directory with nothing but the client: the environment's own has a python in it.
    client = settings.root / 'bin/openstack'
    client.parent.mkdir(exist_ok=True)
    client.unlink(missing_ok=True)
    client.symlink_to(settings.services_venv / 'bin/openstack')
    key = private_key(settings)
    if not key.exists():
        run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'kilonova-demo', '-f', key])
    for path in (key, key.with_suffix('.pub')):
        os.chown(path, *owner())


def _give(path: Path, text: str) -> None:
    write(path, text, 0o600)
    os.chown(path, *owner())


def _openrc(settings: Settings, user: str) -> str:
    lines = [f'# Written by tools/devcloud: user {user} in the project demo.']
    lines += ['unset OS_CLOUD OS_TOKEN']
    values = {
        'OS_AUTH_URL': settings.auth_url,
        'OS_IDENTITY_API_VERSION': '3',
        'OS_REGION_NAME': REGION,
        'OS_USERNAME': user,
        'OS_PASSWORD': settings.password(user),
        'OS_PROJECT_NAME': 'demo',
        'OS_USER_DOMAIN_NAME': 'Default',
        'OS_PROJECT_DOMAIN_NAME': 'Default',
    }
    lines += [f"export {name}='{value}'" for name, value in values.items()]
    lines.append(f"export PATH='{settings.root}/bin':$PATH")
    return '\n'.join(lines) + '\n'


# ---- things in the cloud


def flavors(settings: Settings) -> None:
    rest = Rest(settings, 'admin', 'demo')
    existing = {item['name'] for item in rest.get('compute', '/v2.1/flavors')['flavors']}
    for name, memory, disk, vcpus in FLAVORS:
        if name not in existing:
            flavor = {'name': name, 'ram': memory, 'disk': disk, 'vcpus': vcpus}
            rest.post('compute', '/v2.1/flavors', {'flavor': flavor})


def key_pairs(settings: Settings) -> None:
    """The same key for both users."""
    public = private_key(settings).with_suffix('.pub').read_text().strip()
    for user in ('demo', 'admin'):
        rest = Rest(settings, user, 'demo')
        names = {
            item['keypair']['name']: item['keypair']
            for item in rest.get('compute', '/v2.1/os-keypairs')['keypairs']
        }
        if names.get(KEY_PAIR, {}).get('public_key', '').strip() == public:
            continue
        if KEY_PAIR in names:
            rest.delete('compute', f'/v2.1/os-keypairs/{KEY_PAIR}')
        body = {'keypair': {'name': KEY_PAIR, 'public_key': public}}
        rest.post('compute', '/v2.1/os-keypairs', body)


def image(settings: Settings) -> None:
    """Upload the guest image, unless Glance has these very bytes."""
    file = guestimage.path(settings)
    rest = Rest(settings, 'admin', 'demo')
    images = retry(60, lambda: rest.get('glance', f'/v2/images?name={IMAGE}'))['images']
    checksum = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    if any(item['checksum'] == checksum and item['status'] == 'active' for item in images):
        return
    say('image', f'uploading {file.name} ({file.stat().st_size / 1e6:.1f} MB)')
    for item in images:
        rest.delete('glance', f'/v2/images/{item["id"]}')
    body = {
        'name': IMAGE,
        'disk_format': 'qcow2',
        'container_format': 'bare',
        'visibility': 'public',
        'hw_qemu_guest_agent': 'yes',
    }
    created = rest.post('glance', '/v2/images', body)
    rest.request('PUT', 'glance', f'/v2/images/{created["id"]}/file', file=file)


def networks(settings: Settings) -> None:
    """An external network, and a network with a router in the demo project."""
    admin = Rest(settings, 'admin', 'demo')
    demo = Rest(settings, 'demo', 'demo')
    base = EXTERNAL_CIDR.rpartition('.')[0]
    public = _ensure(
        admin,
        'network',
        {
            'name': 'public',
            'router:external': True,
            'provider:network_type': 'flat',
            'provider:physical_network': 'public',
        },
    )
    _ensure(
        admin,
        'subnet',
        {
            'name': 'public-subnet',
            'network_id': public['id'],
            'ip_version': 4,
            'cidr': EXTERNAL_CIDR,
            'gateway_ip': EXTERNAL_GATEWAY,
            'enable_dhcp': False,
            'allocation_pools': [{'start': f'{base}.10', 'end': f'{base}.200'}],
        },
    )
    private = _ensure(demo, 'network', {'name': 'private'})
    subnet = _ensure(
        demo,
        'subnet',
        {
            'name': 'private-subnet',
            'network_id': private['id'],
            'ip_version': 4,
            'cidr': PRIVATE_CIDR,
        },
    )
    gateway = {'network_id': public['id']}
    router = _ensure(demo, 'router', {'name': 'router', 'external_gateway_info': gateway})
    ports = demo.get('neutron', f'/v2.0/ports?device_id={router["id"]}')['ports']
    if not any(port['network_id'] == private['id'] for port in ports):
        path = f'/v2.0/routers/{router["id"]}/add_router_interface'
        demo.put('neutron', path, {'subnet_id': subnet['id']})
    _open_default_group(demo)


def _ensure(rest: Rest, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return rest.ensure('neutron', f'/v2.0/{kind}s', kind, f'{kind}s', body)


def _open_default_group(rest: Rest) -> None:
    """Let ping and ssh in."""
    group = rest.find('neutron', '/v2.0/security-groups', 'security_groups', name='default')
    if not group:
        return
    for wanted in (
        {'protocol': 'icmp'},
        {'protocol': 'tcp', 'port_range_min': 22, 'port_range_max': 22},
    ):
        rule = {**wanted, 'direction': 'ingress', 'ethertype': 'IPv4'}
        if any(rule.items() <= existing.items() for existing in group['security_group_rules']):
            continue
        body = {'security_group_rule': {**rule, 'security_group_id': group['id']}}
        rest.post('neutron', '/v2.0/security-group-rules', body)
