"""Requested networks and the virtual interfaces that came of them."""

from typing import Any

import msgspec

from kilonova.common.objects.place import Place

OF_HOST = (
    'allocation', 'pci_slot', 'pci_vendor_info', 'physical_network', 'device_mac_address',
    'card_serial_number', 'pf_mac_address', 'vf_num',
)  # fmt: skip
"""Keys of a binding profile that come and go with the host; all others are the port's owner's."""


class NetworkRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One entry of ``networks`` in a server create request.

    ``vnic_type`` and ``subnets`` (those of its addresses) are known of a port that exists.
    """

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None
    vnic_type: str | None = None
    subnets: list[str] = []
    profile: dict[str, Any] = {}
    """What the binding profile of a port has to say of its host: see ``OF_HOST``."""


class Networks(msgspec.Struct, kw_only=True, omit_defaults=True):
    """``mode`` is 'none', 'auto' or 'list'; ``requests`` is filled for 'list'.

    The API resolves 'auto' and an empty request as far as it can by looking at Neutron:
    one usable network becomes a 'list' of it; 'auto' stays only when
    ``auto-allocated-topology`` has to be asked at build time.
    """

    mode: str = 'list'
    requests: list[NetworkRequest] = []


class FixedIP(msgspec.Struct, kw_only=True, omit_defaults=True):
    address: str
    version: int = 4
    subnet_id: str | None = None
    floating_ips: list[str] = []


class Route(msgspec.Struct, kw_only=True, omit_defaults=True):
    cidr: str
    gateway: str


class Subnet(msgspec.Struct, kw_only=True, omit_defaults=True):
    id: str
    cidr: str
    version: int = 4
    gateway: str | None = None
    dns: list[str] = []
    routes: list[Route] = []
    dhcp: bool = False
    dhcp_server: str | None = None
    ipv6_address_mode: str | None = None


class VIF(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One port of a server.  ``id`` is the Neutron port's; ``label`` the network's name.

    ``place`` is kept of those that metadata tells of.
    """

    id: str
    address: str
    network_id: str
    label: str = ''
    fixed_ips: list[FixedIP] = []
    subnets: list[Subnet] = []
    devname: str | None = None
    type: str | None = None
    details: dict[str, Any] = {}
    profile: dict[str, Any] = {}
    vnic_type: str = 'normal'
    active: bool = False
    mtu: int | None = None
    bridge: str | None = None
    tenant_id: str | None = None
    physical_network: str | None = None
    preserve_on_delete: bool = False
    tag: str | None = None
    place: Place | None = None

    @property
    def vlan(self) -> int | None:
        """The VLAN that a virtual function leaves to its guest."""
        given = self.details.get('vlan')
        return int(given) if given and self.vnic_type in ('direct', 'macvtap') else None

    @property
    def is_told(self) -> bool:
        """Whether metadata tells the guest of this very device."""
        return bool(self.tag) or self.vlan is not None


def profile_with(known: dict[str, Any] | None, of_host: dict[str, Any]) -> dict[str, Any]:
    """Return a port's binding profile with what another host makes of it."""
    own = {key: value for key, value in (known or {}).items() if key not in OF_HOST}
    return {**own, **of_host}
