"""What each option does to the choice: the same cloud and request, another value, another host."""

import pytest

from kilonova.common import metrics
from kilonova.tests.unit.scheduler.builders import fail, hosts_of, make_aggregate, make_spec, new

GPUS = [{'address': str(n), 'status': 'available'} for n in range(9)]
LOAD = ([{'name': 'load', 'value': 9}], [{'name': 'load', 'value': 1}])


def choose(cloud, spec=None, **options):
    selector = cloud.selector(**options)
    return hosts_of(selector.select(spec or make_spec(), new(), cloud.version))[0]


@pytest.mark.parametrize(
    ('option', 'field', 'more', 'less'),
    [
        ('cpu', 'node_vcpus_used', 0, 2),
        ('ram', 'node_memory_mb_used', 0, 2048),
        ('disk', 'node_disk_available_least', 90, 50),
        ('hypervisor_version', 'node_hypervisor_version', 8_000_000, 7_000_000),
        ('io_ops', 'num_io_ops', 4, 0),
        ('num_instances', 'num_instances', 4, 0),
        ('pci', 'node_pci_devices', [], GPUS),
    ],
)
def test_a_multiplier_and_its_opposite(cloud, option, field, more, less):
    cloud.add('more', **{field: more})
    cloud.add('less', **{field: less})
    name = f'filter_scheduler__{option}_weight_multiplier'
    assert choose(cloud, **{name: 1000.0}) == 'more'
    if option != 'pci':  # which has no use for less than nothing
        assert choose(cloud, **{name: -1000.0}) == 'less'
        return
    cloud.states[1].node.memory_mb *= 2
    cloud.version += 1
    assert choose(cloud, **{name: 0.0}) == 'less'


def test_failed_builds(cloud):
    cloud.add('fails', failed_builds=1, node_hypervisor_version=8_000_000)
    cloud.add('works')
    assert choose(cloud) == 'works'
    assert choose(cloud, filter_scheduler__build_failure_weight_multiplier=0.0) == 'fails'


@pytest.mark.parametrize('multiplier', [1000000.0, 0.0, -1000000.0])
def test_a_move_stays_in_its_cell_whatever_its_multiplier(cloud, multiplier):
    cloud.add('here', cell_id=1)
    cloud.add('there', cell_id=2, node_hypervisor_version=8_000_000)
    option = 'filter_scheduler__cross_cell_move_weight_multiplier'
    assert choose(cloud, make_spec(cell_id=1), **{option: multiplier}) == 'here'
    assert choose(cloud, **{option: multiplier}) == 'there'


def test_hosts_without_a_metric(cloud):
    loads, less = LOAD
    cloud.add('loaded', node_metrics=loads)
    cloud.add('mute')
    options = {'metrics__weight_setting': ['load=1'], 'metrics__required': False}
    assert choose(cloud, **options) == 'loaded'
    assert choose(cloud, metrics__weight_of_unavailable=100.0, **options) == 'mute'
    del cloud.states[1]
    cloud.add('idle', node_metrics=less)
    cloud.version += 1
    assert choose(cloud, **options) == 'loaded'
    assert choose(cloud, metrics__weight_multiplier=-1000.0, **options) == 'idle'


def test_preferred_traits(cloud):
    cloud.add('plain', traits=('HW_CPU_X86_AVX',), told=True, node_hypervisor_version=8_000_000)
    cloud.add('wanted', traits=('HW_CPU_X86_AVX2',), told=True)
    spec = make_spec(extra_specs={'trait:HW_CPU_X86_AVX2': 'preferred'})
    assert choose(cloud) == 'plain'
    option = 'filter_scheduler__preferred_traits_weight_multiplier'
    assert choose(cloud, spec, **{option: 5.0}) == 'wanted'
    assert choose(cloud, spec, **{option: 0.0}) == 'plain'


def test_limit_on_candidates(cloud):
    for n in range(4):
        cloud.add(f'h{n}')
    before = cloud.service.request_count
    choose(cloud, scheduler__max_placement_results=3)
    asked = [path for method, path in cloud.service.requests[before:] if method == 'GET']
    assert ['limit=3' in path for path in asked] == [True]


def test_stages_are_measured(cloud):
    cloud.add('h1')
    choose(cloud)
    found = metrics.text()
    for stage in ('candidates', 'ComputeFilter', 'weights', 'claim'):
        assert f'nova_scheduler_stage_seconds_count{{stage="{stage}"}}' in found


@pytest.mark.parametrize(
    ('told', 'spec', 'reason'),
    [
        (True, {'requested_host': 'full'}, '1 not the requested one'),
        (False, {'requested_host': 'full'}, '1 not the requested one'),
        (True, {'availability_zone': 'z'}, '1 not in the required aggregates'),
        (False, {'availability_zone': 'z'}, '1 not in the required aggregates'),
        (
            True,
            {'extra_specs': {'trait:HW_CPU_X86_AVX': 'forbidden'}},
            '1 with trait HW_CPU_X86_AVX',
        ),
        (
            True,
            {'extra_specs': {'trait:HW_CPU_X86_SSE': 'required'}},
            '1 without trait HW_CPU_X86_SSE',
        ),
    ],
)
def test_why_a_host_was_not_offered(cloud, told, spec, reason):
    """One host is full, and what is said of the other is what the request has against it."""
    cloud.add('other', traits=('HW_CPU_X86_AVX',), told=told)
    zone = make_aggregate('z', availability_zone='z')
    sse = ('HW_CPU_X86_SSE',)
    cloud.add('full', traits=sse, told=told, aggregates=[zone], num_instances=5)
    selector = cloud.selector(
        filter_scheduler__enabled_filters=['NumInstancesFilter'],
        filter_scheduler__max_instances_per_host=1,
    )
    assert f'Placement: 1 of 2 hosts left out: {reason};' in fail(selector, make_spec(**spec))
