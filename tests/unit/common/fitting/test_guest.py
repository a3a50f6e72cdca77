"""What flavors and images ask for, and Nova's words for what cannot be."""

import pytest

from kilonova.common import exception
from kilonova.common.fitting.guest import GuestNode, wish_of
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image


def wish(specs=None, properties=None, vcpus=4, memory_mb=4096):
    flavor = Flavor(
        flavorid='1', name='f', vcpus=vcpus, memory_mb=memory_mb, extra_specs=specs or {}
    )
    return wish_of(flavor, Image(properties=properties or {}))


@pytest.mark.parametrize(
    'specs', [{}, {'hw:cpu_policy': 'shared'}, {'resources:VCPU': '2'}, {'hw:cpu_sockets': '2'},
              {'trait:HW_CPU_HYPERTHREADING': 'required'}],
)  # fmt: skip
def test_most_guests_have_no_topology(specs):
    assert wish(specs) is None


def test_even_nodes():
    found = wish({'hw:numa_nodes': '2'})
    assert found.nodes == [GuestNode([0, 1], 2048), GuestNode([2, 3], 2048)]


def test_listed_nodes():
    specs = {
        'hw:numa_nodes': '2',
        'hw:numa_cpus.0': '0-2',
        'hw:numa_mem.0': '1024',
        'hw:numa_cpus.1': '3',
        'hw:numa_mem.1': '3072',
    }
    assert wish(specs).nodes == [GuestNode([0, 1, 2], 1024), GuestNode([3], 3072)]


def test_image_says_it_too():
    found = wish({}, {'hw_numa_nodes': 2, 'hw_cpu_policy': 'dedicated'})
    assert [node.dedicated for node in found.nodes] == [[0, 1], [2, 3]]


@pytest.mark.parametrize(
    ('text', 'size'),
    [('large', 'large'), ('2048', 2048), ('2MB', 2048), ('1GiB', 1048576), ('any', 'any')],
)
def test_page_sizes(text, size):
    found = wish({'hw:mem_page_size': text})
    assert (found.page_size, len(found.nodes)) == (size, 1)


def test_mixed():
    found = wish({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': '^0'})
    assert found.nodes[0].dedicated == [1, 2, 3]


def test_realtime_part_of_mixed():
    specs = {'hw:cpu_policy': 'mixed', 'hw:cpu_realtime': 'yes', 'hw:cpu_realtime_mask': '2-3'}
    assert wish(specs).nodes[0].dedicated == [2, 3]


def test_emulator_threads():
    specs = {'hw:cpu_policy': 'dedicated', 'hw:emulator_threads_policy': 'isolate'}
    assert wish(specs).isolates_emulator
    assert wish({'resources:PCPU': '5', 'hw:emulator_threads_policy': 'isolate'}).isolates_emulator


BAD = [
    ({'hw:numa_nodes': '0'}, {}, "The property 'numa_nodes' cannot be '0'"),
    ({'hw:numa_nodes': 'two'}, {}, "The property 'numa_nodes' cannot be 'two'"),
    ({'hw:numa_nodes': '3'}, {}, 'cannot be evenly distributed'),
    ({'hw:numa_nodes': '2', 'hw:numa_cpus.0': '0,1'}, {}, 'must be provided for all NUMA nodes'),
    (
        {'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0-4', 'hw:numa_mem.0': '4096'},
        {},
        'CPU number 4 is larger than max 3',
    ),
    (
        {'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0-2', 'hw:numa_mem.0': '4096'},
        {},
        'CPU number 3 is not assigned to any node',
    ),
    (
        {'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0-3', 'hw:numa_mem.0': '4095'},
        {},
        '4095 MB of memory assigned, but expected 4096 MB',
    ),
    (
        {'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0-x', 'hw:numa_mem.0': '4096'},
        {},
        "'0-x', '4096' cannot be read",
    ),
    ({'hw:numa_nodes': '1'}, {'hw_numa_nodes': '2'}, "property 'hw_numa_nodes' is not permitted"),
    ({'hw:mem_page_size': 'huge'}, {}, "Invalid memory page size 'huge'"),
    ({'hw:mem_page_size': 'small'}, {'hw_mem_page_size': '2048'}, 'forbidden against'),
    ({}, {'hw_mem_page_size': 'large'}, "forbidden against 'None'"),
    ({'hw:cpu_policy': 'mine'}, {}, "CPU policy requested from 'flavor extra specs' is invalid"),
    ({'hw:cpu_policy': 'shared'}, {'hw_cpu_policy': 'dedicated'}, 'not permitted to override CPU'),
    ({'hw:cpu_thread_policy': 'isolate'}, {}, 'Cannot set cpu thread pinning policy'),
    ({'hw:emulator_threads_policy': 'isolate'}, {}, 'requires a dedicated CPU policy'),
    ({'hw:cpu_dedicated_mask': '0'}, {}, "without the 'mixed' policy"),
    ({'hw:cpu_policy': 'mixed'}, {}, 'Dedicated CPU set can be specified from either'),
    ({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': '0-3'}, {}, 'at least 1 pinned vCPU'),
    ({'hw:cpu_policy': 'dedicated', 'hw:cpu_realtime': '1'}, {}, 'Use of realtime CPUs requires'),
    ({'hw:cpu_realtime': '1', 'hw:cpu_realtime_mask': '^0'}, {}, 'Cannot set realtime policy'),
    ({'resources:PCPU': '2'}, {}, 'exactly 4 PCPUs'),
    ({'resources:PCPU': '2', 'resources:VCPU': '2'}, {}, "both 'resources:VCPU' and"),
    ({'resources:PCPU': '4', 'hw:cpu_policy': 'dedicated'}, {}, 'use one or the other'),
    ({'resources:PCPU': 'x'}, {}, "'resources:PCPU' must be a number"),
]


@pytest.mark.parametrize(('specs', 'properties', 'text'), BAD)
def test_contradictions_are_named(specs, properties, text):
    with pytest.raises(exception.InvalidTopology) as caught:
        wish(specs, properties)
    assert text in str(caught.value)
