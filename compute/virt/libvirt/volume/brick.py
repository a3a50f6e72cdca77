"""os-brick: what logs the host itself in to storage, and mounts shares.

It is imported when it is needed: most hosts' volumes are reached by QEMU.
"""

import os
import shlex
import sys
from typing import Any

from oslo_concurrency import processutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception

LOG = logging.getLogger(__name__)

HELPER = 'from oslo_privsep.daemon import helper_main; helper_main()'
SUDO = 'sudo nova-rootwrap /etc/nova/rootwrap.conf'
INITIATOR = '/etc/iscsi/initiatorname.iscsi'


def initialize(conf: cfg.ConfigOpts) -> None:
    """Say where os-brick finds its options, and how its privileged helper is started."""
    from os_brick import opts, privileged

    # Its options are the process's; the locks must outlive it, and be every process's.
    assert opts is not None
    cfg.CONF.set_default('lock_path', os.path.join(conf.instances_path, 'locks'), 'os_brick')
    group = privileged.default.cfg_section
    if os.geteuid() == 0 and group in cfg.CONF:
        # The default goes through sudo, which need not be there when we are root already.
        words = [sys.executable, '-c', HELPER]
        for name in conf.config_file or []:
            words += ['--config-file', name]
        cfg.CONF.set_default('helper_command', shlex.join(words), group=group)


def properties(conf: cfg.ConfigOpts, host: str) -> dict[str, Any]:
    """Return what Cinder wants to know of this host."""
    from os_brick.initiator import connector as brick_connector

    found: dict[str, Any] = brick_connector.get_connector_properties(
        SUDO,
        conf.my_block_storage_ip,
        conf.libvirt.volume_use_multipath,
        conf.libvirt.volume_enforce_multipath,
        host=host,
    )
    return found


def initiator() -> str:
    """Return the host's iSCSI name; empty where open-iscsi is not installed."""
    try:
        with open(INITIATOR) as file:
            for line in file:
                name, _, value = line.partition('=')
                if name.strip() == 'InitiatorName':
                    return value.strip()
    except (FileNotFoundError, PermissionError):
        LOG.debug('%s cannot be read', INITIATOR)
    return ''


def connector(conf: cfg.ConfigOpts, protocol: str, **options: Any) -> Any:
    """Return os-brick's connector for a protocol.  Raises VirtDriverError."""
    from os_brick import exception as brick_exception
    from os_brick.initiator import connector as brick_connector

    try:
        return brick_connector.InitiatorConnector.factory(protocol, SUDO, **options)
    except (brick_exception.BrickException, ValueError) as error:
        raise exception.VirtDriverError(
            reason=f'Volumes cannot be reached by {protocol}: {error}'
        ) from error


def connect(found: Any, data: dict[str, Any], what: str) -> str:
    """Return the path of what was connected.  Raises VirtDriverError."""
    from os_brick import exception as brick_exception

    try:
        return str(found.connect_volume(data)['path'])
    except (brick_exception.BrickException, processutils.ProcessExecutionError, OSError) as error:
        raise exception.VirtDriverError(reason=f'{what} cannot be reached: {error}') from error


def disconnect(found: Any, data: dict[str, Any]) -> None:
    """Raises VirtDriverError."""
    from os_brick import exception as brick_exception

    try:
        found.disconnect_volume(data, None, force=True, ignore_errors=True)
    except (brick_exception.BrickException, processutils.ProcessExecutionError, OSError) as error:
        raise exception.VirtDriverError(
            reason=f'A volume could not be disconnected: {error}'
        ) from error


def extend(found: Any, data: dict[str, Any]) -> None:
    """Raises VirtDriverError."""
    from os_brick import exception as brick_exception

    try:
        found.extend_volume(data)
    except (brick_exception.BrickException, processutils.ProcessExecutionError, OSError) as error:
        raise exception.VirtDriverError(
            reason=f'The new size of a volume is not known here: {error}'
        ) from error
