"""Whatever flavors, images, hints and aggregates say: a host or a fault, and the scheduler goes on."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kilonova.common import exception
from kilonova.tests.unit.scheduler.builders import fail, make_aggregate, make_spec, new

FILTERS = (
    'AggregateImagePropertiesIsolation AggregateInstanceExtraSpecsFilter AggregateIoOpsFilter '
    'AggregateMultiTenancyIsolation AggregateNumInstancesFilter AggregateTypeAffinityFilter '
    'ComputeCapabilitiesFilter ComputeFilter DifferentHostFilter ImagePropertiesFilter '
    'IsolatedHostsFilter JsonFilter NUMATopologyFilter PciPassthroughFilter SameHostFilter '
    'SimpleCIDRAffinityFilter'
).split()
KEYS = (
    'resources:VCPU resources:CUSTOM_GOLD resources1:VGPU resources:NO_SUCH_CLASS trait:CUSTOM_A '
    'trait:NO_SUCH_TRAIT trait1:HW_CPU_X86_AVX group_policy hw:cpu_policy hw:cpu_thread_policy '
    'hw:numa_nodes hw:numa_cpus.0 hw:numa_mem.0 hw:mem_page_size hw:cpu_realtime_mask '
    'hw:maxphysaddr_bits capabilities:hypervisor_version capabilities:cpu_info:features '
    'aggregate_instance_extra_specs:ssd ssd pci_passthrough:alias accel:device_profile'
).split()
PROPERTIES = (
    'hw_architecture img_hv_type hw_vm_mode img_hv_requested_version hw_maxphysaddr_bits '
    'hw_cpu_policy hw_numa_nodes hw_mem_page_size trait:CUSTOM_A os_distro'
).split()
HINTS = 'query different_host same_host build_near_host_ip cidr group'.split()
METADATA = (
    'max_instances_per_host max_io_ops_per_host filter_tenant_id ssd instance_type '
    'ram_weight_multiplier cpu_weight_multiplier os_distro availability_zone'
).split()
values = st.sampled_from(
    'required forbidden preferred 1 0 -1 1e9 nan inf many dedicated any large 2MB isolate x86_64 '
    '<in> <or> >= s== {} [] ["not"] ["$free_ram_mb"] /33 10.0.0.300 ,, % '.split(' ')
) | st.text(max_size=8)


def some(keys: list[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(keys), values, max_size=3)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(specs=some(KEYS), properties=some(PROPERTIES), hints=some(HINTS), metadata=some(METADATA))
def test_nonsense_is_a_fault_of_its_request_alone(cloud, specs, properties, hints, metadata):
    if not cloud.states:
        cloud.add('odd', told=True)
    cloud.states[0].aggregates = [make_aggregate('odd', **metadata)]
    selector = cloud.selector(filter_scheduler__enabled_filters=FILTERS)
    uuids = new()
    try:
        selector.select(make_spec(extra_specs=specs, properties=properties, hints=hints), uuids, 1)
    except exception.KilonovaError as error:
        assert ' failed: ' not in str(error)  # as is said of a filter that broke down
        assert uuids[0] not in cloud.held()
    else:
        cloud.client.delete_allocations(uuids[0])
    assert cloud.held() == {}


@pytest.mark.parametrize(
    ('specs', 'properties', 'key'),
    [
        ({'trait:CUSTOM_A': 'forbidden'}, {'trait:CUSTOM_A': 'required'}, 'CUSTOM_A'),
        ({'trait:CUSTOM_NOBODY': 'required'}, {}, 'CUSTOM_NOBODY'),
        ({'resources:CUSTOM_NOBODY': '1'}, {}, 'CUSTOM_NOBODY'),
    ],
)
def test_the_key_is_named(cloud, specs, properties, key):
    cloud.add('h1', told=True)
    selector = cloud.selector()
    assert key in fail(selector, make_spec(extra_specs=specs, properties=properties))
    assert selector.select(make_spec(), new(), 1)[0][0].host == 'h1'


@pytest.mark.parametrize(
    'key', ['max_instances_per_host', 'max_io_ops_per_host', 'ram_weight_multiplier']
)
def test_numbers_of_aggregates_that_are_none_do_not_count(cloud, key):
    """The option's value holds, as for hosts in no aggregate."""
    cloud.add('h1', aggregates=[make_aggregate('odd', **{key: 'many'})], told=True)
    names = ['AggregateNumInstancesFilter', 'AggregateIoOpsFilter']
    selector = cloud.selector(filter_scheduler__enabled_filters=names)
    assert selector.select(make_spec(), new(), 1)[0][0].host == 'h1'
