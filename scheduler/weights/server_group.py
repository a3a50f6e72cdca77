"""Soft policies of server groups."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters import server_group
from kilonova.scheduler.hosts import Floats, Hosts, Indices
from kilonova.scheduler.weights.base import Weigher


class ServerGroupSoftAffinityWeigher(Weigher):
    option = 'soft_affinity_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        if not server_group.has_policy(spec, 'soft-affinity'):
            return None
        return server_group.members_on(hosts, spec)[alive]


class ServerGroupSoftAntiAffinityWeigher(Weigher):
    option = 'soft_anti_affinity_weight_multiplier'

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        if not server_group.has_policy(spec, 'soft-anti-affinity'):
            return None
        return -server_group.members_on(hosts, spec)[alive]
