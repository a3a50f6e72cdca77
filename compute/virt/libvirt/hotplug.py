"""Devices of guests that exist: put in, and taken out again.

A running guest has its devices twice: as it runs, and as it will be started the next time.
Taking a device out is a request to the guest, which may need its time, or may not hear it
while it boots; so it is repeated.  The end is looked for in the domain itself: libvirt takes
the device out of it before it sends DEVICE_REMOVED, and there it is also found by who
was not connected when the event was sent.
"""

import time
from collections.abc import Callable

from lxml import etree
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.guest import Guest
from kilonova.compute.virt.libvirt.xml.element import Element, Node

LOG = logging.getLogger(__name__)

Find = Callable[[Node], Node | None]
"""Returns a device in a domain's XML."""
INTERVAL = 0.2


def attach(guest: Guest, device: Element, find: Find) -> None:
    """Put a device into a guest where it is missing."""
    live = guest.is_active() and find(guest.live_xml()) is None
    config = find(guest.xml()) is None
    if live or config:
        guest.attach_device(device.to_xml(), live=live, config=config)


def detach(conf: cfg.ConfigOpts, guest: Guest, find: Find) -> None:
    """Take a device out of a guest; no error when it is out.  Raises VirtDriverError."""
    node = find(guest.xml())
    if node is not None:
        guest.detach_device(text(node), live=False, config=True)
    for _attempt in range(conf.libvirt.device_detach_attempts):
        node = _live(guest, find)
        if node is None:
            return
        _ask(guest, node)
        if _wait_gone(guest, find, conf.libvirt.device_detach_timeout):
            return
        LOG.info('Guest %s still holds its <%s>; it is asked again', guest.uuid, node.tag)
    attempts, seconds = conf.libvirt.device_detach_attempts, conf.libvirt.device_detach_timeout
    raise exception.VirtDriverError(
        reason=f'The guest did not let go of the device, though asked {attempts} times '
        f'with {seconds} seconds each.'
    )


def text(node: Node) -> str:
    """Return a device as text."""
    return etree.tostring(node, encoding='unicode')


def _live(guest: Guest, find: Find) -> Node | None:
    return find(guest.live_xml()) if guest.is_active() else None


def _ask(guest: Guest, node: Node) -> None:
    """Press the button.  Two answers are none: it is gone, or was asked before."""
    lib = connection.library()
    try:
        guest.detach_device(text(node), live=True, config=False)
    except connection.HypervisorError as error:
        pending = error.number == lib.VIR_ERR_OPERATION_FAILED
        if not pending and error.number not in (
            lib.VIR_ERR_DEVICE_MISSING,
            lib.VIR_ERR_OPERATION_INVALID,
        ):
            raise
        LOG.debug('Detaching from guest %s: %s', guest.uuid, error)


def _wait_gone(guest: Guest, find: Find, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while _live(guest, find) is not None:
        if time.monotonic() >= end:
            return False
        time.sleep(INTERVAL)
    return True
