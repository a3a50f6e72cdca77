"""Volumes as Cinder's back ends would give them: files, an NBD export, an iSCSI target with CHAP."""

import os
import pathlib
import subprocess
from typing import Any

from kilonova.common.objects.block_device import BlockDevice
from kilonova.tests.integration.libvirt.hosts import Host
from kilonova.tests.integration.processes import wait_for

IQN = 'iqn.2026-01.org.example:kilonova'
USER, PASSWORD = 'someone', 'a-long-password'
MIB = 1024**2


class Storage:
    """Servers on one host's network, which the other one reaches, too."""

    def __init__(self, host: Host, folder: pathlib.Path) -> None:
        self._host, self.folder = host, folder
        folder.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []

    def file(self, name: str, mebibytes: int = 8) -> pathlib.Path:
        path = self.folder / name
        with open(path, 'wb') as stream:
            stream.truncate(mebibytes * MIB)
        return path

    def nbd(self, path: pathlib.Path, port: int = 10809) -> dict[str, Any]:
        """Export a raw file; several clients may have it."""
        self._run(
            *('qemu-nbd', '-t', '-e', '4', '-f', 'raw', '-b', self._host.address),
            *('-p', str(port), '-x', path.name, str(path)),
        )
        self._wait_open(port)
        return info('nbd', host=self._host.address, port=port, export=path.name)

    def iscsi(self, path: pathlib.Path, port: int = 3260) -> dict[str, Any]:
        """Export a file as unit 1 of a target that wants a password."""
        control = str(os.getpid() % 30000)
        portal = f'{self._host.address}:{port}'
        self._run('tgtd', '-f', '-C', control, '--iscsi', f'portal={portal}')
        self._wait_open(port)
        for words in (
            f'--mode target --op new --tid 1 -T {IQN}',
            f'--mode logicalunit --op new --tid 1 --lun 1 -b {path}',
            '--mode target --op bind --tid 1 -I ALL',
            f'--mode account --op new --user {USER} --password {PASSWORD}',
            f'--mode account --op bind --tid 1 --user {USER}',
        ):
            command = ['tgtadm', '-C', control, '--lld', 'iscsi', *words.split()]
            subprocess.run(command, check=True, timeout=20)
        return info(
            'iscsi',
            target_portal=portal,
            target_iqn=IQN,
            target_lun=1,
            auth_method='CHAP',
            auth_username=USER,
            auth_password=PASSWORD,
        )

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(20)

    def _run(self, *command: str) -> None:
        entered = ['setpriv', '--pdeathsig', 'KILL', 'nsenter', '--target']
        entered += [self._host.daemon.first(), '--net']
        self._processes.append(subprocess.Popen([*entered, *command]))

    def _wait_open(self, port: int) -> None:
        def is_open() -> bool:
            command = f': < /dev/tcp/{self._host.address}/{port}'
            try:
                self._host.daemon.inside('bash', '-c', command)
            except subprocess.CalledProcessError:
                return False
            return True

        wait_for(f'port {port}', is_open, 30, 0.2)


def info(kind: str, **data: Any) -> dict[str, Any]:
    """Return connection_info as Cinder gives it to hosts: flat."""
    return {'driver_volume_type': kind, **data}


def device(number: int, name: str, connection: dict[str, Any], **more: Any) -> BlockDevice:
    """Return a volume as the conductor describes it."""
    return BlockDevice(
        source_type='volume',
        destination_type='volume',
        volume_id=f'00000000-0000-4000-8000-{number:012d}',
        volume_size=1,
        device_name=f'/dev/{name}',
        connection_info=connection,
        **more,
    )
