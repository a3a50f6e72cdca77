"""Giving servers their NUMA nodes, processors, pages and PCI devices.

The scheduler says that there is a way; the way itself is found here, by whoever writes down that
the server goes to the host, and while it holds the node's row, so that two servers never
get the same.
"""

import uuid as uuid_module
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from oslo_config import cfg
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.fitting import claim, extra_specs, guest, numa, pci
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.host import ComputeNode
from kilonova.common.objects.image import Image
from kilonova.common.objects.layout import Layout
from kilonova.common.objects.numa import host_topology
from kilonova.common.objects.pci import PciDevice, PciRequest, devices_of
from kilonova.common.objects.request_spec import Selection
from kilonova.common.objects.server import Server
from kilonova.db import hosts, layouts
from kilonova.db.models.cell import ComputeNodeRow


def check(conf: cfg.ConfigOpts, flavor: Flavor, image: Image) -> None:
    """Raise Invalid when no host whatever could lay such a server out."""
    extra_specs.check(flavor, image)
    guest.wish_of(flavor, image)
    pci.requests_of(flavor, image, pci.aliases_of(conf))


def check_rebuild(server: Server, image: Image) -> None:
    """Raise Invalid when an image would give a server other nodes, pages or processors."""
    if server.host is None:
        return
    now, then = guest.wish_of(server.flavor, server.image), guest.wish_of(server.flavor, image)
    if now != then:
        raise exception.InvalidTopology(
            "An instance's NUMA topology cannot be changed as part of a rebuild. The image provided "
            'is invalid for this instance.'
        )


def find(
    session: Session,
    conf: cfg.ConfigOpts,
    uuid: str,
    flavor: Flavor,
    image: Image,
    to: Selection,
    ignore: Iterable[str] = (),
) -> Layout | None:
    """Return what a server gets on a host; None: it needs nothing special.

    Locks the node until the transaction ends.  What the server itself has there already
    (of an earlier try) is free to it; so is what the servers ``ignore`` have.  Raises Misfit.
    """
    wish = guest.wish_of(flavor, image)
    requests = [*pci.requests_of(flavor, image, pci.aliases_of(conf)), *to.pci_requests]
    if wish is None and not requests:
        return None
    node = _locked(session, to.host, to.node)
    if conf.filter_scheduler.pci_in_placement:
        node.pci_devices = _allocated(node, to)
    there = layouts.taken(session, [to.host]).get((to.host, to.node), layouts.Taken())
    own = {uuid, *ignore}
    guests = [layout for (other, _), layout in there.guests.items() if other not in own]
    return claim.claim(
        node,
        guests,
        there.devices,
        wish,
        requests,
        conf.compute.packing_host_numa_cells_allocation_strategy,
    )


def find_more(session: Session, server: Server, requests: Sequence[PciRequest]) -> list[PciDevice]:
    """Return devices for a server where it is.  Locks the node as ``find`` does.  Raises Misfit."""
    assert server.host is not None and server.node is not None
    node = _locked(session, server.host, server.node)
    there = layouts.taken(session, [server.host]).get((server.host, server.node), layouts.Taken())
    free = pci.free_of(devices_of(node.pci_devices), there.devices)
    near = pci.nodes_of(server.numa_topology)
    found = pci.choose(requests, free, host_topology(node.numa_topology), near)
    if found is None:
        raise numa.Misfit('too few free PCI devices')
    return found


def node_uuid(session: Session, server: Server) -> str | None:
    """Return the provider, in placement, of a server's host."""
    return session.scalar(
        sa.select(ComputeNodeRow.uuid).where(
            ComputeNodeRow.host == server.host, ComputeNodeRow.hypervisor_hostname == server.node
        )
    )


def _locked(session: Session, host: str, name: str) -> ComputeNode:
    row = session.scalars(
        sa.select(ComputeNodeRow)
        .where(ComputeNodeRow.host == host, ComputeNodeRow.hypervisor_hostname == name)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise numa.Misfit('the host is gone')
    return hosts.to_node(row)


def _allocated(node: ComputeNode, to: Selection) -> list[dict[str, Any]]:
    """Return the devices whose providers the server's claim is on, and those that placement has not."""
    root = uuid_module.UUID(node.uuid)
    return [
        device
        for device in node.pci_devices
        if str(uuid_module.uuid5(root, provider_name(node.hypervisor_hostname, device)))
        in to.allocations
        or 'physical_network' in device.get('tags', {})
    ]


def provider_name(node: str, device: dict[str, Any]) -> str:
    """Return what the host calls the provider of a device: see ``compute.pci_inventory``."""
    return f'{node}_{(device.get("parent_addr") or device["address"]).upper()}'
