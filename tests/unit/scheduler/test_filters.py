"""Each filter by itself."""

import json

import pytest

from kilonova.common.objects.image import Image
from kilonova.common.objects.server_group import Membership
from kilonova.scheduler.filters import (
    affinity,
    capabilities,
    compute,
    image_properties,
    isolated_hosts,
    json_query,
    metrics,
    numa_topology,
    operators,
    pci_passthrough,
    server_group,
)
from kilonova.tests.unit.scheduler.builders import (
    make_conf,
    make_host,
    make_spec,
    reason,
    survivors,
)

CONF = make_conf()


def test_compute():
    states = [
        make_host('fine'),
        make_host('disabled', service={'disabled': True}),
        make_host('down', service={'up': False}),
        make_host('forced', service={'forced_down': True}),
        make_host('new', service={'up': False, 'last_seen_up': None}),
    ]
    one, spec = compute.ComputeFilter(CONF), make_spec()
    assert survivors(one, states, spec) == ['fine']
    assert [reason(one, state, spec) for state in states[1:]] == [
        'disabled',
        'down since 2026-01-02 03:04',
        'forced down',
        'never seen up',
    ]


def test_all_hosts():
    states = [make_host('a', service={'disabled': True})]
    assert survivors(compute.AllHostsFilter(CONF), states, make_spec()) == ['a']


@pytest.mark.parametrize(
    ('value', 'requirement', 'expected'),
    [
        ('4', '4', True),
        ('4', '5', False),
        ('8', '= 4', True),
        ('3', '= 4', False),
        ('4.0', '== 4', True),
        ('4', '!= 4', False),
        ('10', '>= 9', True),
        ('10', '<= 9', False),
        ('10', '> 9', True),
        ('10', '< 9', False),
        ('words', '>= 9', False),
        ('abc', 's== abc', True),
        ('abc', 's!= abc', False),
        ('abc', 's< abd', True),
        ('abc', 's>= abd', False),
        ("['sse', 'avx']", '<in> sse', True),
        ("['sse', 'avx']", '<all-in> sse avx', True),
        ("['sse', 'avx']", '<all-in> sse vmx', False),
        ('Intel', '<or> AMD <or> Intel', True),
        ('Arm', '<or> AMD <or> Intel', False),
        ('two words', '<or> two words <or> one', True),
        ('15', '<range-in> [ 10 20 ]', True),
        ('20', '<range-in> [ 10 20 )', False),
        ('20', '<range-in> [ 10 20', False),
        ('', '', True),
        ('=', '=', True),
    ],
)
def test_operators(value, requirement, expected):
    assert operators.match(value, requirement) is expected


@pytest.mark.parametrize(
    ('extra_specs', 'expected'),
    [
        ({}, ['intel', 'amd']),
        ({'capabilities:cpu_info:vendor': 'Intel'}, ['intel']),
        ({'capabilities:cpu_info:topology:cores': '>= 8'}, ['amd']),
        ({'capabilities:cpu_info:missing': 'x'}, []),
        ({'capabilities:free_ram_mb': '>= 4000'}, ['intel', 'amd']),
        ({'capabilities:stats:rack': '7'}, ['intel']),
        ({'rack': '7'}, ['intel']),
        ({'unknown_key': '7'}, ['intel', 'amd']),
        ({'other:rack': '9'}, ['intel', 'amd']),
        ({'hypervisor_type': 'QEMU', 'vcpus_total': '>= 4'}, ['intel', 'amd']),
        ({'capabilities:host_ip': 'x'}, []),
        ({'hw:maxphysaddr_bits': '46'}, ['amd']),
    ],
)
def test_capabilities(extra_specs, expected):
    states = [
        make_host(
            'intel',
            node_cpu_info={'vendor': 'Intel', 'topology': {'cores': 4}},
            node_stats={'rack': 7},
        ),
        make_host(
            'amd',
            node_cpu_info={
                'vendor': 'AMD',
                'topology': {'cores': 8},
                'maxphysaddr': {'bits': 48},
            },
            node_stats={'rack': 8},
        ),
    ]
    one, spec = capabilities.ComputeCapabilitiesFilter(CONF), make_spec(extra_specs=extra_specs)
    assert survivors(one, states, spec) == expected


