import os
import pathlib
import struct
import uuid

import os_traits
import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.compute.virt.libvirt import cpu_sets, host_topology, inventory, node_id, traits
from kilonova.compute.virt.libvirt.host import Host
from kilonova.tests.fakes.libvirt import FakeConnection

NODE = '10000000-0000-4000-8000-000000000001'


def test_node(conf: cfg.ConfigOpts, host: Host) -> None:
    node = inventory.node(conf, host, 'compute1', NODE)
    assert (node.uuid, node.host) == (NODE, 'compute1')
    assert node.hypervisor_hostname == 'compute1.example.org'
    assert (node.hypervisor_type, node.hypervisor_version) == ('QEMU', 7002022)
    assert (node.vcpus, node.memory_mb) == (3, 8192)
    assert node.cpu_info['arch'] == 'x86_64'
    assert node.cpu_info['topology'] == {'cells': 1, 'sockets': 1, 'cores': 2, 'threads': 1}
    assert ('x86_64', 'kvm', 'hvm') in node.supported_instances


def test_inventory(conf: cfg.ConfigOpts, host: Host) -> None:
    conf.set_override('reserved_host_disk_mb', 1025)
    conf.set_override('cpu_allocation_ratio', 2.0)
    [found] = inventory.providers(conf, host, NODE)
    assert (found.name, found.uuid) == ('compute1.example.org', NODE)
    assert found.inventories['VCPU'] == {
        'total': 3,
        'reserved': 0,
        'min_unit': 1,
        'max_unit': 3,
        'step_size': 1,
        'allocation_ratio': 2.0,
    }
    assert found.inventories['MEMORY_MB']['reserved'] == 512
    assert found.inventories['MEMORY_MB']['allocation_ratio'] == 1.0
    assert found.inventories['DISK_GB']['reserved'] == 2


def test_processors(host: Host) -> None:
    stats = host.cpu_stats()
    assert (stats.user, stats.kernel, stats.idle, stats.iowait) == (10, 5, 80, 5)
    assert stats.frequency == 2400


def test_traits_are_known_ones(conf: cfg.ConfigOpts, host: Host) -> None:
    found = traits.host_traits(host.conf, host)
    assert found <= set(os_traits.get_traits())
    assert {'HW_CPU_X86_AESNI', 'HW_CPU_X86_SSE42', 'COMPUTE_IMAGE_TYPE_QCOW2'} <= found
    assert 'HW_CPU_X86_AVX' not in found
    assert 'COMPUTE_STORAGE_BUS_VIRTIO' in found


def test_every_mapped_trait_exists() -> None:
    names = {name for many in traits.CPU_FEATURES.values() for name in many}
    assert names <= set(os_traits.get_traits())


def test_processor_that_cannot_be_described(host: Host, hypervisor: FakeConnection) -> None:
    hypervisor.fail('baselineHypervisorCPU')
    assert not {name for name in traits.host_traits(host.conf, host) if name.startswith('HW_CPU_')}


def test_shared_set(conf: cfg.ConfigOpts, host: Host) -> None:
    conf.set_override('cpu_shared_set', '0-2,^1', 'compute')
    assert host_topology.shared(conf, host) == {0, 2}
    conf.set_override('cpu_shared_set', '2-3', 'compute')
    with pytest.raises(exception.VirtDriverError, match='3'):
        host_topology.shared(conf, host)


@pytest.mark.parametrize('text', ['a', '1-', '-1', '1;2', '^'])
def test_bad_processor_lists(text: str) -> None:
    with pytest.raises(exception.VirtDriverError):
        cpu_sets.parse(text)


def test_overcommitted(tmp_path: pathlib.Path) -> None:
    directory = tmp_path / str(uuid.uuid4())
    directory.mkdir()
    (directory / 'disk').write_bytes(
        inventory.QCOW2_MAGIC + struct.pack('>IQIIQ', 3, 0, 0, 16, 10 * inventory.GIB)
    )
    with open(directory / 'disk.swap', 'wb') as file:
        file.truncate(inventory.GIB)
    (directory / 'console.log').write_text('no disk')
    used = (directory / 'disk').stat().st_blocks * 512
    assert inventory.overcommitted(str(tmp_path)) == 11 * inventory.GIB - used


def test_missing_directory(conf: cfg.ConfigOpts) -> None:
    conf.set_override('instances_path', '/nowhere/at/all')
    with pytest.raises(exception.VirtDriverError):
        inventory.disk_space(conf)


def test_node_id_is_made_once(tmp_path: pathlib.Path) -> None:
    made = node_id.load(str(tmp_path / 'state'))
    assert uuid.UUID(made)
    assert node_id.load(str(tmp_path / 'state')) == made
    assert (tmp_path / 'state' / 'compute_id').read_text() == made
    assert os.listdir(tmp_path / 'state') == ['compute_id']


def test_node_id_that_is_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'compute_id').write_text('hello')
    with pytest.raises(exception.VirtDriverError, match='uuid'):
        node_id.load(str(tmp_path))


def test_topology_for_the_scheduler(conf: cfg.ConfigOpts, host: Host) -> None:
    conf.set_override('cpu_dedicated_set', '1', 'compute')
    node = inventory.node(conf, host, 'compute1', NODE)
    assert node.numa_topology is not None
    [cell] = node.numa_topology['cells']
    assert (cell['cpus'], cell['pcpus'], cell['memory_mb']) == ([0], [1], 9306)
    assert cell['pages'] == {'4': 2382390}
    [found] = inventory.providers(conf, host, NODE)
    assert found.inventories['VCPU']['total'] == 2  # 0 and 2: libvirt shows no node for that
    assert found.inventories['PCPU']['total'] == 1
    assert found.inventories['PCPU']['allocation_ratio'] == 1.0


def test_a_processor_is_for_one_use(conf: cfg.ConfigOpts, host: Host) -> None:
    host_topology.check(conf, host)
    conf.set_override('cpu_dedicated_set', '0-1', 'compute')
    host_topology.check(conf, host)
    conf.set_override('cpu_shared_set', '1-2', 'compute')
    with pytest.raises(exception.VirtDriverError, match='both name 1'):
        host_topology.check(conf, host)


def test_traits_of_what_is_switched_on(conf: cfg.ConfigOpts, host: Host) -> None:
    before = traits.host_traits(conf, host)
    conf.set_override('swtpm_enabled', True, 'libvirt')
    conf.set_override('file_backed_memory', 1024, 'libvirt')
    assert traits.host_traits(conf, host) - before == {
        'COMPUTE_SECURITY_TPM_2_0',
        'COMPUTE_SECURITY_TPM_TIS',
        'COMPUTE_SECURITY_TPM_CRB',
        'COMPUTE_MEM_BACKING_FILE',
    }
    assert 'COMPUTE_STORAGE_VIRTIO_FS' in before
