"""Rules of security groups, passed on to Neutron (up to 2.35)."""

from typing import Any, NoReturn

import netaddr

from kilonova.api import params, security_group_view, security_groups
from kilonova.api.request import Request
from kilonova.api.security_groups import declare
from kilonova.common import exception
from kilonova.common.clients import neutron

PATH = '/os-security-group-rules'
RULES = 'security-group-rules'
Json = dict[str, Any]

BODY = params.obj(
    {
        'security_group_rule': params.obj(
            {
                'group_id': {'type': ['string', 'null'], 'format': 'uuid'},
                'parent_group_id': params.UUID,
                **{name: {} for name in ('to_port', 'from_port', 'ip_protocol', 'cidr')},
            },
            ['parent_group_id'],
            more=True,
        )
    },
    ['security_group_rule'],
    more=True,
)
_PROTOCOLS = ('tcp', 'udp', 'icmp')
_MOST_ICMP = 255
_ANYWHERE = '0.0.0.0/0'


@declare('POST', PATH, 'rule:create', body=BODY)
def create(request: Request, body: Json) -> Json:
    """Create a rule of a security group."""
    asked = body['security_group_rule']
    values = neutron_rule(asked)
    client = neutron.client(request.conf, request.context)
    group = security_groups.get(client, asked['parent_group_id'])
    names: security_group_view.Names = {}
    if asked.get('group_id'):
        remote = security_groups.get(client, asked['group_id'])
        names[remote['id']] = {'name': remote['name'], 'tenant_id': remote['tenant_id']}
    try:
        made = client.create(RULES, values)
    except exception.NeutronRefused as error:
        if error.kwargs.get('kind') == 'SecurityGroupRuleExists':
            raise exception.Invalid(f'This rule already exists in group {group["id"]}') from error
        raise
    return {'security_group_rule': security_group_view.rule(made, names)}


@declare('DELETE', PATH + '/{rule_id}', 'rule:delete', success=202)
def delete(request: Request, rule_id: str) -> None:
    """Delete a rule of a security group."""
    client = neutron.client(request.conf, request.context)
    client.delete(RULES, security_groups.checked(rule_id))


def neutron_rule(asked: Json) -> Json:
    """Translate a rule.  Raises Invalid that says what is wrong with it."""
    protocol, first, last = _ports(asked)
    values: Json = {
        'direction': 'ingress',
        'security_group_id': asked['parent_group_id'],
        'protocol': protocol,
        # Neutron leaves out what stands for any type or code.
        'port_range_min': None if first == -1 else first,
        'port_range_max': None if last == -1 else last,
        'ethertype': 'IPv4',
    }
    if asked.get('group_id'):
        return values | {'remote_group_id': asked['group_id']}
    network = _network(asked.get('cidr') or _ANYWHERE)
    return values | {'remote_ip_prefix': str(network), 'ethertype': f'IPv{network.version}'}


def _network(cidr: Any) -> netaddr.IPNetwork:
    try:
        if '/' in cidr:
            return netaddr.IPNetwork(cidr)
    except (netaddr.AddrFormatError, ValueError, TypeError):
        pass
    raise exception.Invalid(f'{cidr} is not a valid IP network.')


def _ports(asked: Json) -> tuple[str | None, int | None, int | None]:
    """Return protocol and port range; only a rule about another group may leave them out."""
    protocol, *ports = (_none(asked.get(name)) for name in ('ip_protocol', 'from_port', 'to_port'))
    if asked.get('group_id') and None in ports:
        if protocol is None:
            return None, None, None
        name = _protocol(protocol)
        return (name, -1, -1) if name == 'icmp' else (name, *security_group_view.ALL_PORTS)
    if protocol is None or None in ports:
        raise exception.Invalid('Not enough parameters to build a valid rule.')
    first, last = (_number(port) for port in ports)
    name = _protocol(protocol)
    _check_range(name, first, last)
    return name, first, last


def _none(value: Any) -> Any:
    return None if value == '' else value


def _protocol(value: Any) -> str:
    name = str(value).lower()
    if name not in _PROTOCOLS:
        raise exception.Invalid(f'Invalid IP protocol {value}.')
    return name


def _number(value: Any) -> int:
    try:
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise exception.InvalidInput(reason='To and From ports must be integers')


def _check_range(protocol: str, first: int, last: int) -> None:
    def refuse(reason: str) -> NoReturn:
        raise exception.Invalid(f'Invalid port range {first}:{last}. {reason}')

    if protocol == 'icmp':
        if not (-1 <= first <= _MOST_ICMP and -1 <= last <= _MOST_ICMP):
            refuse('For ICMP, the type:code must be valid')
        return
    if first > last:
        refuse('Former value cannot be greater than the later')
    lowest, highest = security_group_view.ALL_PORTS
    if first < lowest or last > highest:
        refuse(f'Valid {protocol.upper()} ports should be between {lowest}-{highest}')
