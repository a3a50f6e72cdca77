"""Each weigher by itself, and how they are added up."""

import pytest

from kilonova.common.objects.server_group import Membership
from kilonova.scheduler.hosts import Hosts
from kilonova.scheduler.weights import (
    capacity,
    cross_cell,
    image_properties,
    load,
    metrics,
    pci,
    server_group,
)
from kilonova.tests.unit.scheduler.builders import (
    everyone,
    make_aggregate,
    make_conf,
    make_host,
    make_spec,
)

CONF = make_conf()


def scores(weigher, states, spec=None):
    hosts = Hosts(states)
    found = weigher.score(hosts, everyone(hosts), spec or make_spec())
    return None if found is None else found.tolist()


@pytest.mark.parametrize(
    ('weigher', 'field', 'values', 'expected'),
    [
        (capacity.RAMWeigher, 'node_memory_mb', [1000, 2000, 3000], [0.0, 0.5, 1.0]),
        (capacity.CPUWeigher, 'node_vcpus', [2, 4, 10], [0.0, 0.25, 1.0]),
        (capacity.DiskWeigher, 'node_local_gb', [10, 10, 20], [0.0, 0.0, 1.0]),
        (capacity.HypervisorVersionWeigher, 'node_hypervisor_version', [1, 3, 2], [0.0, 1.0, 0.5]),
        (load.IoOpsWeigher, 'num_io_ops', [0, 1, 2], [0.0, -0.5, -1.0]),
        (load.BuildFailureWeigher, 'failed_builds', [0, 1, 2], [0.0, -500000.0, -1000000.0]),
        (load.NumInstancesWeigher, 'num_instances', [0, 1, 2], None),
    ],
)
def test_plain(weigher, field, values, expected):
    states = [make_host(f'h{value}', **{field: value}) for value in values]
    found = scores(weigher(CONF), states)
    assert found == (None if expected is None else pytest.approx(expected))


def test_usage_reservations_and_ratio_count():
    states = [
        make_host('a', node_memory_mb_used=1000, node_vcpus_used=2, node_local_gb_used=50),
        make_host('b', node_reserved_host_memory_mb=1000, node_cpu_allocation_ratio=2.0),
        make_host('c', node_disk_available_least=10),
    ]
    hosts = Hosts(states)
    assert hosts.free_ram_mb.tolist() == [3096, 3096, 4096]
    assert hosts.free_vcpus.tolist() == [2, 8, 4]
    assert hosts.free_disk_mb.tolist() == [50 * 1024, 100 * 1024, 10 * 1024]


def test_multiplier_of_option_and_aggregate():
    conf = make_conf(
        filter_scheduler__ram_weight_multiplier=-2.0,
        filter_scheduler__num_instances_weight_multiplier=1.0,
    )
    stack = make_aggregate('stack', ram_weight_multiplier='10')
    states = [
        make_host('a', node_memory_mb=1000, num_instances=4),
        make_host('b', node_memory_mb=3000, num_instances=2),
        make_host('c', node_memory_mb=3000, aggregates=[stack]),
    ]
    assert scores(capacity.RAMWeigher(conf), states) == pytest.approx([0.0, -2.0, 10.0])
    assert scores(load.NumInstancesWeigher(conf), states) == pytest.approx([1.0, 0.5, 0.0])


def test_build_failure_multiplier_of_an_aggregate_counts_against_the_host_too():
    mild = make_aggregate('mild', build_failure_weight_multiplier='2')
    states = [make_host('a'), make_host('b', failed_builds=1, aggregates=[mild])]
    assert scores(load.BuildFailureWeigher(CONF), states) == pytest.approx([0.0, -2.0])


def test_alike_hosts_get_nothing():
    assert scores(capacity.RAMWeigher(CONF), [make_host('a'), make_host('b')]) == [0.0, 0.0]


