"""tempest.conf, and what it names in the cloud."""

import configparser
import importlib.util
import os
from pathlib import Path
from typing import Any

import openstack

FILE = 'tempest.conf'
ADMIN = 'kilonova-admin'
MULTIATTACH = 'multiattach'


def tempest_home() -> Path:
    found = importlib.util.find_spec('tempest')
    assert found and found.origin
    return Path(found.origin).parent


def write(work: Path, cloud: Path) -> None:
    os.environ['OS_CLIENT_CONFIG_FILE'] = str(cloud / 'etc/clouds.yaml')
    connection = openstack.connect(cloud=ADMIN)
    written = configparser.RawConfigParser()
    written.read_dict(_sections(connection, work))
    with (work / FILE).open('w') as file:
        os.fchmod(file.fileno(), 0o600)
        written.write(file)


def _sections(connection: Any, work: Path) -> dict[str, dict[str, object]]:
    auth = connection.config.auth
    public = _public_network(connection)
    return {
        'DEFAULT': {'log_file': work / 'tempest.log', 'debug': True},
        'oslo_concurrency': {'lock_path': work / 'locks'},
        'auth': {
            'admin_username': auth['username'],
            'admin_password': auth['password'],
            'admin_project_name': 'admin',
            'admin_domain_name': 'Default',
        },
        'identity': {'uri_v3': auth['auth_url'], 'auth_version': 'v3'},
        'service_available': {'swift': False, 'horizon': False},
        # There is nobody to log in to.
        'validation': {'run_validation': False},
        'network': {
            'public_network_id': public.id,
            'floating_network_name': public.name,
        },
        'network-feature-enabled': {'port_security': True, 'ipv6_subnet_attributes': True},
        'volume': {
            'min_microversion': '3.0',
            'max_microversion': 'latest',
            'storage_protocol': 'nfs',
            'volume_type_multiattach': _multiattach_type(connection),
        },
        'volume-feature-enabled': {'backup': False},
        'compute': _compute(connection),
        'compute-feature-enabled': FEATURES,
        'enforce_scope': {'nova': True},
    }


def _compute(connection: Any) -> dict[str, object]:
    hosts = {node.name for node in connection.compute.hypervisors()}
    return {
        'image_ref': _image(connection, 'kilonova-guest'),
        'image_ref_alt': _image(connection, 'kilonova-guest-alt'),
        'flavor_ref': connection.compute.find_flavor('m1.nano').id,
        'flavor_ref_alt': connection.compute.find_flavor('m1.micro').id,
        'min_compute_nodes': len(hosts),
        'hypervisor_type': 'fake',
        'min_microversion': '2.1',
        'max_microversion': 'latest',
        'build_timeout': 120,
    }


# What the fake driver and Kilonova can do; what is left out is as Tempest assumes it.
FEATURES = {
    'hostname_fqdn_sanitization': True,
    'change_password': True,
    'resize': True,
    'shelve_migrate': True,
    'live_migration': True,
    'live_migrate_back_and_forth': True,
    'block_migration_for_live_migration': True,
    'volume_backed_live_migration': True,
    'vnc_console': False,
    'spice_console': False,
    'serial_console': False,
    'stable_rescue': True,
    'personality': True,
    'swap_volume': True,
    'volume_multiattach': True,
    'attach_encrypted_volume': False,
    'nova_policy_roles': 'admin,manager,member,reader,service',
    'scheduler_enabled_filters': ','.join((
        'ComputeFilter', 'ComputeCapabilitiesFilter', 'ImagePropertiesFilter',
        'ServerGroupAntiAffinityFilter', 'ServerGroupAffinityFilter', 'SameHostFilter',
        'DifferentHostFilter',
    )),
}  # fmt: skip


def _image(connection: Any, name: str) -> str:
    """The id of an image of that name: the guest image, or an empty disk made now."""
    found = connection.image.find_image(name)
    if not found:
        found = connection.image.create_image(
            name, data=bytes(1 << 20), disk_format='raw', container_format='bare',
            visibility='public', wait=True,
        )  # fmt: skip
    return str(found.id)


def _public_network(connection: Any) -> Any:
    """The external network; Neutron may take it for networks that it is to make by itself."""
    found = connection.network.find_network('public', ignore_missing=False)
    if not found.is_default:
        connection.network.update_network(found, is_default=True)
    if not connection.network.find_subnet_pool('default'):
        connection.network.create_subnet_pool(
            name='default', is_default=True, is_shared=True, default_prefix_length=26,
            prefixes=['10.40.0.0/16'],
        )  # fmt: skip
    return found


def _multiattach_type(connection: Any) -> str:
    if not connection.block_storage.find_type(MULTIATTACH):
        connection.block_storage.create_type(
            name=MULTIATTACH, extra_specs={'multiattach': '<is> True'}
        )
    return MULTIATTACH
