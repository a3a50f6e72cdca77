"""Neutron, asked in few requests: what is needed is listed once, never port by port.

``client`` gives a ``Neutron`` that speaks as the user (with a context) or as the service.
Networks, ports, subnets are Neutron's own JSON objects; ``common.clients.vif`` makes
``VIF`` lists of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import requests
from keystoneauth1 import adapter as ks_adapter
from oslo_config import cfg
from oslo_utils import uuidutils

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.clients import keystone

Json = dict[str, Any]

# Ids in one query string: 40 of them are 1.8 KB, well below what web servers take in a URL.
BATCH = 40


def client(conf: cfg.ConfigOpts, context: ctx.RequestContext | None = None) -> 'Neutron':
    """Return a client that speaks as the user, or without a context as the service."""
    return Neutron(keystone.adapter(conf, 'neutron', context))


class Neutron:
    """One identity's view of Neutron."""

    def __init__(self, adapter: ks_adapter.Adapter) -> None:
        self._adapter = adapter

    # -- networks

    def list_networks(self, **filters: Any) -> list[Json]:
        """Return networks; a filter with a list of values matches any of them."""
        return self._list('networks', **filters)

    def usable_networks(self, project_id: str, only_up: bool = False) -> list[Json]:
        """Return the project's own networks, then the shared ones, each once."""
        more = {'admin_state_up': True} if only_up else {}
        own = self._list('networks', tenant_id=project_id, shared=False, **more)
        shared = self._list('networks', shared=True, **more)
        return list({network['id']: network for network in (*own, *shared)}.values())

    def show_network(self, network_id: str) -> Json:
        """Raises NetworkNotFound."""
        return self.show('networks', network_id, exception.NetworkNotFound(network_id=network_id))

    def list_subnets(self, **filters: Any) -> list[Json]:
        return self._list('subnets', **filters)

    def auto_allocated_network(self, project_id: str, dry_run: bool = False) -> str | None:
        """Return the id of the project's automatic network, made when there is none.

        ``dry_run`` only checks that it could be made.  Raises UnableToAutoAllocateNetwork.
        """
        path = f'/v2.0/auto-allocated-topology/{project_id}'
        query = {'fields': 'dry-run'} if dry_run else {}
        answer = self._request('GET', path, params=query)
        if answer.status_code != 200:
            raise exception.UnableToAutoAllocateNetwork(project_id=project_id)
        found: str | None = self._content(answer, 'auto_allocated_topology').get('id')
        return None if dry_run else found

    # -- ports

    def list_ports(self, **filters: Any) -> list[Json]:
        return self._list('ports', **filters)

    def ports_of(self, device_id: str) -> list[Json]:
        """Return the ports of one server."""
        return self._list('ports', device_id=device_id)

    def show_port(self, port_id: str) -> Json:
        """Raises PortNotFound."""
        return self.show('ports', port_id, exception.PortNotFound(port_id=port_id))

    def create_port(self, port: Json) -> Json:
        """Raises PortLimitExceeded, NoMoreFixedIps, FixedIpAlreadyInUse, NetworkNotFound."""
        answer = self._request('POST', '/v2.0/ports', json={'port': port})
        if answer.status_code != 201:
            raise _port_error(answer, port)
        created: Json = self._content(answer, 'port')
        return created

    def create_ports(self, ports: Sequence[Json]) -> list[Json]:
        """Create several ports in one request: all or none.  Raises as ``create_port``."""
        if len(ports) == 1:
            return [self.create_port(ports[0])]
        answer = self._request('POST', '/v2.0/ports', json={'ports': list(ports)})
        if answer.status_code != 201:
            raise _port_error(answer, ports[0])
        created: list[Json] = self._content(answer, 'ports', keystone.Jsons)
        return created

    def update_port(self, port_id: str, changes: Json) -> Json:
        """Raises PortNotFound, and as ``create_port``."""
        answer = self._request('PUT', f'/v2.0/ports/{port_id}', json={'port': changes})
        if answer.status_code == 404:
            raise exception.PortNotFound(port_id=port_id)
        if answer.status_code != 200:
            raise _port_error(answer, changes)
        updated: Json = self._content(answer, 'port')
        return updated

    def delete_port(self, port_id: str) -> bool:
        """Delete a port; false when it was gone already."""
        answer = self._request('DELETE', f'/v2.0/ports/{port_id}')
        if answer.status_code not in (204, 404):
            raise _refused(answer)
        return answer.status_code == 204

    # -- bindings: one active, others for hosts to which a server may move

    def has_extension(self, alias: str) -> bool:
        """Tell whether Neutron has an extension."""
        return any(one.get('alias') == alias for one in self._list('extensions', fields='alias'))

    def add_binding(self, port: Json, host: str, profile: Json) -> Json:
        """Bind a port to another host, too, inactively; returns the binding, also if it was there.

        Raises PortNotFound, PortBindingFailed.
        """
        path = f'/v2.0/ports/{port["id"]}/bindings'
        wanted: Json = {'host': host, 'vnic_type': port.get('binding:vnic_type', 'normal')}
        if profile:
            wanted['profile'] = profile
        answer = self._request('POST', path, json={'binding': wanted})
        if answer.status_code == 409:
            answer = self._request('GET', f'{path}/{host}')
        if answer.status_code not in (200, 201):
            raise _refused(answer)
        binding: Json = self._content(answer, 'binding')
        if binding.get('vif_type') == 'binding_failed':
            raise exception.PortBindingFailed(port_id=port['id'])
        return binding

    def activate_binding(self, port_id: str, host: str) -> None:
        """Make a binding the active one; no error when it is."""
        answer = self._request('PUT', f'/v2.0/ports/{port_id}/bindings/{host}/activate')
        if answer.status_code not in (200, 409):
            raise _refused(answer)

    def delete_binding(self, port_id: str, host: str) -> None:
        """Remove a binding; no error when it is gone."""
        answer = self._request('DELETE', f'/v2.0/ports/{port_id}/bindings/{host}')
        if answer.status_code not in (204, 404):
            raise _refused(answer)

    def free_ports(self, project_id: str) -> int | None:
        """Return how many more ports the project may have; None: no limit that we may know."""
        answer = self._request('GET', f'/v2.0/quotas/{project_id}')
        if answer.status_code in (403, 404):
            # Not everybody may read quotas, and not every plugin has them; Neutron counts itself.
            return None
        if answer.status_code != 200:
            raise _refused(answer)
        limit = int(self._content(answer, 'quota').get('port', -1))
        if limit < 0:
            return None
        return max(0, limit - len(self._list('ports', tenant_id=project_id, fields='id')))

    def port_behind_provider(self, provider_id: str, address: str) -> Json:
        """Return the one port with an address on the networks of a metadata provider.

        Raises NotFound when there is none, or more than one.
        """
        subnets = self._list(
            'subnets', advanced_service_providers=[provider_id], fields=['network_id']
        )
        ports = self._list(
            'ports',
            network_id=sorted({subnet['network_id'] for subnet in subnets}),
            fixed_ips=f'ip_address={address}',
        )
        if len(ports) != 1:
            raise exception.NotFound()
        return ports[0]

    # -- addresses and groups

    def floating_ips_of(self, port_ids: Iterable[str]) -> list[Json]:
        """Return the floating IPs of ports; none where Neutron has no such extension."""
        return self._list('floatingips', missing_ok=True, port_id=sorted(set(port_ids)))

    def security_groups(self, project_id: str, names: Iterable[str]) -> list[Json]:
        """Return groups (id, name) in the order asked for, each found by id or else by name.

        Raises SecurityGroupNotFound, SecurityGroupAmbiguous.
        """
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return []
        fields = ['id', 'name']
        own = self._list('security-groups', tenant_id=project_id, fields=fields)
        known = {group['id']: group for group in own}
        # Groups that another project shares are found by id alone.
        foreign = [name for name in wanted if uuidutils.is_uuid_like(name) and name not in known]
        if foreign:
            shared = self._list('security-groups', id=foreign, fields=fields)
            known.update({group['id']: group for group in shared})
        return [known.get(name) or _named(own, name) for name in wanted]

    # -- resources that the API passes on

    def find(self, resource: str, **filters: Any) -> list[Json]:
        """Return a collection; a filter with a list of values matches any of them."""
        return self._list(resource, **filters)

    def show(self, resource: str, resource_id: str, missing: exception.NotFound) -> Json:
        """Return one thing.  Raises ``missing``, also for what can be no id."""
        if not uuidutils.is_uuid_like(resource_id):  # it becomes part of a URL
            raise missing
        answer = self._request('GET', f'/v2.0/{resource}/{resource_id}')
        if answer.status_code == 404:
            raise missing
        if answer.status_code != 200:
            raise _refused(answer)
        shown: Json = self._content(answer, _singular(resource))
        return shown

    def create(self, resource: str, values: Json) -> Json:
        """Raises NeutronRefused, Forbidden (also for too many), NotFound (what it refers to)."""
        one = _singular(resource)
        answer = self._request('POST', f'/v2.0/{resource}', json={one: values})
        if answer.status_code != 201:
            raise _passed_on(answer)
        created: Json = self._content(answer, one)
        return created

    def update(self, resource: str, resource_id: str, changes: Json) -> Json:
        """Raises as ``create``."""
        one = _singular(resource)
        answer = self._request('PUT', f'/v2.0/{resource}/{resource_id}', json={one: changes})
        if answer.status_code != 200:
            raise _passed_on(answer)
        updated: Json = self._content(answer, one)
        return updated

    def delete(self, resource: str, resource_id: str) -> None:
        """Raises as ``create``."""
        answer = self._request('DELETE', f'/v2.0/{resource}/{resource_id}')
        if answer.status_code != 204:
            raise _passed_on(answer)

    # -- how it is asked

    def _request(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return keystone.request(self._adapter, method, path, **kwargs)

    def _content(self, answer: requests.Response, key: str, kind: Any = Json) -> Any:
        return keystone.content(self._adapter, answer, key, kind)

    def _list(self, resource: str, missing_ok: bool = False, **filters: Any) -> list[Json]:
        found: list[Json] = []
        for query in _batches(filters):
            found += self._pages(resource, query, missing_ok)
        return found

    def _pages(self, resource: str, query: Json, missing_ok: bool) -> list[Json]:
        key, found = resource.replace('-', '_'), []
        while True:
            answer = self._request('GET', f'/v2.0/{resource}', params=query)
            if answer.status_code == 404 and missing_ok:
                return []
            if answer.status_code != 200:
                raise _refused(answer)
            page = self._content(answer, key, keystone.Jsons)
            found += page
            links = answer.json().get(f'{key}_links', [])
            if not page or not any(link.get('rel') == 'next' for link in links):
                return found
            # Neutron pages when its pagination_max_limit says so.
            query = {**query, 'marker': page[-1]['id']}


def _singular(resource: str) -> str:
    return resource[:-1].replace('-', '_')


def _batches(filters: Json) -> Iterator[Json]:
    """Split a query whose list of values is long; an empty list matches nothing."""
    long = next((name for name, value in filters.items() if _is_ids(name, value)), None)
    if long is None:
        yield filters
        return
    values = filters[long]
    for start in range(0, len(values), BATCH):
        yield {**filters, long: values[start : start + BATCH]}


def _is_ids(name: str, value: Any) -> bool:
    return isinstance(value, list) and name != 'fields'


def _named(groups: list[Json], name: str) -> Json:
    found = [group for group in groups if group.get('name') == name]
    if not found:
        raise exception.SecurityGroupNotFound(security_group_id=name)
    if len(found) > 1:
        raise exception.SecurityGroupAmbiguous(security_group=name)
    return found[0]


def _fault(answer: requests.Response) -> tuple[str, str]:
    """Return the type and the message of a Neutron error."""
    try:
        error = answer.json()['NeutronError']
        return error['type'], error['message']
    except (ValueError, KeyError, TypeError):
        return '', answer.text[:200]


def _refused(answer: requests.Response) -> exception.KilonovaError:
    if answer.status_code == 401:
        return exception.FellowServiceError(service='network', reason='HTTP 401')
    kind, message = _fault(answer)
    reason = message or f'HTTP {answer.status_code}'
    if answer.status_code == 403:
        return exception.Forbidden(reason)
    return exception.NeutronRefused(reason=reason, kind=kind)


def _passed_on(answer: requests.Response) -> exception.KilonovaError:
    """Return what a user is told of a request that was theirs."""
    kind, message = _fault(answer)
    if answer.status_code == 404:
        return exception.NotFound(message or 'Neutron does not have it.')
    if kind == 'OverQuota':
        return exception.Forbidden(message)
    return _refused(answer)


def _port_error(answer: requests.Response, port: Json) -> exception.KilonovaError:
    kind, message = _fault(answer)
    network = port.get('network_id', '')
    if kind == 'OverQuota':
        return exception.PortLimitExceeded()
    if kind in ('IpAddressGenerationFailure', 'ExternalIpAddressExhausted'):
        return exception.NoMoreFixedIps(network_id=network)
    if kind in ('IpAddressInUse', 'IpAddressAlreadyAllocated'):
        return exception.FixedIpAlreadyInUse(message)
    if kind == 'NetworkNotFound':
        return exception.NetworkNotFound(network_id=network)
    return _refused(answer)
