"""Resource providers: inventories, traits, aggregates, the tree."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import requests

from kilonova.common import exception
from kilonova.common.clients import placement_http as http


class ProviderNotFound(exception.NotFound):
    msg = 'Placement has no resource provider %(uuid)s.'


GENERATION = 'resource_provider_generation'


class ProviderNameTaken(exception.Conflict):
    """``other`` in ``kwargs`` is the uuid of the provider that has the name."""

    msg = 'Placement has a resource provider named %(name)s with another uuid: %(other)s.'


class ProviderInUse(exception.Conflict):
    """Allocations or child providers keep a provider (or an inventory) from being removed."""

    msg = 'Resource provider %(uuid)s is in use: %(reason)s'


class Provider(msgspec.Struct, kw_only=True):
    uuid: str
    name: str
    generation: int
    parent_provider_uuid: str | None = None
    root_provider_uuid: str | None = None


class _Providers(msgspec.Struct):
    resource_providers: list[Provider]


class Providers(http.Http):
    """A ``generation`` argument saves a GET; when it is old the current one is read.

    Mind that each claim raises the generation of the providers it touches.
    """

    _known_names: set[str]

    # -- providers

    def get_provider(self, uuid: str) -> Provider:
        """Raises ProviderNotFound."""
        path = f'/resource_providers/{uuid}'
        return self._decode(self._get(uuid, path), Provider)

    def find_provider(self, name: str) -> Provider | None:
        """Return the provider of that name."""
        found = self._list({'name': name})
        return found[0] if found else None

    def find_providers(self, query: dict[str, str]) -> list[Provider]:
        """Return those that match placement's own query parameters.  Raises PlacementError."""
        return self._list(query)

    def get_tree(self, uuid: str) -> list[Provider]:
        """Return the provider with all others of its tree; empty when there is none."""
        return self._list({'in_tree': uuid})

    def ensure_provider(self, uuid: str, name: str, parent: str | None = None) -> Provider:
        """Create the provider, or give an existing one this name and parent.

        Raises ProviderNameTaken.
        """
        try:
            found = self.get_provider(uuid)
        except ProviderNotFound:
            return self._create(uuid, name, parent)
        if found.name == name and (parent is None or found.parent_provider_uuid == parent):
            return found
        body = {'name': name} | ({'parent_provider_uuid': parent} if parent else {})
        return self._write('PUT', f'/resource_providers/{uuid}', uuid, name, body)

    def delete_provider(self, uuid: str) -> bool:
        """Remove it with its inventories and traits; false when it was gone.  Raises ProviderInUse."""
        path = f'/resource_providers/{uuid}'
        response = self._send('DELETE', path)
        if response.status_code == 404:
            return False
        if response.status_code == 409:
            raise ProviderInUse(uuid=uuid, reason=http.refusal_of(response).detail)
        self._need(response, 'DELETE', path, 204)
        return True

    # -- inventories and traits

    def get_inventories(self, uuid: str) -> dict[str, dict[str, Any]]:
        """Raises ProviderNotFound."""
        found = self._get(uuid, f'/resource_providers/{uuid}/inventories')
        inventories: dict[str, dict[str, Any]] = self._part(
            found, 'inventories', dict[str, dict[str, Any]]
        )
        return inventories

    def set_inventories(
        self, uuid: str, inventories: dict[str, dict[str, Any]], generation: int | None = None
    ) -> int:
        """Replace all inventories; returns the new generation.

        Raises ProviderNotFound, ProviderInUse (something allocated would lose its
        inventory), ConcurrentUpdate.
        """
        self._ensure_names('/resource_classes', inventories)
        return self._put(uuid, 'inventories', lambda: inventories, generation)

    def get_traits(self, uuid: str) -> set[str]:
        """Raises ProviderNotFound."""
        found = self._get(uuid, f'/resource_providers/{uuid}/traits')
        return set(self._part(found, 'traits', list[str]))

    def set_traits(self, uuid: str, traits: Iterable[str], generation: int | None = None) -> int:
        """Replace all traits, creating CUSTOM_ ones; returns the new generation.

        Raises ProviderNotFound, ConcurrentUpdate.
        """
        names = sorted(set(traits))
        self._ensure_names('/traits', names)
        return self._put(uuid, 'traits', lambda: names, generation)

    def change_traits(self, uuid: str, add: Iterable[str] = (), remove: Iterable[str] = ()) -> bool:
        """Add and remove single traits; false when nothing had to be changed."""
        add, remove = set(add), set(remove)
        self._ensure_names('/traits', add)
        return self._edit(uuid, 'traits', lambda now: (now | add) - remove)

    # -- aggregates

    def get_aggregates(self, uuid: str) -> set[str]:
        """Raises ProviderNotFound."""
        found = self._get(uuid, f'/resource_providers/{uuid}/aggregates')
        return set(self._part(found, 'aggregates', list[str]))

    def add_aggregate(self, uuid: str, aggregate: str) -> bool:
        """Put a provider into an aggregate; false when it was in it.  Raises ProviderNotFound."""
        return self._edit(uuid, 'aggregates', lambda now: now | {aggregate})

    def remove_aggregate(self, uuid: str, aggregate: str) -> bool:
        """Take a provider out; false when it was not in it.  Raises ProviderNotFound."""
        return self._edit(uuid, 'aggregates', lambda now: now - {aggregate})

    # -- how

    def _get(self, uuid: str, path: str) -> requests.Response:
        response = self._send('GET', path)
        if response.status_code == 404:
            raise ProviderNotFound(uuid=uuid)
        return self._need(response, 'GET', path)

    def _list(self, query: dict[str, str]) -> list[Provider]:
        path = '/resource_providers'
        response = self._need(self._send('GET', path, params=query), 'GET', path)
        return self._decode(response, _Providers).resource_providers

    def _create(self, uuid: str, name: str, parent: str | None) -> Provider:
        body = {'uuid': uuid, 'name': name, 'parent_provider_uuid': parent}
        return self._write('POST', '/resource_providers', uuid, name, body)

    def _write(
        self, method: str, path: str, uuid: str, name: str, body: dict[str, Any]
    ) -> Provider:
        response = self._send(method, path, json=body)
        if response.status_code == 409:
            other = self.find_provider(name)
            if other is None or other.uuid == uuid:  # another worker was quicker with the same
                return self.get_provider(uuid)
            raise ProviderNameTaken(name=name, other=other.uuid)
        self._need(response, method, path)
        return self._decode(response, Provider)

    def _put(self, uuid: str, what: str, value: Callable[[], Any], generation: int | None) -> int:
        """Send with the generation that the caller knows, then with the current one."""
        path = f'/resource_providers/{uuid}/{what}'
        for _ in http.backoff():
            if generation is None:
                generation = self.get_provider(uuid).generation
            body = {what: value(), 'resource_provider_generation': generation}
            response = self._send('PUT', path, json=body)
            if response.status_code == 200:
                return int(self._part(response, GENERATION, int))
            refusal = self._refused(uuid, response, path)
            generation = None
        raise self._error(refusal, 'PUT', path)

    def _edit(self, uuid: str, what: str, change: Callable[[set[str]], set[str]]) -> bool:
        """Read, change, write back, until nobody came between."""
        path = f'/resource_providers/{uuid}/{what}'
        for _ in http.backoff():
            current = self._get(uuid, path)
            now = set(self._part(current, what, list[str]))
            wanted = change(now)
            if wanted == now:
                return False
            generation = self._part(current, GENERATION, int)
            body = {what: sorted(wanted), GENERATION: generation}
            response = self._send('PUT', path, json=body)
            if response.status_code == 200:
                return True
            refusal = self._refused(uuid, response, path)
        raise self._error(refusal, 'PUT', path)

    def _refused(self, uuid: str, response: requests.Response, path: str) -> http.Refusal:
        """Return the refusal when another try may do better, raise otherwise."""
        refusal = http.refusal_of(response)
        if response.status_code == 404:
            raise ProviderNotFound(uuid=uuid)
        if refusal.code == 'placement.inventory.inuse':
            raise ProviderInUse(uuid=uuid, reason=refusal.detail)
        if not refusal.concurrent:
            raise self._error(refusal, 'PUT', path)
        return refusal

    def _ensure_names(self, collection: str, names: Iterable[str]) -> None:
        """Create custom traits or resource classes that this process has not created yet."""
        for name in names:
            path = f'{collection}/{name}'
            if name.startswith('CUSTOM_') and path not in self._known_names:
                self._need(self._send('PUT', path), 'PUT', path, 201, 204)
                self._known_names.add(path)
