"""From flavor and image to the question to placement."""

from urllib import parse

import pytest

from kilonova.common.objects.network import NetworkRequest
from kilonova.scheduler import request, traits
from kilonova.tests.unit.scheduler.builders import make_flavor, make_spec


def ask(spec, **how) -> dict[str, list[str]]:
    """Return the question, without the trait that every group has to have."""
    pairs = parse.parse_qs(request.from_spec(spec, **how).query(1000))
    assert pairs.pop('limit') == ['1000']
    for resources in [key for key in pairs if key.startswith('resources')]:
        key = resources.replace('resources', 'required')
        traits = pairs.pop(key)[0].split(',')
        traits.remove('OWNER_NOVA')
        if traits:
            pairs[key] = [','.join(traits)]
    return pairs


def test_plain_flavor():
    flavor = make_flavor(vcpus=2, memory_mb=2048, root_gb=10, ephemeral_gb=5, swap=1025)
    assert ask(make_spec(flavor)) == {
        'resources': ['DISK_GB:17,MEMORY_MB:2048,VCPU:2'],
        'root_required': ['!COMPUTE_STATUS_DISABLED'],
    }


def test_boot_from_volume_takes_no_root_disk():
    spec = make_spec(make_flavor(root_gb=10), is_bfv=True)
    assert ask(spec)['resources'] == ['MEMORY_MB:512,VCPU:1']


@pytest.mark.parametrize(
    ('extra_specs', 'expected'),
    [
        (
            {'resources:VCPU': '0', 'resources:CUSTOM_GOLD': '1'},
            {'resources': ['CUSTOM_GOLD:1,DISK_GB:1,MEMORY_MB:512']},
        ),
        ({'resources:VCPU': '7'}, {'resources': ['DISK_GB:1,MEMORY_MB:512,VCPU:7']}),
        (
            {'trait:CUSTOM_A': 'required', 'trait:CUSTOM_B': 'forbidden', 'trait:CUSTOM_C': 'odd'},
            {'resources': ['DISK_GB:1,MEMORY_MB:512,VCPU:1'], 'required': ['CUSTOM_A,!CUSTOM_B']},
        ),
        (
            {
                'resources1:VGPU': '1',
                'trait1:CUSTOM_A': 'required',
                'resources_NET:SRIOV_NET_VF': '2',
            },
            {
                'resources': ['DISK_GB:1,MEMORY_MB:512,VCPU:1'],
                'resources1': ['VGPU:1'],
                'required1': ['CUSTOM_A'],
                'resources_NET': ['SRIOV_NET_VF:2'],
                'group_policy': ['none'],
            },
        ),
        (
            {'resources1:VGPU': '1', 'resources2:VGPU': '1', 'group_policy': 'isolate'},
            {
                'resources': ['DISK_GB:1,MEMORY_MB:512,VCPU:1'],
                'resources1': ['VGPU:1'],
                'resources2': ['VGPU:1'],
                'group_policy': ['isolate'],
            },
        ),
        ({'resources:VCPU': 'many'}, {'resources': ['DISK_GB:1,MEMORY_MB:512,VCPU:1']}),
    ],
)
def test_extra_specs(extra_specs, expected):
    found = ask(make_spec(extra_specs=extra_specs))
    assert found.pop('root_required') == ['!COMPUTE_STATUS_DISABLED']
    assert found == expected


def test_request_of_granular_groups_alone():
    extra_specs = {f'resources:{name}': '0' for name in ('VCPU', 'MEMORY_MB', 'DISK_GB')}
    extra_specs |= {'resources1:CUSTOM_NODE': '1', 'trait:CUSTOM_A': 'required'}
    assert ask(make_spec(extra_specs=extra_specs)) == {
        'resources1': ['CUSTOM_NODE:1'],
        'root_required': ['CUSTOM_A,!COMPUTE_STATUS_DISABLED'],
    }


def test_request_for_nothing():
    extra_specs = {f'resources:{name}': '0' for name in ('VCPU', 'MEMORY_MB', 'DISK_GB')}
    assert request.from_spec(make_spec(extra_specs=extra_specs)).is_empty()


