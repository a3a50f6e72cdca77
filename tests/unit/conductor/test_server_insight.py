"""What is known of a server beside its record: diagnostics, NUMA nodes."""

import pytest

from kilonova.common import exception
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.db import servers


def test_diagnostics(world):
    uuid = world.boot()
    found = world.conductor.get_server_diagnostics(world.context, uuid).guest
    assert (found.state, found.driver) == ('running', 'web')
    with pytest.raises(exception.InstanceNotFound):
        world.conductor.get_server_diagnostics(world.context, uuid, 'another')
    [unplaced] = world.create()
    with pytest.raises(exception.InstanceNotReady):
        world.conductor.get_server_diagnostics(world.context, unplaced)
    world.down.add('h1')
    world.advance(world.conf.service_down_time + 1)
    with pytest.raises(exception.ServiceUnavailable):
        world.conductor.get_server_diagnostics(world.context, uuid)


def test_numa_nodes_are_kept(world):
    uuid = world.boot()
    assert world.server(uuid).numa_topology is None
    node = NumaNode(id=1, vcpus=[0], memory_mb=512, cpu_pinning={0: 3})
    with world.cell_db.transaction() as session:
        servers.update(session, uuid, numa_topology=NumaTopology(nodes=[node]))
    assert world.server(uuid).numa_topology == NumaTopology(nodes=[node])
