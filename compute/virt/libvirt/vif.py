"""Ports: plugged by os-vif, wired into the domain by <interface>.

Open vSwitch ports are made by os-vif under the tap's name before libvirt makes the tap, so
one way serves the kernel's and the user-space datapath, and libvirt needs no access to
the switch.
"""

import os
import shlex
import sys
from collections.abc import Iterable
from typing import Any

import os_vif
import os_vif.objects.fields
import os_vif.objects.instance_info
import os_vif.objects.network
import os_vif.objects.subnet
import os_vif.objects.vif
from os_vif import exception as os_vif_exception
from os_vif import objects
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.network import VIF
from kilonova.common.objects.server import Server
from kilonova.compute.virt.libvirt import pci
from kilonova.compute.virt.libvirt.image_props import ImageProps
from kilonova.compute.virt.libvirt.wishes import Wishes
from kilonova.compute.virt.libvirt.xml import interface
from kilonova.compute.virt.libvirt.xml.element import Element
from kilonova.compute.virt.libvirt.xml.hostdev import Address, Hostdev

LOG = logging.getLogger(__name__)

NAME_LENGTH = 14
UNUSABLE = {
    None: 'Neutron has not bound it',
    'unbound': 'Neutron has not bound it',
    'binding_failed': 'Neutron could not bind it to this host',
}
MAX_QUEUES = 256
CARDS = ('hw_veb', 'hostdev_physical', 'ib_hostdev')
"""Types of ports that are PCI devices of the host."""
OFFLOADED = ('direct', 'vdpa')
"""Kinds of ports of Open vSwitch that are virtual functions of a card."""
# Ports with a tap of the kernel, whose traffic libvirt can limit.
LIMITED = ('ovs', 'tap', 'bridge')
LIMITS = tuple(
    f'{way}_{what}' for way in ('inbound', 'outbound') for what in ('average', 'peak', 'burst')
)
PRIVSEP_HELPER = 'from oslo_privsep.daemon import helper_main; helper_main()'


def initialize(conf: cfg.ConfigOpts) -> None:
    """Load os-vif's plugins and say how their privileged helper is started."""
    os_vif.initialize()
    group = 'vif_plug_ovs_privileged'
    if os.geteuid() == 0 and group in cfg.CONF:
        # The default goes through sudo, which need not be there when we are root already.
        words = [sys.executable, '-c', PRIVSEP_HELPER]
        for name in conf.config_file or []:
            words += ['--config-file', name]
        cfg.CONF.set_default('helper_command', shlex.join(words), group=group)


def plug(server: Server, name: str, vifs: Iterable[VIF]) -> None:
    """Put the ports on their switches.  Raises VirtDriverError."""
    for vif in vifs:
        if vif.type in UNUSABLE:
            raise exception.VirtDriverError(reason=f'Port {vif.id}: {UNUSABLE[vif.type]}.')
        port = to_os_vif(vif)
        if port is None:
            continue
        try:
            os_vif.plug(port, _instance(server, name))
        except os_vif_exception.ExceptionBase as error:
            raise exception.VirtDriverError(
                reason=f'Port {vif.id} could not be plugged: {error}'
            ) from error


def unplug(server: Server, name: str, vifs: Iterable[VIF]) -> None:
    """Take the ports off their switches; all are tried.  Raises VirtDriverError."""
    failed = []
    for vif in vifs:
        port = to_os_vif(vif)
        if port is None:
            continue
        try:
            os_vif.unplug(port, _instance(server, name))
        except os_vif_exception.ExceptionBase as error:
            LOG.warning('Port %s of server %s was not unplugged: %s', vif.id, server.uuid, error)
            failed.append(vif.id)
    if failed:
        raise exception.VirtDriverError(
            reason=f'These ports could not be unplugged: {", ".join(failed)}'
        )


def _instance(server: Server, name: str) -> Any:
    return objects.instance_info.InstanceInfo(
        uuid=server.uuid, name=name, project_id=server.project_id
    )


def to_os_vif(vif: VIF) -> Any:
    """Return what os-vif is to plug, or None for ports that libvirt alone wires."""
    if vif.type == 'ovs' and vif.vnic_type in OFFLOADED:
        return _representor(vif)
    if vif.type == 'ovs':
        return _ovs_hybrid(vif) if vif.details.get('ovs_hybrid_plug') else _ovs(vif)
    if vif.type == 'vhostuser' and vif.details.get('vhostuser_ovs_plug'):
        return objects.vif.VIFVHostUser(
            **_common(vif),
            vif_name=('vhu' + vif.id)[:NAME_LENGTH],
            path=vif.details['vhostuser_socket'],
            mode=vif.details.get('vhostuser_mode', 'server'),
            port_profile=_profile(vif),
        )
    return None


def _ovs(vif: VIF) -> Any:
    profile = _profile(vif)
    profile.create_port = True
    profile.create_tap = bool(vif.details.get('ovs_create_tap'))
    return objects.vif.VIFOpenVSwitch(
        **_common(vif), vif_name=tap_name(vif), bridge_name=_bridge(vif), port_profile=profile
    )


def _representor(vif: VIF) -> Any:
    """Return a virtual function whose other end, its representor, is on the switch."""
    profile = objects.vif.VIFPortProfileOVSRepresentor(
        interface_id=vif.id, representor_name=tap_name(vif), representor_address=_slot(vif)
    )
    if vif.details.get('datapath_type'):
        profile.datapath_type = vif.details['datapath_type']
    return objects.vif.VIFHostDevice(
        **_common(vif),
        dev_address=_slot(vif),
        dev_type=os_vif.objects.fields.VIFHostDeviceDevType.ETHERNET,
        port_profile=profile,
    )


