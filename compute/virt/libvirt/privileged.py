"""What has to be done as root, when nova-compute is not: runs in a privsep daemon."""

import os

from oslo_privsep import capabilities, priv_context

from kilonova.compute.virt.libvirt import console
from kilonova.compute.virt.libvirt.guest_devices import CONSOLE_LOG

sys_admin = priv_context.PrivContext(
    'kilonova.compute.virt.libvirt',
    cfg_section='nova_sys_admin',
    pypath=__name__ + '.sys_admin',
    capabilities=[capabilities.CAP_DAC_READ_SEARCH],
)


@sys_admin.entrypoint
def read_console(path: str, limit: int) -> bytes:
    """Return the end of a console log that virtlogd has made as root."""
    real = os.path.realpath(path)
    if not os.path.basename(real).startswith(CONSOLE_LOG):
        raise PermissionError(f'{path} is no console log')
    return console.read_end(real, limit)
