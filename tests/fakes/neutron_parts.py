"""Floating IPs and security groups of the fake network service."""

import ipaddress
import uuid
from typing import TYPE_CHECKING, Any

from kilonova.tests.fakes.server import Answer, Fault, route

if TYPE_CHECKING:
    from kilonova.tests.fakes.neutron import FakeNeutron

Json = dict[str, Any]


class FloatingPart:
    """Addresses of external networks; a port takes one when it has the fixed address."""

    floating_quota = 50

    @route('POST', '/v2.0/floatingips')
    def create_floating(self: 'FakeNeutron', body: Any, **_: Any) -> Answer:
        values = body['floatingip']
        network = self.get('networks', values['floating_network_id'])
        if not network['router:external']:
            raise Fault(400, 'Network is not a valid external network', 'BadRequest')
        if len(self.things['floatingips']) >= self.floating_quota:
            raise Fault(409, "Quota exceeded for resources: ['floatingip']", 'OverQuota')
        made: Json = {
            'id': str(uuid.uuid4()),
            'floating_network_id': network['id'],
            'floating_ip_address': self._free_floating(network),
            'fixed_ip_address': None,
            'port_id': None,
            'tenant_id': self.caller.project or values['tenant_id'],
            'status': 'DOWN',
        }
        self.things['floatingips'][made['id']] = made
        return 201, {'floatingip': made}

    def _free_floating(self: 'FakeNeutron', network: Json) -> str:  # type: ignore[misc]
        cidr = self.things['subnets'][network['subnets'][0]]['cidr']
        used = {one['floating_ip_address'] for one in self.things['floatingips'].values()}
        for address in list(ipaddress.ip_network(cidr).hosts())[9:]:
            if str(address) not in used:
                return str(address)
        raise Fault(409, 'No more IP addresses available', 'IpAddressGenerationFailure')

    @route('PUT', '/v2.0/floatingips/{floating_id}')
    def update_floating(self: 'FakeNeutron', floating_id: str, body: Any, **_: Any) -> Answer:
        floating = self.get('floatingips', floating_id)
        changes = body['floatingip']
        port_id = changes['port_id']
        if port_id is None:
            floating.update(port_id=None, fixed_ip_address=None, status='DOWN')
            return 200, {'floatingip': floating}
        addresses = [ip['ip_address'] for ip in self.get('ports', port_id)['fixed_ips']]
        fixed = changes.get('fixed_ip_address') or addresses[0]
        if fixed not in addresses:
            raise Fault(400, f'Port {port_id} does not have fixed ip {fixed}', 'BadRequest')
        floating.update(port_id=port_id, fixed_ip_address=fixed, status='ACTIVE')
        return 200, {'floatingip': floating}

    @route('DELETE', '/v2.0/floatingips/{floating_id}')
    def delete_floating(self: 'FakeNeutron', floating_id: str, **_: Any) -> Answer:
        del self.things['floatingips'][self.get('floatingips', floating_id)['id']]
        return 204, None


class GroupPart:
    """Security groups with their rules; each group lets everything out."""

    group_quota = 10

    def add_group(  # type: ignore[misc]
        self: 'FakeNeutron', name: str, project: str = 'demo', description: str = ''
    ) -> str:
        """Add a security group; returns its id."""
        group = str(uuid.uuid4())
        self.things['security-groups'][group] = {
            'id': group,
            'name': name,
            'tenant_id': project,
            'project_id': project,
            'description': description,
            'security_group_rules': [
                _rule(security_group_id=group, direction='egress', ethertype='IPv4')
            ],
        }
        return group

    @route('POST', '/v2.0/security-groups')
    def create_group(self: 'FakeNeutron', body: Any, **_: Any) -> Answer:
        values, project = body['security_group'], str(self.caller.project)
        groups = self.things['security-groups']
        own = [one for one in groups.values() if one['tenant_id'] == project]
        if values['name'] == 'default' and any(one['name'] == 'default' for one in own):
            raise Fault(
                409, 'Default security group already exists.', 'SecurityGroupDefaultAlreadyExists'
            )
        if len(own) >= self.group_quota:
            raise Fault(409, "Quota exceeded for resources: ['security_group']", 'OverQuota')
        made = self.add_group(values['name'], project, values.get('description', ''))
        return 201, {'security_group': groups[made]}

    @route('PUT', '/v2.0/security-groups/{group_id}')
    def update_group(self: 'FakeNeutron', group_id: str, body: Any, **_: Any) -> Answer:
        group = self.get('security-groups', group_id)
        group.update(body['security_group'])
        return 200, {'security_group': group}

    @route('DELETE', '/v2.0/security-groups/{group_id}')
    def delete_group(self: 'FakeNeutron', group_id: str, **_: Any) -> Answer:
        self.get('security-groups', group_id)
        if any(group_id in port['security_groups'] for port in self.ports.values()):
            raise Fault(409, f'Security Group {group_id} in use.', 'SecurityGroupInUse')
        del self.things['security-groups'][group_id]
        return 204, None

    @route('POST', '/v2.0/security-group-rules')
    def create_rule(self: 'FakeNeutron', body: Any, **_: Any) -> Answer:
        values = body['security_group_rule']
        group = self.get('security-groups', values['security_group_id'])
        made = _rule(**values)
        same = [one for one in group['security_group_rules'] if one | {'id': made['id']} == made]
        if same:
            raise Fault(409, 'Security group rule already exists.', 'SecurityGroupRuleExists')
        group['security_group_rules'].append(made)
        return 201, {'security_group_rule': made}

    @route('DELETE', '/v2.0/security-group-rules/{rule_id}')
    def delete_rule(self: 'FakeNeutron', rule_id: str, **_: Any) -> Answer:
        for group in self.things['security-groups'].values():
            for rule in group['security_group_rules']:
                if rule['id'] == rule_id and self.caller.sees(group['tenant_id']):
                    group['security_group_rules'].remove(rule)
                    return 204, None
        raise Fault(404, f'Security group rule {rule_id} does not exist', 'NotFound')


def _rule(**values: Any) -> Json:
    return {
        'id': str(uuid.uuid4()),
        'protocol': None,
        'port_range_min': None,
        'port_range_max': None,
        'remote_ip_prefix': None,
        'remote_group_id': None,
        **values,
    }
