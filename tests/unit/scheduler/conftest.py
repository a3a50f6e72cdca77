"""A small cloud: the real placement, and a conductor that only has a host table."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kilonova.common.clients.neutron import Neutron
from kilonova.common.clients.placement import Placement
from kilonova.common.objects.host import Amount, HostState, HostTable, ProviderState
from kilonova.scheduler.cache import HostCache
from kilonova.scheduler.routed_networks import RoutedNetworks
from kilonova.scheduler.select import Selector
from kilonova.tests.fakes import placement_hosts
from kilonova.tests.fakes.placement_fixture import PlacementFixture
from kilonova.tests.unit.scheduler import builders


class Cloud:
    """Hosts that the conductor and placement know of."""

    def __init__(self, service: PlacementFixture) -> None:
        self.service = service
        self.client = Placement(service.adapter())
        self.states: list[HostState] = []
        self.version, self.fetches = 1, 0

    def add(
        self,
        name: str,
        vcpus: int = 4,
        traits: tuple[str, ...] = (),
        known: bool = True,
        PCPU: int = 0,
        told: bool = False,
        **changes: Any,
    ) -> HostState:
        """Add a host; without ``known`` only placement has it, ``told``: it tells of its provider."""
        state = builders.make_host(name, node_vcpus=vcpus, **changes)
        if told:
            totals = {'VCPU': vcpus, 'MEMORY_MB': 4096, 'DISK_GB': 100}
            state.node.provider = ProviderState(
                inventories={
                    kind: Amount(total=total, max_unit=total) for kind, total in totals.items()
                },
                traits=['OWNER_NOVA', *traits],
            )
        aggregates = tuple(aggregate.uuid for aggregate in state.aggregates)
        placement_hosts.add_host(
            self.client, name, vcpus=vcpus, traits=traits, aggregates=aggregates, PCPU=PCPU
        )
        if known:
            self.states.append(state)
        return state

    def get_host_table(self) -> HostTable:
        self.fetches += 1
        return HostTable(version=self.version, hosts=list(self.states))

    def selector(self, neutron: Neutron | None = None, **options: Any) -> Selector:
        """Return a scheduler of its own, with its own cache and connections."""
        conf = builders.make_conf(**options)
        client = Placement(self.service.adapter())
        routed = RoutedNetworks(neutron, client) if neutron else None
        cache = HostCache(self.get_host_table)
        return Selector(conf, client, cache, random.Random(1), routed)

    def held(self) -> dict[str, dict[str, int]]:
        return self.service.usages()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with PlacementFixture(tmp_path) as service:
        yield Cloud(service)
