"""Where a request may go by its own words: zone, forced, requested and ignored hosts, aggregates.

``restrict`` puts into the question to placement what placement can answer; the filters
here make sure of it, as placement may have been told later than the conductor.
"""

import numpy as np
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler import traits
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask
from kilonova.scheduler.request import ResourceRequest

TENANT_KEY = 'filter_tenant_id'


def is_forced(spec: RequestSpec) -> bool:
    """A forced host (``az:host``) is taken without asking the enabled filters."""
    return bool(spec.forced_host or spec.forced_node)


class RequestedHost(Filter):
    """Forced or requested host and node."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        host, node = _wanted(spec)
        if not host and not node:
            return None
        return _mask(hosts, host, node)[alive]

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'not the requested one'


class IgnoredHosts(Filter):
    """Hosts that have been tried before."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        ignored = set(spec.ignore_hosts)
        if not ignored:
            return None
        mask = np.ones(len(hosts), dtype=bool)
        for host in ignored:
            mask[hosts.by_host.get(host, [])] = False
        return mask[alive]

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'tried before'


class AvailabilityZone(Filter):
    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        zone = spec.availability_zone
        return hosts.in_zone(zone)[alive] if zone else None

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return f'in zone {hosts.zones[i]}'


class SameCell(Filter):
    """A server that exists moves within its cell only."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if spec.cell_id is None:
            return None
        mask: Mask = hosts.cell[alive] == spec.cell_id
        return mask

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'in another cell than the server'


def filters_for(conf: cfg.ConfigOpts) -> list[Filter]:
    """Return what holds for every request, whatever filters are enabled."""
    return [RequestedHost(conf), SameCell(conf), IgnoredHosts(conf), AvailabilityZone(conf)]


def restrict(
    request: ResourceRequest, spec: RequestSpec, hosts: Hosts, conf: cfg.ConfigOpts
) -> None:
    """Add destination, aggregates and prefilters to the question.  Raises NoValidHost."""
    request.in_tree = _single_node(hosts, spec)
    options = conf.scheduler
    if spec.availability_zone:
        _add_zone(request, spec.availability_zone, hosts)
    if options.limit_tenants_to_placement_aggregate:
        _add_tenant(
            request, spec.project_id, hosts, options.placement_aggregate_required_for_tenants
        )
    if options.query_placement_for_image_type_support and not spec.is_bfv:
        if spec.image.disk_format:
            request.root.required.add(traits.of_image_type(spec.image.disk_format))
    if options.image_metadata_prefilter:
        request.root.required |= traits.of_image_models(spec.image.properties)
    if options.enable_isolated_aggregate_filtering:
        _leave_isolated(request, hosts)


def _wanted(spec: RequestSpec) -> tuple[str | None, str | None]:
    if is_forced(spec):
        return spec.forced_host, spec.forced_node
    return spec.requested_host, spec.requested_hypervisor_hostname


def _mask(hosts: Hosts, host: str | None, node: str | None) -> Mask:
    """Return which nodes have the names that are given."""
    mask = np.zeros(len(hosts), dtype=bool)
    named = hosts.by_host.get(host, []) if host else range(len(hosts))
    for i in named:
        mask[i] = not node or hosts.states[i].node.hypervisor_hostname == node
    return mask


def _single_node(hosts: Hosts, spec: RequestSpec) -> str | None:
    """Return the node's uuid when the request names one; it must exist."""
    host, node = _wanted(spec)
    if not host and not node:
        return None
    found = np.flatnonzero(_mask(hosts, host, node))
    if not len(found):
        name = ' '.join(word for word in (host, node) if word)
        raise exception.NoValidHost(reason=f'Host {name} is not known.')
    return hosts.states[found[0]].node.uuid if len(found) == 1 else None


def _add_zone(request: ResourceRequest, zone: str, hosts: Hosts) -> None:
    """A zone is an aggregate in placement; the default zone is all the rest, and is none."""
    uuids = {a.uuid for a in hosts.aggregates.values() if a.availability_zone == zone}
    if uuids:
        request.member_of.append(frozenset(uuids))
    elif zone not in hosts.zones:
        raise exception.NoValidHost(reason=f'Availability zone {zone} has no hosts.')


def _add_tenant(request: ResourceRequest, project_id: str, hosts: Hosts, required: bool) -> None:
    uuids = {
        aggregate.uuid
        for aggregate in hosts.aggregates.values()
        if any(
            key.startswith(TENANT_KEY) and value == project_id
            for key, value in aggregate.metadata.items()
        )
    }
    if uuids:
        request.member_of.append(frozenset(uuids))
    elif required:
        raise exception.NoValidHost(reason='No aggregate is meant for the project.')


def _leave_isolated(request: ResourceRequest, hosts: Hosts) -> None:
    """Stay out of aggregates that are kept for traits which are not all required here."""
    required = request.root.required.union(*(g.required for g in request.groups.values()))
    request.not_member_of |= {
        aggregate.uuid
        for aggregate in hosts.aggregates.values()
        if not _traits_of(aggregate.metadata) <= required
    }


def _traits_of(metadata: dict[str, str]) -> set[str]:
    return {
        key.removeprefix('trait:')
        for key, value in metadata.items()
        if key.startswith('trait:') and value == 'required'
    }
