"""Valid requests for what is passed on to Neutron and Glance."""

import dataclasses
from typing import Any

from kilonova.api.operation import Operation
from kilonova.tests.functional.cloud import Cloud

Key = tuple[str, str, str | None]
_ACTION = '/servers/{server_id}/action'

OF_THEIR_OWN = {
    'os_compute_api:os-floating-ips:create',
    'os_compute_api:os-security-groups:create',
}
"""Rules of what a member of any project makes for that project."""


@dataclasses.dataclass
class Proxied:
    """A floating IP that leads to a port, and a group with a rule, all of one project."""

    floating: str
    address: str
    group: str
    rule: str
    port: str

    @classmethod
    def make(cls, cloud: Cloud, port: str) -> 'Proxied':
        cloud.neutron.add_network('public', 'admin', **{'router:external': True})
        body: Any = {'pool': 'public'}
        floating = cloud.call('POST', '/os-floating-ips', body, version='2.35').json['floating_ip']
        cloud.neutron.things['floatingips'][floating['id']]['port_id'] = port
        group = cloud.neutron.add_group('known')
        body = {'security_group_rule': rule(group)}
        made = cloud.call('POST', '/os-security-group-rules', body, version='2.35')
        rule_id = made.json['security_group_rule']['id']
        return cls(floating['id'], floating['ip'], group, rule_id, port)

    def arguments(self) -> dict[str, str]:
        return {
            'floating_ip_id': self.floating,
            'group_id': self.group,
            'rule_id': self.rule,
            'node_id': self.group,
        }

    def bodies(self) -> dict[Key, Any]:
        group = {'security_group': {'name': 'known', 'description': 'text'}}
        meta = {'metadata': {'known': '1'}}
        # The wrong address: what would be accepted changes the server's addresses.
        address = {'address': '192.0.2.99'}
        return {
            ('POST', '/images/{image_id}/metadata', None): meta,
            ('PUT', '/images/{image_id}/metadata', None): meta,
            ('PUT', '/images/{image_id}/metadata/{key}', None): {'meta': {'known': '1'}},
            ('POST', '/os-floating-ips', None): {'pool': 'public'},
            ('POST', '/os-security-groups', None): group,
            ('PUT', '/os-security-groups/{group_id}', None): group,
            ('POST', '/os-security-group-rules', None): {'security_group_rule': rule(self.group)},
            ('POST', _ACTION, 'addFloatingIp'): {'addFloatingIp': address},
            ('POST', _ACTION, 'removeFloatingIp'): {'removeFloatingIp': address},
            ('POST', '/servers/{server_id}/os-interface', None): {
                'interfaceAttachment': {'port_id': self.port, 'tag': 'x'}
            },
            ('POST', _ACTION, 'addFixedIp'): {'addFixedIp': {'networkId': self.group}},
            ('POST', _ACTION, 'removeFixedIp'): {'removeFixedIp': address},
            ('POST', _ACTION, 'injectNetworkInfo'): {'injectNetworkInfo': None},
            ('POST', _ACTION, 'addSecurityGroup'): {'addSecurityGroup': {'name': 'nope'}},
            ('POST', _ACTION, 'removeSecurityGroup'): {'removeSecurityGroup': {'name': 'nope'}},
        }


def rule(group: str) -> dict[str, Any]:
    return {
        'parent_group_id': group,
        'ip_protocol': 'tcp',
        'from_port': 22,
        'to_port': 22,
        'cidr': '10.0.0.0/24',
        'group_id': None,
    }


def is_elsewhere(one: Operation) -> bool:
    """Tell whether a thing of another project is not there, rather than forbidden."""
    return any(word in one.path for word in ('{floating_ip_id}', '{group_id}', 'group-rules'))