def test_address_bits_that_the_image_wants():
    cpu = {'maxphysaddr': {'bits': 48}}
    states = [make_host('wide', node_cpu_info=cpu), make_host('unknown')]
    one = capabilities.ComputeCapabilitiesFilter(CONF)
    assert survivors(one, states, make_spec(properties={'hw_maxphysaddr_bits': 46})) == ['wide']


def test_capabilities_reason():
    spec = make_spec(extra_specs={'capabilities:cpu_info:vendor': 'Intel', 'vcpus': '>= 9'})
    one = capabilities.ComputeCapabilitiesFilter(CONF)
    assert reason(one, make_host(), spec) == 'without capabilities:cpu_info:vendor, vcpus'


@pytest.mark.parametrize(
    ('properties', 'expected'),
    [
        ({}, ['new', 'old', 'arm', 'mute']),
        ({'hw_architecture': 'x86_64'}, ['new', 'old']),
        ({'hw_architecture': 'amd64'}, ['new', 'old']),
        ({'architecture': 'aarch64'}, ['arm']),
        ({'img_hv_type': 'qemu'}, ['new', 'old', 'arm']),
        ({'hypervisor_type': 'kvm', 'vm_mode': 'hv'}, ['arm']),
        ({'hw_architecture': 'x86_64', 'img_hv_type': 'kvm'}, []),
        ({'hw_vm_mode': 'xen'}, []),
        ({'img_hv_requested_version': '>=6.1'}, ['new', 'arm', 'mute']),
        ({'img_hv_requested_version': '>=6.1, <7.2.0'}, []),
        ({'img_hv_requested_version': '<7'}, ['old']),
        ({'img_hv_requested_version': 'newest'}, []),
    ],
)
def test_image_properties(properties, expected):
    states = [
        make_host('new'),
        make_host('old', node_hypervisor_version=6_000_000),
        make_host(
            'arm', node_supported_instances=[('aarch64', 'qemu', 'hvm'), ('aarch64', 'kvm', 'hvm')]
        ),
        make_host('mute', node_supported_instances=[]),
    ]
    one = image_properties.ImagePropertiesFilter(CONF)
    assert survivors(one, states, make_spec(properties=properties)) == expected


def test_image_properties_default_architecture_and_reasons():
    conf = make_conf(filter_scheduler__image_properties_default_architecture='aarch64')
    one = image_properties.ImagePropertiesFilter(conf)
    assert survivors(one, [make_host()], make_spec()) == []
    assert reason(one, make_host(), make_spec()) == 'unable to run aarch64 guests'
    spec = make_spec(properties={'hw_architecture': 'x86_64', 'img_hv_requested_version': '>8'})
    assert reason(one, make_host(), spec) == 'with a hypervisor version that is not >8'


def group(policy, *members, hosts=None, limit=1):
    """Return a membership; ``hosts``: where the conductor knows members to be."""
    hosts = hosts or {}
    everybody = [*members, *(one for one in hosts if one not in members)]
    return Membership(policy=policy, members=everybody, hosts=hosts, max_per_host=limit)