@pytest.mark.parametrize(
    ('extra_specs', 'properties', 'cpus'),
    [
        ({'hw:cpu_policy': 'shared'}, {}, 'VCPU:4'),
        ({'hw:cpu_policy': 'dedicated'}, {}, 'PCPU:4'),
        ({}, {'hw_cpu_policy': 'dedicated'}, 'PCPU:4'),
        ({'hw:cpu_policy': 'dedicated', 'hw:emulator_threads_policy': 'isolate'}, {}, 'PCPU:5'),
        ({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': '^0'}, {}, 'PCPU:3,VCPU:1'),
        ({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': '2-3'}, {}, 'PCPU:2,VCPU:2'),
        ({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': '1-3,^2'}, {}, 'PCPU:2,VCPU:2'),
        ({'hw:cpu_policy': 'mixed', 'hw:cpu_realtime_mask': '^0-1'}, {}, 'PCPU:2,VCPU:2'),
        ({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': 'x'}, {}, 'VCPU:4'),
    ],
)
def test_cpu_policies(extra_specs, properties, cpus):
    flavor = make_flavor(vcpus=4, root_gb=0, extra_specs=extra_specs)
    resources = ask(make_spec(flavor, properties=properties))['resources'][0].split(',')
    assert ','.join(item for item in resources if 'CPU' in item) == cpus


@pytest.mark.parametrize(
    ('policy', 'trait'),
    [('isolate', '!HW_CPU_HYPERTHREADING'), ('require', 'HW_CPU_HYPERTHREADING')],
)
def test_thread_policy(policy, trait):
    extra_specs = {'hw:cpu_policy': 'dedicated', 'hw:cpu_thread_policy': policy}
    assert ask(make_spec(extra_specs=extra_specs))['required'] == [trait]
    properties = {'hw_cpu_policy': 'dedicated', 'hw_cpu_thread_policy': policy}
    assert ask(make_spec(properties=properties))['required'] == [trait]


@pytest.mark.parametrize(
    ('extra_specs', 'pinned', 'unpinned'),
    [
        ({'hw:cpu_policy': 'dedicated'}, 'PCPU:4', 'VCPU:4'),
        ({'hw:cpu_policy': 'dedicated', 'hw:cpu_thread_policy': 'require'}, 'PCPU:4', 'VCPU:4'),
        ({'hw:cpu_policy': 'dedicated', 'hw:emulator_threads_policy': 'isolate'}, 'PCPU:5',
         'VCPU:4'),
        ({'hw:cpu_policy': 'dedicated', 'resources:PCPU': '4'}, 'PCPU:4', None),
        ({'hw:cpu_policy': 'mixed', 'hw:cpu_dedicated_mask': '0'}, 'PCPU:1,VCPU:3', None),
        ({}, 'VCPU:4', None),
    ],
)  # fmt: skip
def test_dedicated_cpus_on_hosts_that_do_not_know_them(extra_specs, pinned, unpinned):
    flavor = make_flavor(vcpus=4, root_gb=0, extra_specs=extra_specs)
    assert ask(make_spec(flavor))['resources'] == [f'MEMORY_MB:512,{pinned}']
    assert request.has_unpinned_form(make_spec(flavor)) == (unpinned is not None)
    if unpinned:
        found = ask(make_spec(flavor), pinned=False)
        assert found['resources'] == [f'MEMORY_MB:512,{unpinned}']
        assert 'required' not in found


@pytest.mark.parametrize(
    ('vnic_type', 'expected'),
    [
        ('remote-managed', ['COMPUTE_REMOTE_MANAGED_PORTS,!COMPUTE_STATUS_DISABLED']),
        ('normal', ['!COMPUTE_STATUS_DISABLED']),
    ],
)
def test_remote_managed_ports(vnic_type, expected):
    ports = [NetworkRequest(network_id='n'), NetworkRequest(port_id='p', vnic_type=vnic_type)]
    assert ask(make_spec(networks=ports))['root_required'] == expected


def test_image_traits():
    spec = make_spec(
        properties={
            'trait:CUSTOM_LICENCE': 'required',
            'trait:CUSTOM_X': 'no',
            'traits_required': ['CUSTOM_LISTED'],
        }
    )
    assert ask(spec)['required'] == ['CUSTOM_LICENCE,CUSTOM_LISTED']


@pytest.mark.parametrize(
    ('extra_specs', 'properties', 'expected'),
    [
        ({'hw:virtio_packed_ring': 'true'}, {}, ['COMPUTE_NET_VIRTIO_PACKED']),
        ({}, {'hw_virtio_packed_ring': True}, ['COMPUTE_NET_VIRTIO_PACKED']),
        ({'hw:virtio_packed_ring': 'false'}, {'hw_virtio_packed_ring': 'true'}, []),
        ({'os:secure_boot': 'required'}, {}, ['COMPUTE_SECURITY_UEFI_SECURE_BOOT']),
        ({'hw:sound_model': 'ich9'}, {}, ['COMPUTE_SOUND_MODEL_ICH9']),
        (
            {'hw:ephemeral_encryption': 'yes', 'hw:ephemeral_encryption_format': 'luks'},
            {},
            ['COMPUTE_EPHEMERAL_ENCRYPTION', 'COMPUTE_EPHEMERAL_ENCRYPTION_LUKS'],
        ),
        (
            {'hw:tpm_version': '2.0', 'hw:tpm_model': 'tpm-crb'},
            {},
            ['COMPUTE_SECURITY_TPM_2_0', 'COMPUTE_SECURITY_TPM_CRB'],
        ),
        (
            {},
            {'hw_ephemeral_encryption': 'true', 'hw_ephemeral_encryption_format': 'plain'},
            ['COMPUTE_EPHEMERAL_ENCRYPTION', 'COMPUTE_EPHEMERAL_ENCRYPTION_PLAIN'],
        ),
        ({}, {'hw_sound_model': 'sb16'}, ['COMPUTE_SOUND_MODEL_SB16']),
        (
            {'hw:tpm_secret_security': 'host'},
            {},
            ['COMPUTE_SECURITY_TPM_SECRET_SECURITY_HOST'],
        ),
        (
            {},
            {'hw_tpm_secret_security': 'deployment'},
            ['COMPUTE_SECURITY_TPM_SECRET_SECURITY_DEPLOYMENT'],
        ),
        ({}, {'hw_maxphysaddr_mode': 'emulate'}, ['COMPUTE_ADDRESS_SPACE_EMULATED']),
        ({'hw:maxphysaddr_mode': 'passthrough'}, {}, ['COMPUTE_ADDRESS_SPACE_PASSTHROUGH']),
        ({'accel:device_profile': 'fpga'}, {}, ['COMPUTE_ACCELERATORS']),
    ],
)
def test_translated_traits(extra_specs, properties, expected):
    found = ask(make_spec(extra_specs=extra_specs, properties=properties))['root_required']
    assert found == [','.join([*expected, '!COMPUTE_STATUS_DISABLED'])]


@pytest.mark.parametrize(
    ('name', 'value', 'trait'),
    [
        ('hw_cdrom_bus', 'sata', 'COMPUTE_STORAGE_BUS_SATA'),
        ('hw_disk_bus', 'virtio', 'COMPUTE_STORAGE_BUS_VIRTIO'),
        ('hw_video_model', 'qxl', 'COMPUTE_GRAPHICS_MODEL_QXL'),
        ('hw_vif_model', 'ne2k_pci', 'COMPUTE_NET_VIF_MODEL_NE2K_PCI'),
        ('hw_architecture', 'aarch64', 'COMPUTE_ARCH_AARCH64'),
        ('hw_emulation_architecture', 'ppc64le', 'COMPUTE_ARCH_PPC64LE'),
        ('hw_viommu_model', 'intel', 'COMPUTE_VIOMMU_MODEL_INTEL'),
    ],
)
def test_models_of_images(name, value, trait):
    assert traits.of_image_models({name: value}) == {trait}


def test_translated_traits_exist():
    """Every trait that a property may be turned into is one that placement knows."""
    import os_traits

    from kilonova.scheduler import traits

    known = set(os_traits.get_traits())
    properties = {'hw_disk_bus': 'virtio', 'hw_video_model': 'vga', 'hw_vif_model': 'spapr-vlan'}
    properties |= {'hw_architecture': 'x86_64', 'hw_viommu_model': 'intel', 'hw_cdrom_bus': 'ide'}
    assert traits.of_image_models(properties) <= known
    assert traits.of_image_type('qcow2') in known


def test_memory_encryption_and_persistent_memory():
    extra_specs = {'hw:mem_encryption': 'true', 'hw:pmem': '6GB,6GB,16gb'}
    assert ask(make_spec(extra_specs=extra_specs))['resources'] == [
        'CUSTOM_PMEM_NAMESPACE_16GB:1,CUSTOM_PMEM_NAMESPACE_6GB:2,DISK_GB:1,'
        'MEMORY_MB:512,MEM_ENCRYPTION_CONTEXT:1,VCPU:1'
    ]


def test_description():
    spec = make_spec(extra_specs={'trait:CUSTOM_A': 'required', 'resources1:VGPU': '1'})
    assert request.from_spec(spec).describe() == (
        'DISK_GB 1, MEMORY_MB 512, VCPU 1, trait CUSTOM_A, VGPU 1'
    )
