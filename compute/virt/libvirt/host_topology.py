"""The host's NUMA nodes as the scheduler wants them, and which processors are for whom."""

from typing import Any

import msgspec
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.numa import HostCell, HostTopology
from kilonova.compute.virt.libvirt import cpu_sets
from kilonova.compute.virt.libvirt.capabilities import HostNode
from kilonova.compute.virt.libvirt.host import Host


def shared(conf: cfg.ConfigOpts, host: Host) -> set[int]:
    """Return the processors that guests share.  Raises VirtDriverError."""
    wanted = _configured(conf, host, 'cpu_shared_set')
    if wanted is None:
        return host.online_cpus() - dedicated(conf, host)
    return wanted


def dedicated(conf: cfg.ConfigOpts, host: Host) -> set[int]:
    """Return the processors that guests may have for their own.  Raises VirtDriverError."""
    return _configured(conf, host, 'cpu_dedicated_set') or set()


def _configured(conf: cfg.ConfigOpts, host: Host, option: str) -> set[int] | None:
    text = conf.compute[option]
    if not text:
        return None
    wanted = cpu_sets.parse(text)
    missing = wanted - host.online_cpus()
    if missing:
        raise exception.VirtDriverError(
            reason=f'[compute]{option} names processors that are not online: '
            + ', '.join(map(str, sorted(missing)))
        )
    return wanted


def check(conf: cfg.ConfigOpts, host: Host) -> None:
    """Raise VirtDriverError when a processor is for both uses."""
    both = shared(conf, host) & dedicated(conf, host)
    if both:
        raise exception.VirtDriverError(
            reason='[compute]cpu_shared_set and cpu_dedicated_set both name '
            + cpu_sets.render(both)
        )


def report(conf: cfg.ConfigOpts, host: Host) -> dict[str, Any] | None:
    """Return the topology for the node's record; None when libvirt knows of no nodes."""
    nodes = host.capabilities.nodes
    if not nodes:
        return None
    floating, own = shared(conf, host), dedicated(conf, host)
    topology = HostTopology(cells=[_cell(node, floating, own) for node in nodes])
    found: dict[str, Any] = msgspec.to_builtins(topology, str_keys=True)
    return found


def _cell(node: HostNode, floating: set[int], own: set[int]) -> HostCell:
    cpus = set(node.siblings)
    groups = {group for group in node.siblings.values() if len(group) > 1}
    return HostCell(
        id=node.id,
        cpus=sorted(cpus & floating),
        pcpus=sorted(cpus & own),
        memory_mb=node.memory_kb // 1024,
        siblings=[list(group) for group in sorted(groups)],
        pages={size: count for size, count in node.pages.items() if count},
        socket=min(node.sockets.values(), default=None),
    )
