"""Ports of guests that exist."""

from kilonova.common import exception, naming
from kilonova.common.objects.network import VIF
from kilonova.common.objects.place import Places
from kilonova.common.objects.server import Server
from kilonova.compute.virt import driver
from kilonova.compute.virt.libvirt import hotplug, places, vif
from kilonova.compute.virt.libvirt.guest import Guests
from kilonova.compute.virt.libvirt.host import Host
from kilonova.compute.virt.libvirt.xml.element import Node
from kilonova.compute.virt.libvirt.xml.hostdev import Address


class Interfaces:
    """Attaches and detaches them on one host."""

    def __init__(self, host: Host, guests: Guests) -> None:
        self._host, self._guests = host, guests

    def attach(self, server: Server, port: VIF) -> None:
        """Plug and attach; one that the guest does not take is unplugged again."""
        guest = self._guests.find(server.uuid)
        device = vif.to_xml(self._host.conf, server, port)
        name = self._name(server)
        vif.plug(server, name, [port])
        try:
            hotplug.attach(guest, device, _finder(port))
        except exception.KilonovaError:
            vif.unplug(server, name, [port])
            raise

    def detach(self, server: Server, port: VIF) -> None:
        hotplug.detach(self._host.conf, self._guests.find(server.uuid), _finder(port))
        vif.unplug(server, self._name(server), [port])

    def places(self, server: Server) -> Places:
        return places.read(self._guests.find(server.uuid).live_xml())

    def _name(self, server: Server) -> str:
        return naming.instance_name(self._host.conf.instance_name_template, server)


def _finder(port: VIF) -> hotplug.Find:
    """Find by MAC address, or by the PCI address of a device that has none of its own."""
    slot = port.profile.get('pci_slot')

    def find(domain: Node) -> Node | None:
        for node in domain.findall('devices/hostdev'):
            source = node.find('source/address')
            if source is not None and str(Address.parse(source)) == slot:
                return node
        for node in domain.findall('devices/interface'):
            mac = node.find('mac')
            if mac is not None and str(mac.get('address')).lower() == port.address.lower():
                return node
        return None

    return find


class LibvirtInterfaces(driver.Interfaces):
    """This part of the driver."""

    _interfaces: Interfaces

    def attach_interface(self, server: Server, vif: VIF) -> None:
        self._interfaces.attach(server, vif)

    def detach_interface(self, server: Server, vif: VIF) -> None:
        self._interfaces.detach(server, vif)

    def get_places(self, server: Server) -> Places:
        return self._interfaces.places(server)
