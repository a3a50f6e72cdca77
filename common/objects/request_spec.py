"""What is asked of the scheduler, and what it answers."""

from typing import Any

import msgspec

from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import NetworkRequest
from kilonova.common.objects.pci import PciRequest
from kilonova.common.objects.server_group import Membership


class PortGroup(msgspec.Struct, kw_only=True):
    """What a port wants of one resource provider; ``id`` is Neutron's, for the group."""

    id: str
    port_id: str
    resources: dict[str, int]
    required: list[str] = []


class RequestSpec(msgspec.Struct, kw_only=True):
    """One scheduling request, for one or more like servers."""

    flavor: Flavor
    image: Image = msgspec.field(default_factory=Image)
    project_id: str
    user_id: str
    availability_zone: str | None = None
    forced_host: str | None = None
    forced_node: str | None = None
    requested_host: str | None = None
    requested_hypervisor_hostname: str | None = None
    ignore_hosts: list[str] = []
    scheduler_hints: dict[str, Any] = {}
    is_bfv: bool = False
    """Boot from volume: the root disk takes no local storage."""
    swap_mb: int = 0
    ephemeral_gb: int = 0
    group: Membership | None = None
    has_volumes: bool = False
    """Volumes may be reserved for the servers."""
    networks: list[NetworkRequest] = []
    port_groups: list[PortGroup] = []
    same_subtree: list[list[str]] = []
    pci_requests: list[PciRequest] = []
    """Of ports that are PCI devices.  These three are filled in anew for each decision."""
    cell_id: int | None = None
    """The cell in which the server is, and stays: its record is in that cell's database."""


class Selection(msgspec.Struct, kw_only=True):
    """One host.  ``allocations`` is the body part of ``PUT /allocations/{consumer}``.

    The first selection of a server has been claimed, and ``consumer_generation`` is what
    ``Placement.release`` needs to give it back; an alternate is claimed by whoever turns
    to it.
    """

    host: str
    node: str
    compute_node_uuid: str
    availability_zone: str
    allocations: dict[str, Any] = {}
    consumer_generation: int | None = None
    ports: dict[str, dict[str, str]] = {}
    """Of ports with resource requests: group to the provider that serves it."""
    pci_requests: list[PciRequest] = []
    """Devices for ports, to be given when the host is written down."""
    decision: str = ''
    """In a line, what each stage left of the hosts."""
    cell_id: int | None = None
