"""What flavors and images ask for, and what is refused."""

from collections.abc import Callable

import pytest
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.numa import NumaNode, NumaTopology
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import cpu_sets, guest_cpu, guest_domain, guest_numa
from kilonova.compute.virt.libvirt.guest_devices import Devices
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.wishes import Wishes

Specs = dict[str, str]


def devices(conf: cfg.ConfigOpts, host: Host, server: Server, machine: str = 'pc') -> Devices:
    caps = host.domain_capabilities('x86_64', machine)
    return Devices(conf, server, 'x86_64', machine, caps)


def test_flavor_and_image_may_agree(server: Server) -> None:
    server.flavor.extra_specs = {'hw:usb_model': 'none', 'hw:pmu': 'True', 'hw:cpu_max_cores': '2'}
    server.image.properties = {'hw_usb_model': 'none', 'hw_pmu': 'yes'}
    wishes = Wishes(server)
    assert (wishes.text('usb_model'), wishes.flag('pmu')) == ('none', True)
    assert (wishes.number('cpu_max_cores'), wishes.flag('boot_menu')) == (2, None)


@pytest.mark.parametrize(
    ('specs', 'properties', 'ask'),
    [
        ({'hw:usb_model': 'none'}, {'hw_usb_model': 'qemu-xhci'}, lambda w: w.text('usb_model')),
        ({'hw:pmu': 'yes'}, {'hw_pmu': 'no'}, lambda w: w.flag('pmu')),
        ({'hw:pmu': 'maybe'}, {}, lambda w: w.flag('pmu')),
        ({'hw:maxphysaddr_bits': 'x'}, {}, lambda w: w.number('maxphysaddr_bits')),
    ],
)
def test_contradictions_and_nonsense(
    server: Server, specs: Specs, properties: Specs, ask: Callable[[Wishes], object]
) -> None:
    server.flavor.extra_specs, server.image.properties = specs, dict(properties)
    with pytest.raises(exception.BuildAborted):
        ask(Wishes(server))


@pytest.mark.parametrize(
    ('specs', 'properties', 'machine', 'match'),
    [
        ({'hw:tpm_version': '2.0', 'hw:tpm_model': 'tpm-crb'}, {}, 'pc', 'q35'),
        ({'hw:viommu_model': 'intel'}, {}, 'pc', 'q35'),
        ({'hw:usb_model': 'none', 'hw:redirected_usb_ports': '1'}, {}, 'pc', 'without USB'),
        ({'hw:redirected_usb_ports': '1'}, {}, 'pc', 'SPICE'),
        ({}, {'hw_video_ram': '64'}, 'pc', 'video memory'),
    ],
)
def test_impossible_hardware(
    conf: cfg.ConfigOpts,
    host: Host,
    server: Server,
    specs: Specs,
    properties: Specs,
    machine: str,
    match: str,
) -> None:
    server.flavor.extra_specs, server.image.properties = specs, dict(properties)
    with pytest.raises(exception.BuildAborted, match=match):
        devices(conf, host, server, machine).all('/d', set(), [])


@pytest.mark.parametrize(
    ('vcpus', 'specs', 'expected'),
    [
        (4, {}, (4, 1, 1)),
        (4, {'hw:cpu_max_sockets': '2'}, (2, 2, 1)),
        (4, {'hw:cpu_max_sockets': '1', 'hw:cpu_max_cores': '2'}, (1, 2, 2)),
        (8, {'hw:cpu_sockets': '2', 'hw:cpu_threads': '2'}, (2, 2, 2)),
        (3, {'hw:cpu_cores': '2'}, (3, 1, 1)),
        (6, {'hw:cpu_cores': '3', 'hw:cpu_max_sockets': '1'}, (1, 3, 2)),
    ],
)
def test_topology(server: Server, vcpus: int, specs: Specs, expected: tuple[int, ...]) -> None:
    server.flavor.vcpus, server.flavor.extra_specs = vcpus, specs
    assert guest_cpu.topology(server) == expected


@pytest.mark.parametrize(
    'specs',
    [
        {'hw:cpu_sockets': '4', 'hw:cpu_max_sockets': '2'},
        {'hw:cpu_max_sockets': '1', 'hw:cpu_max_cores': '1', 'hw:cpu_max_threads': '1'},
    ],
)
def test_topology_beyond_its_limits(server: Server, specs: Specs) -> None:
    server.flavor.extra_specs = specs
    with pytest.raises(exception.BuildAborted, match='allowed|limits'):
        guest_cpu.topology(server)


def test_sets_of_processors() -> None:
    assert cpu_sets.parse('0-4,^2,8') == {0, 1, 3, 4, 8}
    assert cpu_sets.render([8, 0, 1, 3, 4, 4]) == '0-1,3-4,8'
    assert cpu_sets.render([]) == ''


def test_servers_without_places_float(conf: cfg.ConfigOpts, host: Host, server: Server) -> None:
    assert guest_numa.cpuset(host, server) is None
    conf.set_override('cpu_shared_set', '0-1', 'compute')
    assert guest_numa.cpuset(host, server) == '0-1'
    assert guest_numa.pins(host, server) == []
    assert guest_numa.emulator(host, server) is None


def test_the_emulator_follows_the_guest(conf: cfg.ConfigOpts, host: Host, server: Server) -> None:
    server.numa_topology = NumaTopology(
        nodes=[NumaNode(id=0, vcpus=[0, 1], memory_mb=512, cpu_pinning={0: 4, 1: 6})]
    )
    assert guest_numa.emulator(host, server) == '4,6'
    server.flavor.extra_specs = {'hw:emulator_threads_policy': 'share'}
    assert guest_numa.emulator(host, server) == '4,6'  # there is nothing to share
    conf.set_override('cpu_shared_set', '0', 'compute')
    assert guest_numa.emulator(host, server) == '0'
    server.flavor.extra_specs = {'hw:emulator_threads_policy': 'isolate'}
    server.numa_topology.emulator_cpus = [7]
    assert guest_numa.emulator(host, server) == '7'


def test_what_the_scheduler_has_placed_is_given(server: Server) -> None:
    server.flavor.extra_specs = {'hw:cpu_policy': 'dedicated', 'hw:numa_nodes': '1'}
    with pytest.raises(exception.BuildAborted, match='not supported'):
        guest_domain.check_supported(server)
    server.numa_topology = NumaTopology(nodes=[NumaNode(id=0, vcpus=[0, 1], memory_mb=512)])
    guest_domain.check_supported(server)