@pytest.mark.parametrize(
    ('one', 'the_group', 'expected'),
    [
        ('AntiAffinity', None, ['a', 'b', 'c']),
        ('AntiAffinity', group('anti-affinity', 's1', 's2'), ['b', 'c']),
        ('AntiAffinity', group('anti-affinity', 's3'), ['a', 'c']),
        (
            'AntiAffinity',
            group('anti-affinity', 's1', 's3', limit=2),
            ['a', 'b', 'c'],
        ),
        (
            'AntiAffinity',
            group('anti-affinity', 's1', 's2', limit=2),
            ['b', 'c'],
        ),
        ('AntiAffinity', group('anti-affinity', hosts={'s9': ['c']}), ['a', 'b']),
        ('AntiAffinity', group('affinity', 's1'), ['a', 'b', 'c']),
        ('Affinity', group('affinity'), ['a', 'b', 'c']),
        ('Affinity', group('affinity', 's1'), ['a']),
        ('Affinity', group('affinity', 'elsewhere'), ['a', 'b', 'c']),
        ('Affinity', group('affinity', hosts={'s9': ['b']}), ['b']),
        # s1 is only being placed on a, and may be sent away from there
        ('Affinity', group('affinity', 's1', hosts={'s9': ['b']}), ['b']),
        # s1 has moved since the table was made
        ('AntiAffinity', group('anti-affinity', 's1', hosts={'s1': ['c']}), ['a', 'b']),
        ('AntiAffinity', group('anti-affinity', 's1', 's3', hosts={'s9': ['c']}), []),
        # on its way from a to b
        ('AntiAffinity', group('anti-affinity', hosts={'s1': ['a', 'b']}), ['c']),
        ('Affinity', group('anti-affinity', 's1'), ['a', 'b', 'c']),
    ],
)
def test_server_group(one, the_group, expected):
    states = [
        make_host('a', instances={'s1': 'p', 's2': 'p'}),
        make_host('b', instances={'s3': 'p'}),
        make_host('c'),
    ]
    found = getattr(server_group, f'ServerGroup{one}Filter')(CONF)
    assert survivors(found, states, make_spec(group=the_group)) == expected


@pytest.mark.parametrize(
    ('name', 'hints', 'expected'),
    [
        ('DifferentHost', {}, ['a', 'b']),
        ('DifferentHost', {'different_host': 's1'}, ['b']),
        ('DifferentHost', {'different_host': ['s1', 'gone']}, ['b']),
        ('SameHost', {'same_host': ['s1']}, ['a']),
        ('SameHost', {'same_host': ['gone']}, []),
        ('SimpleCIDRAffinity', {'build_near_host_ip': '10.0.0.9'}, ['a']),
        ('SimpleCIDRAffinity', {'build_near_host_ip': '10.0.0.9', 'cidr': '/8'}, ['a', 'b']),
        ('SimpleCIDRAffinity', {'build_near_host_ip': 'nonsense'}, []),
        ('SimpleCIDRAffinity', {}, ['a', 'b']),
    ],
)
def test_affinity(name, hints, expected):
    states = [
        make_host('a', node_host_ip='10.0.0.1', instances={'s1': 'p'}),
        make_host('b', node_host_ip='10.1.0.1'),
    ]
    one = getattr(affinity, f'{name}Filter')(CONF)
    assert survivors(one, states, make_spec(hints=hints)) == expected


def test_host_without_address_is_near_nothing():
    one = affinity.SimpleCIDRAffinityFilter(CONF)
    spec = make_spec(hints={'build_near_host_ip': '10.0.0.9'})
    assert survivors(one, [make_host(node_host_ip=None)], spec) == []


@pytest.mark.parametrize(
    ('options', 'image', 'expected'),
    [
        ({}, 'any', ['rack1-a', 'rack2-a']),
        ({'isolated_hosts': ['rack1-*']}, 'any', ['rack2-a']),
        ({'isolated_hosts': ['rack1-*'], 'isolated_images': ['kept']}, 'kept', ['rack1-a']),
        ({'isolated_hosts': ['rack1-*'], 'isolated_images': ['kept']}, 'any', ['rack2-a']),
        (
            {
                'isolated_hosts': ['rack1-*'],
                'isolated_images': ['kept'],
                'restrict_isolated_hosts_to_isolated_images': False,
            },
            'any',
            ['rack1-a', 'rack2-a'],
        ),
    ],
)
def test_isolated_hosts(options, image, expected):
    conf = make_conf(**{f'filter_scheduler__{name}': value for name, value in options.items()})
    states = [make_host('rack1-a'), make_host('rack2-a')]
    spec = make_spec(image=Image(id=image))
    assert survivors(isolated_hosts.IsolatedHostsFilter(conf), states, spec) == expected


