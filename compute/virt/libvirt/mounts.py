"""File shares that guests use: mounted on the host once, for all guests that have them."""

import contextlib
import hashlib
import os
from typing import Any

from oslo_concurrency import lockutils, processutils
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.share import Share
from kilonova.compute.virt.libvirt import privileged

LOG = logging.getLogger(__name__)

KINDS = {'NFS': 'nfs', 'CEPHFS': 'ceph'}


def path(conf: cfg.ConfigOpts, share: Share) -> str:
    """Return where a share is mounted: one place for all that use the same export."""
    base = conf.libvirt.nfs_mount_point_base
    if share.protocol == 'CEPHFS':
        base = conf.libvirt.ceph_mount_point_base
    name = hashlib.md5(share.export_location.encode(), usedforsecurity=False).hexdigest()
    return os.path.join(base, name)


class Mounts:
    """Mounts and unmounts; who uses a share is noted by a file for each server beside it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def mount(self, server_uuid: str, share: Share) -> None:
        """No error when it is mounted.  Raises ShareMountError."""
        where = path(self._conf, share)
        with self._alone(where):
            os.makedirs(where, exist_ok=True)
            if not os.path.ismount(where):
                kind, options = self._how(share)
                try:
                    privileged.mount(kind, share.export_location, where, options)
                except (processutils.ProcessExecutionError, OSError) as error:
                    raise _failed(share, error) from error
            os.makedirs(where + '.users', exist_ok=True)
            with open(os.path.join(where + '.users', server_uuid), 'w'):
                pass

    def unmount(self, server_uuid: str, share: Share) -> None:
        """Unmount for the last user; no error when it is not mounted."""
        where = path(self._conf, share)
        with self._alone(where):
            users = where + '.users'
            if os.path.exists(os.path.join(users, server_uuid)):
                os.unlink(os.path.join(users, server_uuid))
            if os.path.isdir(users) and os.listdir(users):
                return
            try:
                if os.path.ismount(where):
                    privileged.unmount(where)
            except (processutils.ProcessExecutionError, OSError) as error:
                raise _failed(share, error) from error
            for folder in (where, users):
                if os.path.isdir(folder):
                    os.rmdir(folder)

    def _how(self, share: Share) -> tuple[str, list[str]]:
        libvirt = self._conf.libvirt
        if share.protocol == 'CEPHFS':
            return KINDS['CEPHFS'], list(libvirt.ceph_mount_options or [])
        return KINDS['NFS'], ['-o', libvirt.nfs_mount_options] if libvirt.nfs_mount_options else []

    def _alone(self, where: str) -> contextlib.AbstractContextManager[Any]:
        held: contextlib.AbstractContextManager[Any] = lockutils.lock(f'mount-{where}')
        return held


def _failed(share: Share, error: Exception) -> exception.ShareAccessError:
    reason = error.stderr if isinstance(error, processutils.ProcessExecutionError) else str(error)
    return exception.ShareAccessError(share_id=share.share_id, reason=str(reason).strip())
