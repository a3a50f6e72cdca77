"""Where the consoles of a running guest are, as its domain tells."""

from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.objects.console import ConsolePlace
from kilonova.compute.virt.libvirt.guest import Guest
from kilonova.compute.virt.libvirt.xml.element import Node


def vnc(conf: cfg.ConfigOpts, guest: Guest) -> ConsolePlace:
    """Raises GuestNotFound, ConsoleTypeUnavailable."""
    display = _find(guest, "devices/graphics[@type='vnc']", 'vnc')
    port = _port(display, 'port')
    if port is None:
        raise exception.ConsoleTypeUnavailable(console_type='vnc')
    return ConsolePlace(host=conf.vnc.server_proxyclient_address, port=port)


def spice(conf: cfg.ConfigOpts, guest: Guest) -> ConsolePlace:
    """Raises GuestNotFound, ConsoleTypeUnavailable."""
    display = _find(guest, "devices/graphics[@type='spice']", 'spice')
    port, tls_port = _port(display, 'port'), _port(display, 'tlsPort')
    if port is None and tls_port is None:
        raise exception.ConsoleTypeUnavailable(console_type='spice')
    host = conf.spice.server_proxyclient_address
    return ConsolePlace(host=host, port=port or tls_port or 0, tls_port=tls_port)


def serial(guest: Guest) -> ConsolePlace:
    """Raises GuestNotFound, ConsoleTypeUnavailable."""
    source = _find(guest, "devices/serial[@type='tcp']/source[@mode='bind']", 'serial')
    return ConsolePlace(host=str(source.get('host')), port=int(str(source.get('service'))))


def _find(guest: Guest, path: str, kind: str) -> Node:
    if not guest.is_active():
        raise exception.GuestNotFound(instance_id=guest.uuid)
    found = guest.live_xml().find(path)
    if found is None:
        raise exception.ConsoleTypeUnavailable(console_type=kind)
    return found


def _port(display: Node, name: str) -> int | None:
    """Return a port that libvirt has picked; what is off has none, or -1."""
    port = int(display.get(name) or -1)
    return port if port > 0 else None
