"""Placement: what may go where, and what is taken.

``Placement(keystone.adapter(conf, 'placement'))`` is the whole client; providers are in
``placement_providers``.  Errors: ClaimRefused, ConcurrentUpdate, FellowServiceError, and
those of the providers.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from keystoneauth1 import adapter as ks_adapter

from kilonova.common import exception
from kilonova.common.clients import placement_http as http
from kilonova.common.clients import placement_providers as providers
from kilonova.common.clients.placement_http import ConcurrentUpdate, PlacementError
from kilonova.common.clients.placement_providers import (
    Provider,
    ProviderInUse,
    ProviderNameTaken,
    ProviderNotFound,
)

__all__ = [
    'Allocations',
    'Candidates',
    'ClaimRefused',
    'ConcurrentUpdate',
    'Placement',
    'PlacementError',
    'Provider',
    'ProviderInUse',
    'ProviderNameTaken',
    'ProviderNotFound',
]

Resources = dict[str, dict[str, Any]]
"""Provider uuid to ``{'resources': {class: amount}}``."""


class ClaimRefused(exception.Conflict):
    """A provider has not (any more) what is asked for, or is gone; nothing is held."""

    msg = 'Placement refused the claim for %(consumer)s: %(reason)s'


class Allocations(msgspec.Struct, kw_only=True):
    """What a consumer holds; ``consumer_generation`` is None when it holds nothing."""

    allocations: Resources = {}
    project_id: str = ''
    user_id: str = ''
    consumer_generation: int | None = None


class AllocationRequest(msgspec.Struct):
    """One way to serve a request; ``mappings`` says which provider serves which group."""

    allocations: Resources
    mappings: dict[str, list[str]] = {}


class Usage(msgspec.Struct):
    capacity: int
    used: int


class ProviderSummary(msgspec.Struct):
    resources: dict[str, Usage]
    traits: list[str] = []
    parent_provider_uuid: str | None = None
    root_provider_uuid: str | None = None


class Candidates(msgspec.Struct):
    allocation_requests: list[AllocationRequest]
    provider_summaries: dict[str, ProviderSummary]


class Placement(providers.Providers):
    """The client.  One object serves all threads; the session keeps its connections open."""

    def __init__(
        self,
        adapter: ks_adapter.Adapter,
        on_request: Callable[[str, str], None] | None = None,
    ) -> None:
        super().__init__(adapter, on_request)
        self._known_names = set()

    def get_candidates(self, query: str) -> Candidates:
        """Return ways to serve a request; ``query`` is the encoded query string.

        A trait or resource class that placement does not know is one that no host has:
        no candidates.  Raises PlacementError when the query is malformed.
        """
        path = f'/allocation_candidates?{query}'
        response = self._send('GET', path)
        if response.status_code == 400 and 'No such' in http.refusal_of(response).detail:
            return Candidates([], {})
        return self._decode(self._need(response, 'GET', path), Candidates)

    # -- allocations

    def get_allocations(self, consumer: str) -> Allocations:
        """Return what a consumer holds."""
        path = f'/allocations/{consumer}'
        response = self._need(self._send('GET', path), 'GET', path)
        found = self._decode(response, Allocations)
        for held in found.allocations.values():  # as ``claim`` takes it
            held.pop('generation', None)
        return found

    def claim(self, consumer: str, allocations: Resources, project_id: str, user_id: str) -> int:
        """Take resources, in place of whatever the consumer holds; returns its generation.

        A new consumer costs one request.  Hand the generation to ``release``.
        Raises ClaimRefused, ConcurrentUpdate: then nothing has changed.
        """
        generation: int | None = None
        last = http.Refusal(409, http.CONCURRENT_UPDATE, '')
        for _ in http.backoff():
            refusal = self._put_allocations(consumer, allocations, project_id, user_id, generation)
            if refusal is None:
                return (generation or 0) + 1
            last = refusal
            if not refusal.concurrent:
                raise ClaimRefused(consumer=consumer, reason=refusal.detail)
            held = self.get_allocations(consumer)
            if self._same(held, allocations, project_id, user_id):
                return held.consumer_generation or 0  # an earlier try of ours got through
            generation = held.consumer_generation
        raise self._error(last, 'PUT', f'/allocations/{consumer}')

    def exchange(self, consumer: str, held: Allocations, wanted: Resources) -> None:
        """Let a consumer hold something else than ``held``, which ``get_allocations`` returned.

        It may be done again.  Raises ClaimRefused: there is not as much; ConcurrentUpdate: it
        holds another thing by now.  Then nothing has changed.
        """
        owner = held.project_id, held.user_id
        refusal = self._put_allocations(consumer, wanted, *owner, held.consumer_generation)
        if refusal is None:
            return
        if not refusal.concurrent:
            raise ClaimRefused(consumer=consumer, reason=refusal.detail)
        if not self._same(self.get_allocations(consumer), wanted, *owner):
            raise self._error(refusal, 'PUT', f'/allocations/{consumer}')

    def release(self, consumer: str, generation: int) -> bool:
        """Give a claim back unless someone has claimed or deleted since; false if so.

        For whoever lost the fence: an unconditional delete could take the claim of the
        operation that owns the server now.
        """
        held = self.get_allocations(consumer)
        if held.consumer_generation != generation:
            return False
        refusal = self._put_allocations(consumer, {}, held.project_id, held.user_id, generation)
        if refusal is not None and not refusal.concurrent:
            raise self._error(refusal, 'PUT', f'/allocations/{consumer}')
        return refusal is None

    def delete_allocations(self, consumer: str) -> bool:
        """Give back all that a consumer holds; false when it held nothing.

        Placement deletes the rows that it has just read: when a claim replaced them in
        between (then it answers 204 too) that claim stays, and belongs to its maker's
        fence.
        """
        path = f'/allocations/{consumer}'
        response = self._send('DELETE', path)
        if response.status_code == 404:
            return False
        self._need(response, 'DELETE', path, 204)
        return True

    def move_allocations(
        self, source: str, target: str, replacement: Resources | None = None
    ) -> None:
        """Hand what ``source`` holds to ``target`` in one step.

        ``replacement``: what ``source`` holds afterwards (nothing without it).
        Whatever ``target`` held is replaced.  Raises ClaimRefused, ConcurrentUpdate.
        """
        for _ in http.backoff():
            held, other = self.get_allocations(source), self.get_allocations(target)
            if not held.allocations:
                raise ClaimRefused(consumer=source, reason='it holds nothing')
            body = {
                source: _body(
                    replacement or {}, held.project_id, held.user_id, held.consumer_generation
                ),
                target: _body(
                    held.allocations, held.project_id, held.user_id, other.consumer_generation
                ),
            }
            response = self._send('POST', '/allocations', json=body)
            if response.status_code == 204:
                return
            refusal = http.refusal_of(response)
            if not refusal.concurrent:
                raise ClaimRefused(consumer=source, reason=refusal.detail)
        raise self._error(refusal, 'POST', '/allocations')

    def _put_allocations(
        self,
        consumer: str,
        allocations: Resources,
        project_id: str,
        user_id: str,
        generation: int | None,
    ) -> http.Refusal | None:
        path = f'/allocations/{consumer}'
        body = _body(allocations, project_id, user_id, generation)
        response = self._send('PUT', path, json=body)
        if response.status_code == 204:
            return None
        refusal = http.refusal_of(response)
        if refusal.status not in (400, 409):
            raise self._error(refusal, 'PUT', path)
        return refusal

    @staticmethod
    def _same(held: Allocations, wanted: Resources, project_id: str, user_id: str) -> bool:
        mine = {uuid: part['resources'] for uuid, part in wanted.items()}
        theirs = {uuid: part['resources'] for uuid, part in held.allocations.items()}
        return bool(mine) and (mine, project_id, user_id) == (
            theirs,
            held.project_id,
            held.user_id,
        )


def _body(
    allocations: Resources, project_id: str, user_id: str, generation: int | None
) -> dict[str, Any]:
    return {
        'allocations': allocations,
        'project_id': project_id,
        'user_id': user_id,
        'consumer_generation': generation,
    }
