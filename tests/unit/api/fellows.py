"""Glance and Neutron in memory, behind the adapters that our clients use."""

import json
import re
import uuid
from typing import Any

import requests

Json = dict[str, Any]


class FakeAdapter:
    """What keystoneauth's adapter is to us: one method that sends a request."""

    service_type = 'fake'

    def __init__(self, service: Any) -> None:
        self._service = service
        self.endpoint_override: str | None = None

    def request(self, path: str, method: str, **kwargs: Any) -> requests.Response:
        status, body = self._service.answer(method, path, **kwargs)
        response = requests.Response()
        response.status_code = status
        response._content = json.dumps(body).encode() if body is not None else b''
        return response


class FakeGlance:
    def __init__(self) -> None:
        self.images: dict[str, Json] = {}

    def add(self, **values: Any) -> str:
        image = {
            'id': str(uuid.uuid4()),
            'name': 'cirros',
            'status': 'active',
            'visibility': 'public',
            'size': 1024,
            'min_disk': 0,
            'min_ram': 0,
            'disk_format': 'qcow2',
            'container_format': 'bare',
            'created_at': '2026-01-02T03:04:05Z',
            'hw_disk_bus': 'virtio',
            **values,
        }
        self.images[image['id']] = image
        return image['id']

    def answer(self, method: str, path: str, **_kwargs: Any) -> tuple[int, Json | None]:
        found = self.images.get(path.rpartition('/')[2])
        return (404, None) if found is None else (200, found)


class FakeNeutron:
    """Filters exactly as Neutron does where our clients filter; counts requests."""

    def __init__(self) -> None:
        self.resources: dict[str, list[Json]] = {
            'networks': [],
            'ports': [],
            'subnets': [],
            'floatingips': [],
            'security-groups': [],
        }
        self.port_quota = -1
        self.topology = True
        self.page_size: int | None = None
        self.fail: tuple[int, Json] | None = None
        self.requests: list[tuple[str, str]] = []

    def add(self, resource: str, **values: Any) -> Json:
        made = {'id': str(uuid.uuid4()), **values}
        self.resources[resource].append(made)
        return made

    def add_network(self, project: str = 'demo', **values: Any) -> Json:
        subnet = self.add(
            'subnets',
            cidr='10.0.0.0/24',
            ip_version=4,
            gateway_ip='10.0.0.1',
            enable_dhcp=True,
            dns_nameservers=['8.8.8.8'],
            host_routes=[{'destination': '10.9.0.0/16', 'nexthop': '10.0.0.254'}],
        )
        values = {'name': 'private', 'shared': False, 'mtu': 1450} | values
        return self.add(
            'networks',
            **{
                'subnets': [subnet['id']],
                'tenant_id': project,
                'admin_state_up': True,
                **values,
            },
        )

    def add_port(self, network: Json, address: str = '10.0.0.5', **values: Any) -> Json:
        ips = [{'ip_address': address, 'subnet_id': subnet} for subnet in network['subnets']]
        values = {'device_id': '', 'tenant_id': 'demo', 'fixed_ips': ips} | values
        return self.add(
            'ports', network_id=network['id'], mac_address='fa:16:3e:00:00:01', **values
        )

    def answer(self, method: str, path: str, **kwargs: Any) -> tuple[int, Json | None]:
        self.requests.append((method, path))
        if self.fail is not None:
            return self.fail
        _, _, resource, *rest = path.split('/')
        if resource == 'quotas':
            return 200, {'quota': {'port': self.port_quota}}
        if resource == 'auto-allocated-topology':
            found = {'auto_allocated_topology': {'id': 'dry-run=pass'}}
            return (200, found) if self.topology else (409, None)
        if method == 'GET' and not rest:
            return 200, self._list(resource, kwargs.get('params') or {})
        return self._one(method, resource, rest, kwargs.get('json') or {})

    def _list(self, resource: str, params: Json) -> Json:
        key = resource.replace('-', '_')
        filters = {k: v for k, v in params.items() if k not in ('fields', 'marker', 'limit')}
        found = [item for item in self.resources[resource] if self._matches(item, filters)]
        if 'marker' in params:
            ids = [item['id'] for item in found]
            found = found[ids.index(params['marker']) + 1 :]
        body: Json = {key: found}
        if self.page_size and len(found) > self.page_size:
            body = {key: found[: self.page_size], f'{key}_links': [{'rel': 'next', 'href': 'x'}]}
        return body

    @staticmethod
    def _matches(item: Json, filters: Json) -> bool:
        for name, wanted in filters.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            if name == 'fixed_ips':
                addresses = {f'ip_address={ip["ip_address"]}' for ip in item['fixed_ips']}
                if not addresses & set(values):
                    return False
            elif item.get(name) not in values:
                return False
        return True

    def _one(
        self, method: str, resource: str, rest: list[str], body: Json
    ) -> tuple[int, Json | None]:
        singular = re.sub('s$', '', resource)
        if method == 'POST':
            if resource in body:
                return 201, {resource: [self.add(resource, **one) for one in body[resource]]}
            return 201, {singular: self.add(resource, **body[singular])}
        item = next((i for i in self.resources[resource] if i['id'] == rest[0]), None)
        if item is None:
            return 404, None
        if method == 'DELETE':
            self.resources[resource].remove(item)
            return 204, None
        item.update(body.get(singular, {}))
        return 200, {singular: item}
