"""Where a guest's processors and memory are on the host: what the scheduler's fitting has found.

A server with NUMA nodes, dedicated processors or huge pages has a topology, whose nodes say on
which host node each guest node is.  All other servers float over the shared processors.
"""

from oslo_config import cfg

from kilonova.common.objects.numa import NumaNode
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import cpu_sets, host_topology
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml.cpu import Cell, VcpuPin, VcpuSched
from kilonova.compute.virt.libvirt.xml.memory import MemNode, MemoryBacking, NumaTune, Page

SMALL_PAGE = 4


def nodes(server: Server) -> list[NumaNode]:
    return server.numa_topology.nodes if server.numa_topology else []


def cells(server: Server) -> list[Cell]:
    """Return the guest's nodes."""
    shared = 'shared' if _shares_memory(server) and nodes(server) else None
    return [
        Cell(
            id=number,
            cpus=cpu_sets.render(node.vcpus),
            memory=node.memory_mb * 1024,
            access=shared,
        )
        for number, node in enumerate(nodes(server))
    ]


def pins(host: Host, server: Server) -> list[VcpuPin]:
    """Return the place of each processor: one of its own, or any shared one of its node."""
    found = []
    for node in nodes(server):
        pinned = node.cpu_pinning or {}
        floating = _shared_of(host, node.id)
        for vcpu in node.vcpus:
            if vcpu in pinned:
                found.append(VcpuPin(vcpu=vcpu, cpuset=str(pinned[vcpu])))
            elif floating:
                found.append(VcpuPin(vcpu=vcpu, cpuset=cpu_sets.render(floating)))
    return sorted(found, key=lambda pin: pin.vcpu)


def cpuset(host: Host, server: Server) -> str | None:
    """Return the processors that a guest without places of its own may run on."""
    conf = host.conf.compute
    if nodes(server) or not (conf.cpu_shared_set or conf.cpu_dedicated_set):
        return None
    return cpu_sets.render(host_topology.shared(host.conf, host))


def emulator(host: Host, server: Server) -> str | None:
    """Return where QEMU's own threads run: as the flavor wants, else with the guest."""
    if not nodes(server):
        return None
    policy = server.flavor.extra_specs.get('hw:emulator_threads_policy')
    own = server.numa_topology.emulator_cpus if server.numa_topology else []
    if policy == 'isolate' and own:
        return cpu_sets.render(own)
    if policy == 'share' and host.conf.compute.cpu_shared_set:
        return cpu_sets.render(cpu_sets.parse(host.conf.compute.cpu_shared_set))
    taken: set[int] = set()
    for node in nodes(server):
        taken.update((node.cpu_pinning or {}).values())
        if not node.cpu_pinning:
            taken.update(_shared_of(host, node.id))
    return cpu_sets.render(taken) or None


def scheduling(conf: cfg.ConfigOpts, server: Server) -> list[VcpuSched]:
    """Return which processors are real-time ones: the dedicated ones that the mask leaves."""
    wishes = Wishes(server)
    if not wishes.flag('cpu_realtime'):
        return []
    pinned = {vcpu for node in nodes(server) for vcpu in node.cpu_pinning or {}}
    mask = wishes.text('cpu_realtime_mask')
    if mask:
        everything = f'0-{server.flavor.vcpus - 1},' if mask.startswith('^') else ''
        pinned &= cpu_sets.parse(everything + mask)
    priority = conf.libvirt.realtime_scheduler_priority
    return [VcpuSched(vcpus=str(vcpu), priority=priority) for vcpu in sorted(pinned)]


def tune(server: Server) -> NumaTune | None:
    """Return on which host nodes the memory is."""
    found = nodes(server)
    if not found:
        return None
    return NumaTune(
        nodeset=cpu_sets.render(node.id for node in found),
        nodes=[MemNode(cell=number, nodeset=str(node.id)) for number, node in enumerate(found)],
    )


def backing(conf: cfg.ConfigOpts, server: Server) -> MemoryBacking | None:
    """Return what guest memory is made of, where that is not the ordinary."""
    found = MemoryBacking(
        pages=[
            Page(size=node.pagesize_kb, nodeset=str(number))
            for number, node in enumerate(nodes(server))
            if node.pagesize_kb and node.pagesize_kb > SMALL_PAGE
        ],
        locked=bool(Wishes(server).flag('locked_memory')),
    )
    if Wishes(server).flag('cpu_realtime'):
        found.locked = found.not_shared = True
    if conf.libvirt.file_backed_memory:
        found.source, found.access, found.discard = 'file', 'shared', True
        found.allocation = 'immediate'
    elif _shares_memory(server):
        found.access = 'shared'
        found.source = None if found.pages else 'memfd'
    return None if found == MemoryBacking() else found


def _shares_memory(server: Server) -> bool:
    """Whether a process of the host reads the guest's memory: for shares and user-space NICs."""
    return bool(server.shares) or any(vif.type == 'vhostuser' for vif in server.network_info)


def _shared_of(host: Host, node_id: int) -> set[int]:
    """Return the shared processors of one host node."""
    cpus = host.capabilities.cell_cpus.get(node_id, frozenset())
    return set(cpus) & host_topology.shared(host.conf, host)