@pytest.mark.parametrize(
    ('weigher', 'policy', 'expected'),
    [
        ('Affinity', 'soft-affinity', [1.0, 0.5, 0.0]),
        ('AntiAffinity', 'soft-anti-affinity', [0.0, 0.5, 1.0]),
        ('Affinity', 'soft-anti-affinity', None),
        ('AntiAffinity', 'anti-affinity', None),
    ],
)
def test_server_group(weigher, policy, expected):
    states = [
        make_host('a', instances={'s1': 'p', 's2': 'p'}),
        make_host('b', instances={'s3': 'p', 'other': 'p'}),
        make_host('c'),
    ]
    spec = make_spec(group=Membership(policy=policy, members=['s1', 's2', 's3']))
    found = getattr(server_group, f'ServerGroupSoft{weigher}Weigher')(CONF)
    assert scores(found, states, spec) == expected


def test_metrics():
    conf = make_conf(metrics__weight_setting=['load=-1', 'fans=2'], metrics__required=False)
    states = [
        make_host('a', node_metrics=[{'name': 'load', 'value': 4}, {'name': 'fans', 'value': 1}]),
        make_host('b', node_metrics=[{'name': 'load', 'value': 1}, {'name': 'fans', 'value': 1}]),
        make_host('c'),
    ]
    hosts = Hosts(states)
    values = metrics.MetricsWeigher(conf).weigh(hosts, everyone(hosts), make_spec())
    assert values is not None and values.tolist() == [-2.0, 1.0, -10000.0]
    assert scores(metrics.MetricsWeigher(CONF), states) is None


def test_pci_devices_are_kept():
    gpus = [{'address': str(n), 'status': 'available'} for n in range(50)]
    states = [make_host('gpu', node_pci_devices=gpus), make_host('plain')]
    assert scores(pci.PCIWeigher(CONF), states) == pytest.approx([0.5, 1.0])
    spec = make_spec(extra_specs={'pci_passthrough:alias': 'gpu:1'})
    assert scores(pci.PCIWeigher(CONF), states, spec) == pytest.approx([0.5, 0.0])
    assert scores(pci.PCIWeigher(CONF), [make_host()]) is None


def alike(*, distro=0, both=0, other=0) -> dict[str, dict[str, int]]:
    """Return the counts of a host with so many servers of each sort."""
    return {
        'os_distro': {'debian': distro + both, 'windows': other},
        'hw_machine_type': {'q35': both},
    }


@pytest.mark.parametrize(
    ('multiplier', 'setting', 'expected'),
    [
        (1.0, [], [0.5, 1.0, 0.0]),
        (-2.0, [], [-1.0, -2.0, 0.0]),
        (1.0, ['os_distro=1'], [1.0, 0.5, 0.0]),
        (1.0, ['os_distro=1', 'hw_machine_type=3', 'odd'], [0.2, 1.0, 0.0]),
        (1.0, ['hw_disk_bus=1'], None),
        (0.0, [], None),
    ],
)
def test_image_properties(multiplier, setting, expected):
    conf = make_conf(
        filter_scheduler__image_props_weight_multiplier=multiplier,
        filter_scheduler__image_props_weight_setting=setting,
    )
    states = [
        make_host('a', image_properties=alike(distro=2)),
        make_host('b', image_properties=alike(both=1) | {'hw_machine_type': {'q35': 3}}),
        make_host('c', image_properties=alike(other=5)),
    ]
    spec = make_spec(properties={'os_distro': 'debian', 'hw_machine_type': 'q35', 'x': 'y'})
    found = scores(image_properties.ImagePropertiesWeigher(conf), states, spec)
    assert found == (None if expected is None else pytest.approx(expected))


def test_an_aggregate_does_not_switch_on_the_weigher_of_image_properties():
    pack = make_aggregate('pack', image_props_weight_multiplier='5')
    states = [make_host('a', image_properties=alike(distro=2), aggregates=[pack]), make_host('b')]
    spec = make_spec(properties={'os_distro': 'debian'})
    weigher = image_properties.ImagePropertiesWeigher
    assert scores(weigher(CONF), states, spec) is None
    conf = make_conf(filter_scheduler__image_props_weight_multiplier=1.0)
    assert scores(weigher(conf), states, spec) == pytest.approx([5.0, 0.0])


def test_a_move_stays_in_its_cell():
    states = [make_host('a', cell_id=1), make_host('b', cell_id=2)]
    weigher = cross_cell.CrossCellWeigher(CONF)
    assert scores(weigher, states, make_spec(cell_id=2)) == [0.0, 1000000.0]
    assert scores(weigher, states) is None
