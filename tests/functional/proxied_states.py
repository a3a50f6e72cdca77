"""The states that examples of images, networks, security groups and interfaces presume."""

from typing import Any

from kilonova.api.versions import Version
from kilonova.tests.functional.proxied import rule
from kilonova.tests.functional.states import Prepare, Ready, World


def _image(world: World, _asked: Version) -> Ready:
    properties: dict[str, Any] = {'architecture': 'x86_64', 'auto_disk_config': 'True', 'kernel_id': 'nokernel',
                  'ramdisk_id': 'nokernel'}  # fmt: skip
    return Ready({'image_id': world.cloud.glance.add(**properties), 'key': 'auto_disk_config'})


def _floating(world: World, _asked: Version) -> Ready:
    neutron = world.cloud.neutron
    for one in list(neutron.things['floatingips']):
        if one != world.things.proxied.floating:
            del neutron.things['floatingips'][one]
    made = world.ask('POST', '/os-floating-ips', {'pool': 'public'}, version='2.35')['floating_ip']
    (ip,) = neutron.ports[world.things.port]['fixed_ips']
    words = {'address': made['ip'], 'fixed_address': ip['ip_address']}
    return Ready({'floating_ip_id': made['id']}, words)


def _floating_added(world: World, asked: Version) -> Ready:
    made = _floating(world, asked)
    body = {'addFloatingIp': {'address': made.words['address']}}
    world.ask('POST', f'/servers/{world.things.server}/action', body, version='2.43')
    return made


def _group(world: World, _asked: Version) -> Ready:
    """A group by the name that the examples have, and no other of that name."""
    groups = world.cloud.neutron.things['security-groups']
    for port in world.cloud.neutron.ports.values():
        port['security_groups'] = []
    for one in [one for one in groups.values() if one['name'] == 'test']:
        del groups[one['id']]
    made = world.cloud.neutron.add_group('test')
    return Ready({'group_id': made}, {'parent_group_id': made})


def _no_group(world: World, asked: Version) -> Ready:
    del world.cloud.neutron.things['security-groups'][_group(world, asked).path['group_id']]
    return Ready()


def _group_added(world: World, asked: Version) -> Ready:
    made = _group(world, asked)
    body = {'addSecurityGroup': {'name': 'test'}}
    world.ask('POST', f'/servers/{world.things.server}/action', body)
    return made


def _group_rule(world: World, asked: Version) -> Ready:
    made = _group(world, asked)
    body = {'security_group_rule': rule(made.path['group_id'])}
    answer = world.ask('POST', '/os-security-group-rules', body, version='2.35')
    return Ready({'rule_id': answer['security_group_rule']['id']})


def _interface(world: World, _asked: Version) -> Ready:
    uuid = world.server()
    (port,) = (one['id'] for one in world.cloud.neutron.ports.values() if one['device_id'] == uuid)
    return Ready({'server_id': uuid, 'port_id': port})


def _free_port(world: World, _asked: Version) -> Ready:
    port = world.cloud.neutron.make_port(network_id=world.things.network)
    return Ready({'server_id': world.server()}, {'port_id': port['id']})


def _free_address(world: World, _asked: Version) -> Ready:
    neutron = world.cloud.neutron
    subnet = neutron.things['networks'][world.things.network]['subnets'][0]
    number = 100 + int(world.name().rpartition('-')[2]) % 100
    address = neutron.things['subnets'][subnet]['cidr'].replace('.0/24', f'.{number}')
    words = {'net_id': world.things.network, 'ip_address': address}
    return Ready({'server_id': world.server()}, words)


def _on_a_network(world: World, _asked: Version) -> Ready:
    uuid = world.server()
    (port,) = (one for one in world.cloud.neutron.ports.values() if one['device_id'] == uuid)
    words = {'networkId': world.things.network, 'address': port['fixed_ips'][0]['ip_address']}
    return Ready({'server_id': uuid}, words)


def _network(_world: World, _asked: Version) -> Ready:
    return Ready()


PREPARE: dict[str, Prepare] = {
    'image': _image,
    'floating-ip': _floating,
    'floating-ip-added': _floating_added,
    'network': _network,
    'group': _group,
    'no-group': _no_group,
    'group-added': _group_added,
    'group-rule': _group_rule,
    'interface': _interface,
    'free-port': _free_port,
    'free-address': _free_address,
    'on-a-network': _on_a_network,
}
