"""How this host reaches a volume: one class for each way, one table of Cinder's names for them.

``connect`` makes the volume reachable and returns where it is; it may be called again for one
that is connected, and so gives what a start of the guest needs.
"""

import abc
import base64
import os
from typing import Any

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.compute.virt.libvirt.volume import brick
from kilonova.compute.virt.libvirt.volume.secrets import Secrets
from kilonova.compute.virt.libvirt.xml.disk import Auth, Disk, SourceHost

LOG = logging.getLogger(__name__)

Data = dict[str, Any]
Place = dict[str, Any]
"""Where the guest has the disk: ``target``, ``bus``."""


class Way(abc.ABC):
    """Reaches volumes of one kind."""

    def __init__(self, conf: cfg.ConfigOpts, secrets: Secrets) -> None:
        self._conf, self._secrets = conf, secrets

    @abc.abstractmethod
    def connect(self, data: Data, place: Place) -> Disk:
        """Raises VirtDriverError, and says why the volume cannot be reached."""

    def disconnect(self, data: Data) -> None:  # noqa: B027  (QEMU lets go by itself)
        """No error when it is not connected."""

    def extend(self, data: Data) -> None:  # noqa: B027
        """See that the host knows of the volume's new size."""


class ByFile(Way):
    """A file that is simply there."""

    def connect(self, data: Data, place: Place) -> Disk:
        return _file(str(data['device_path']), data, place)


class ByShare(Way):
    """A file on a share that os-brick mounts."""

    def connect(self, data: Data, place: Place) -> Disk:
        return _file(brick.connect(self._connector(), data, data['export']), data, place)

    # A share stays mounted: other guests of the host use it.

    def _connector(self) -> Any:
        return brick.connector(
            self._conf,
            'nfs',
            nfs_mount_point_base=self._conf.libvirt.nfs_mount_point_base,
            nfs_mount_options=self._conf.libvirt.nfs_mount_options or None,
        )


class ByHost(Way):
    """A block device that os-brick makes of the host's own initiator."""

    def __init__(self, conf: cfg.ConfigOpts, secrets: Secrets, protocol: str) -> None:
        super().__init__(conf, secrets)
        self._protocol = protocol

    def connect(self, data: Data, place: Place) -> Disk:
        path = brick.connect(self._connector(), data, data.get('target_iqn') or self._protocol)
        return Disk(
            type='block',
            format='raw',
            dev=path,
            cache='none',
            io='native',
            discard=_discard(data),
            **place,
        )

    def disconnect(self, data: Data) -> None:
        brick.disconnect(self._connector(), data)

    def extend(self, data: Data) -> None:
        brick.extend(self._connector(), data)

    def _connector(self) -> Any:
        conf = self._conf.libvirt
        return brick.connector(
            self._conf,
            self._protocol,
            use_multipath=conf.volume_use_multipath,
            device_scan_attempts=conf.num_volume_scan_tries,
            transport=conf.iscsi_iface or 'default',
        )


class IscsiByQemu(Way):
    """An iSCSI target that QEMU logs in to."""

    def connect(self, data: Data, place: Place) -> Disk:
        host, port = _portal(data['target_portal'])
        user, secret = data.get('auth_username'), None
        if data.get('auth_password'):
            secret = self._secrets.keep('iscsi', _usage(data), data['auth_password'].encode())
        return _network(
            'iscsi',
            f'{data["target_iqn"]}/{data.get("target_lun", 0)}',
            [SourceHost(name=host, port=port)],
            data,
            place,
            auth=_auth(user, 'iscsi', secret),
            initiator=brick.initiator() or None,
        )

    def disconnect(self, data: Data) -> None:
        self._secrets.forget('iscsi', _usage(data))


class Nbd(Way):
    """An export that QEMU connects to."""

    def connect(self, data: Data, place: Place) -> Disk:
        host = SourceHost(name=str(data['host']), port=str(data.get('port', 10809)))
        return _network('nbd', str(data.get('export', '')), [host], data, place)


class Rbd(Way):
    """An image of Ceph."""

    def connect(self, data: Data, place: Place) -> Disk:
        conf = self._conf.libvirt
        user = data.get('auth_username') if data.get('auth_enabled') else conf.rbd_user
        secret = data.get('secret_uuid') or conf.rbd_secret_uuid
        if data.get('keyring') and not secret:
            secret = self._secrets.keep('ceph', _ceph_usage(data), _key(data['keyring']))
        monitors = zip(data.get('hosts', []), data.get('ports', []), strict=True)
        return _network(
            'rbd',
            str(data['name']),
            [SourceHost(name=name, port=str(port)) for name, port in monitors],
            data,
            place,
            auth=_auth(user, 'ceph', secret),
        )


def table(conf: cfg.ConfigOpts, secrets: Secrets) -> dict[str, Way]:
    """Return who reaches volumes of a ``driver_volume_type``."""
    file, share = ByFile(conf, secrets), ByShare(conf, secrets)
    found: dict[str, Way] = {
        'local': file,
        'nfs': share,
        'nbd': Nbd(conf, secrets),
        'rbd': Rbd(conf, secrets),
    }
    for kind in ('iscsi', 'iser', 'fibre_channel', 'nvmeof', 'lightos', 'scaleio', 'storpool'):
        found[kind] = ByHost(conf, secrets, kind)
    if conf.libvirt.iscsi_initiator == 'qemu':
        found['iscsi'] = IscsiByQemu(conf, secrets)
    return found


def _file(path: str, data: Data, place: Place) -> Disk:
    if not os.path.exists(path):
        raise exception.VirtDriverError(reason=f'The volume is not there: {path}.')
    kind = str(data.get('format') or 'raw')
    return Disk(path=path, format=kind, cache='none', discard=_discard(data), **place)


def _network(
    protocol: str, name: str, hosts: list[SourceHost], data: Data, place: Place, **more: Any
) -> Disk:
    return Disk(
        type='network',
        format='raw',
        protocol=protocol,
        name=name,
        hosts=hosts,
        cache='none',
        discard=_discard(data),
        **more,
        **place,
    )


def _auth(user: str | None, kind: str, secret: str | None) -> Auth | None:
    return Auth(username=user, secret_type=kind, secret_uuid=secret) if user and secret else None


def _discard(data: Data) -> str | None:
    return 'unmap' if data.get('discard') else None


def _portal(portal: str) -> tuple[str, str]:
    host, _, port = portal.rpartition(':')
    return host.strip('[]'), port


def _usage(data: Data) -> str:
    """Several portals and units of one target have one password each, maybe."""
    return f'{data["target_iqn"]}/{data.get("target_lun", 0)}'


def _ceph_usage(data: Data) -> str:
    return f'client.{data.get("auth_username")} {data.get("cluster_name", "ceph")}'


def _key(keyring: str) -> bytes:
    """Return the key of a keyring file's text."""
    for line in keyring.splitlines():
        name, _, value = line.partition('=')
        if name.strip() == 'key':
            return base64.b64decode(value.strip())
    raise exception.VirtDriverError(reason="There is no key in the volume's keyring.")
