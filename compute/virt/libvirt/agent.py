"""What the agent in a guest does for us: passwords, file systems that keep still."""

import contextlib
from collections.abc import Iterator

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.guest import Guest
from kilonova.compute.virt.libvirt.image_props import ImageProps

LOG = logging.getLogger(__name__)


def is_there(server: Server) -> bool:
    """Whether the image says that it has an agent, so that the guest got a channel to it."""
    return ImageProps(server.image).flag('hw_qemu_guest_agent')


def set_password(guest: Guest, server: Server, password: str) -> None:
    """Raises VirtDriverError: there is no agent, or it does not answer."""
    if not is_there(server):
        raise exception.VirtDriverError(
            reason='The image does not say that the guest has the QEMU guest agent '
            '(hw_qemu_guest_agent=yes).'
        )
    props = ImageProps(server.image)
    usual = 'Administrator' if props.get('os_type') == 'windows' else 'root'
    guest.set_password(props.get('os_admin_user') or usual, password)


@contextlib.contextmanager
def quiesced(guest: Guest, server: Server) -> Iterator[None]:
    """Keep the guest's file systems still, if that can be had or must be.

    Raises VirtDriverError when the image requires it and it cannot be had.
    """
    frozen = freeze(guest, server)
    try:
        yield
    finally:
        if frozen:
            thaw(guest)


def freeze(guest: Guest, server: Server) -> bool:
    """Have file systems stand still; tell whether they do.  Raises VirtDriverError: they must."""
    required = ImageProps(server.image).flag('os_require_quiesce')
    if not is_there(server) or guest.power_state() != PowerState.RUNNING:
        if required:
            raise exception.VirtDriverError(
                reason='The image requires that file systems are frozen for snapshots, '
                'but there is no guest agent that could do so.'
            )
        return False
    try:
        guest.freeze()
    except connection.HypervisorError as error:
        # A crash of ours may have left it frozen.
        thaw(guest)
        if required:
            raise
        LOG.warning('The file systems of server %s are not frozen: %s', server.uuid, error)
        return False
    return True


def thaw(guest: Guest) -> None:
    """Let file systems go on; that they do is not an error."""
    try:
        guest.thaw()
    except connection.HypervisorError as error:
        LOG.warning('The file systems of guest %s were not thawed: %s', guest.uuid, error)