def test_metrics():
    conf = make_conf(metrics__weight_setting=['load=-1.0', 'temperature=2', 'broken'])
    states = [
        make_host(
            'all', node_metrics=[{'name': 'load', 'value': 1}, {'name': 'temperature', 'value': 2}]
        ),
        make_host('one', node_metrics=[{'name': 'load', 'value': 1}]),
    ]
    one = metrics.MetricsFilter(conf)
    assert survivors(one, states, make_spec()) == ['all']
    assert reason(one, states[1], make_spec()) == 'without the metrics temperature'
    assert survivors(metrics.MetricsFilter(CONF), states, make_spec()) == ['all', 'one']


@pytest.mark.parametrize(
    ('query', 'expected'),
    [
        (['>=', '$free_ram_mb', 4096], ['big']),
        (['and', ['>', '$free_ram_mb', 100], ['=', '$host', 'small']], ['small']),
        (['or', ['=', '$host', 'small'], ['=', '$host', 'big']], ['big', 'small']),
        (['not', ['=', '$host', 'small']], ['big']),
        (['in', '$host', 'small', 'tiny'], ['small']),
        (['<', '$stats.load', 3], ['big']),
        (['<=', '$free_disk_mb', 1], []),
        (['nonsense', 1], []),
        (['=', '$nonsense', 1], []),
        (['=', '$host'], []),
        (['>', '$host', 5], []),
    ],
)
def test_json(query, expected):
    states = [
        make_host('big', node_stats={'load': 1}),
        make_host('small', node_memory_mb=512, node_stats={'load': 5}),
    ]
    spec = make_spec(hints={'query': [json.dumps(query)]})
    assert survivors(json_query.JsonFilter(CONF), states, spec) == expected


def test_json_that_is_none():
    one = json_query.JsonFilter(CONF)
    assert survivors(one, [make_host('a')], make_spec(hints={'query': '{broken'})) == []
    assert survivors(one, [make_host('a')], make_spec()) == ['a']


@pytest.mark.parametrize(
    ('extra_specs', 'properties', 'wanted'),
    [
        ({}, {}, None),
        ({'hw:cpu_policy': 'shared'}, {}, None),
        ({'hw:numa_nodes': '1'}, {}, 'no NUMA topology reported'),
        ({}, {'hw_numa_cpus.0': '1'}, None),
        ({'hw:mem_page_size': '2MB'}, {}, 'no NUMA topology reported'),
        ({}, {'hw_cpu_policy': 'dedicated'}, 'no NUMA topology reported'),
        ({'hw:mem_page_size': 'any'}, {'hw_mem_page_size': '2048'}, 'no NUMA topology reported'),
    ],
)
def test_numa(extra_specs, properties, wanted):
    one = numa_topology.NUMATopologyFilter(CONF)
    spec = make_spec(extra_specs=extra_specs, properties=properties)
    assert survivors(one, [make_host('a')], spec) == ([] if wanted else ['a'])
    if wanted:
        assert reason(one, make_host('a'), spec) == wanted


def test_pci():
    alias = '{"name": "gpu", "vendor_id": "10de", "product_id": "1db6"}'
    one = pci_passthrough.PciPassthroughFilter(make_conf(pci__alias=[alias]))
    assert survivors(one, [make_host('a')], make_spec()) == ['a']
    spec = make_spec(extra_specs={'pci_passthrough:alias': 'gpu:1'})
    gpus = [{'address': '0000:81:00.0', 'vendor_id': '10de', 'product_id': '1db6'}]
    states = [
        make_host('none'),
        make_host('free', node_pci_devices=gpus),
        make_host('full', node_pci_devices=gpus, pci_taken=['0000:81:00.0']),
    ]
    assert survivors(one, states, spec) == ['free']
    assert reason(one, states[2], spec) == 'with too few free PCI devices (1 gpu)'