def _ovs_hybrid(vif: VIF) -> Any:
    return objects.vif.VIFBridge(
        **_common(vif),
        vif_name=tap_name(vif),
        bridge_name=hybrid_bridge(vif),
        port_profile=_profile(vif),
    )


def _common(vif: VIF) -> dict[str, Any]:
    network = objects.network.Network(
        id=vif.network_id,
        label=vif.label,
        bridge=_bridge(vif),
        subnets=objects.subnet.SubnetList(objects=[]),
    )
    if vif.mtu:
        network.mtu = vif.mtu
    return {
        'id': vif.id,
        'address': vif.address,
        'network': network,
        'plugin': 'ovs',
        'active': vif.active,
        'preserve_on_delete': vif.preserve_on_delete,
        'has_traffic_filtering': bool(vif.details.get('port_filter')),
    }


def _profile(vif: VIF) -> Any:
    profile = objects.vif.VIFPortProfileOpenVSwitch(interface_id=vif.id)
    if vif.details.get('datapath_type'):
        profile.datapath_type = vif.details['datapath_type']
    return profile


def _bridge(vif: VIF) -> str:
    return str(vif.details.get('bridge_name') or vif.bridge or 'br-int')


def tap_name(vif: VIF) -> str:
    """Return the name of the port's device on the host."""
    return vif.devname or ('tap' + vif.id)[:NAME_LENGTH]


def hybrid_bridge(vif: VIF) -> str:
    """Return the Linux bridge between tap and switch, on which iptables can filter."""
    return ('qbr' + vif.id)[:NAME_LENGTH]


def to_xml(conf: cfg.ConfigOpts, server: Server, vif: VIF) -> Element:
    """Return the port's <interface> or <hostdev>.  Raises VirtDriverError for types we do not know."""
    if vif.type in CARDS or (vif.type == 'ovs' and vif.vnic_type in OFFLOADED):
        return _of_card(conf, server, vif)
    common = _hardware(conf, server, vif)
    details = vif.details
    if vif.type == 'ovs' and details.get('ovs_hybrid_plug'):
        return interface.Bridge(bridge=hybrid_bridge(vif), target=tap_name(vif), **common)
    if vif.type in ('ovs', 'tap'):
        managed = 'no' if details.get('ovs_create_tap') else None
        return interface.Tap(target=tap_name(vif), managed=managed, **common)
    if vif.type == 'bridge':
        return interface.Bridge(bridge=_bridge(vif), target=tap_name(vif), **common)
    if vif.type == 'vhostuser':
        return interface.VhostUser(
            path=details['vhostuser_socket'],
            mode=details.get('vhostuser_mode', 'server'),
            **{**common, 'tx_queue_size': conf.libvirt.tx_queue_size},
        )
    if vif.type == 'macvtap':
        return interface.Direct(
            source=details['macvtap_source'],
            mode=details['macvtap_mode'],
            target=tap_name(vif),
            **common,
        )
    why = UNUSABLE.get(vif.type, f'ports of type {vif.type} are not supported')
    raise exception.VirtDriverError(reason=f'Port {vif.id}: {why}.')


def _of_card(conf: cfg.ConfigOpts, server: Server, vif: VIF) -> Element:
    """Return a port that is a PCI device of the host."""
    slot = _slot(vif)
    if vif.type in ('hostdev_physical', 'ib_hostdev') or vif.vnic_type == 'direct-physical':
        return Hostdev(source=Address.of(slot))
    if vif.vnic_type == 'vdpa':
        return interface.Vdpa(source=pci.vdpa_of(slot), **_hardware(conf, server, vif))
    vlan = vif.details.get('vlan') if vif.type == 'hw_veb' else None
    tag = int(vlan) if vlan else None
    if vif.vnic_type == 'macvtap':
        source = pci.interface_of(slot)
        hardware = _hardware(conf, server, vif)
        return interface.Direct(source=source, mode='passthrough', vlan=tag, **hardware)
    return interface.Function(mac=vif.address, address=Address.of(slot, 'pci'), vlan=tag)


def _slot(vif: VIF) -> str:
    slot = vif.profile.get('pci_slot')
    if not slot:
        raise exception.VirtDriverError(reason=f'Port {vif.id}: no PCI device was chosen for it.')
    return str(slot)


def _hardware(conf: cfg.ConfigOpts, server: Server, vif: VIF) -> dict[str, Any]:
    """Return what the guest sees of the port."""
    wishes = Wishes(server)
    model = ImageProps(server.image).get('hw_vif_model')
    if model is None and conf.libvirt.use_virtio_for_bridges:
        model = 'virtio'
    found: dict[str, Any] = {'mac': vif.address, 'model': model, 'mtu': vif.mtu}
    if vif.type in LIMITED:
        found |= {name: wishes.quota(f'vif_{name}') for name in LIMITS}
    if model != 'virtio':
        return found
    found['rx_queue_size'] = conf.libvirt.rx_queue_size
    if wishes.flag('virtio_packed_ring'):
        found['packed'] = 'on'
    if wishes.flag('vif_multiqueue_enabled') and server.flavor.vcpus > 1:
        found['queues'] = min(server.flavor.vcpus, conf.libvirt.max_queues or MAX_QUEUES)
    return found
