"""Security groups and their rules as JSON, from Neutron's."""

from collections.abc import Iterable
from typing import Any

from kilonova.common.clients import neutron

Json = dict[str, Any]
Names = dict[str, Json]
"""What is shown of groups that rules refer to, by id."""

_ANYWHERE = {'IPv4': '0.0.0.0/0', 'IPv6': '::/0'}
_WITH_PORTS = ('tcp', 'udp')
ALL_PORTS = (1, 65535)


def groups(client: neutron.Neutron, found: Iterable[Json]) -> list[Json]:
    """Return groups with their rules, in order of project and name: one more request at most."""
    ordered = sorted(found, key=lambda one: (one['tenant_id'], one['name'], one['id']))
    names = _names(client, ordered)
    return [
        {
            'id': one['id'],
            'name': one['name'],
            'description': one.get('description'),
            'tenant_id': one['tenant_id'],
            'rules': [rule(each, names) for each in _incoming(one)],
        }
        for one in ordered
    ]


def _incoming(group: Json) -> list[Json]:
    """Return the rules that there were before Neutron: none is about what leaves a server."""
    return [one for one in group.get('security_group_rules', ()) if one['direction'] == 'ingress']


def _names(client: neutron.Neutron, shown: list[Json]) -> Names:
    names = {one['id']: _name(one) for one in shown}
    remote = {
        one['remote_group_id'] for group in shown for one in _incoming(group)
        if one.get('remote_group_id')
    }  # fmt: skip
    missing = sorted(remote - names.keys())
    fields = ['id', 'name', 'tenant_id']
    others = client.find('security-groups', id=missing, fields=fields)
    return names | {one['id']: _name(one) for one in others}


def _name(group: Json) -> Json:
    return {'name': group['name'], 'tenant_id': group['tenant_id']}


def rule(found: Json, names: Names) -> Json:
    """Return one rule; where Neutron leaves ports out, all ports are meant."""
    remote = found.get('remote_group_id')
    first, last = found.get('port_range_min'), found.get('port_range_max')
    protocol = found.get('protocol')
    if protocol is not None and first is None and last is None:
        first, last = ALL_PORTS if protocol.lower() in _WITH_PORTS else (-1, -1)
    cidr = found.get('remote_ip_prefix') or _ANYWHERE[found.get('ethertype') or 'IPv4']
    return {
        'id': found['id'],
        'parent_group_id': found['security_group_id'],
        'ip_protocol': protocol,
        'from_port': first,
        'to_port': last,
        'group': names.get(remote, {}) if remote else {},
        'ip_range': {} if remote else {'cidr': cidr},
    }
