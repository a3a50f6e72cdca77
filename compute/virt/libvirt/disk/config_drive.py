"""Writes a config drive: files in a small file system labelled config-2."""

import os
import tempfile

from oslo_concurrency import processutils
from oslo_config import cfg

from kilonova.common import version
from kilonova.compute.virt.libvirt.disk import filesystem

LABEL = 'config-2'
VFAT_SIZE = 64 * 1024 * 1024


def make(conf: cfg.ConfigOpts, tree: dict[str, bytes], path: str) -> None:
    """Make the drive in the file ``path``.  Raises ProcessExecutionError."""
    with tempfile.TemporaryDirectory(prefix='config-drive-', dir=os.path.dirname(path)) as folder:
        _write(tree, folder)
        # It holds passwords.
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        if conf.config_drive_format == 'vfat':
            _make_vfat(tree, folder, path)
        else:
            _make_iso(conf.mkisofs_cmd, folder, path)


def _write(tree: dict[str, bytes], folder: str) -> None:
    for name, content in tree.items():
        target = os.path.normpath(os.path.join(folder, name))
        if os.path.commonpath([folder, target]) != folder:
            raise ValueError(f'{name} is outside of the config drive')
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, 'wb') as file:
            file.write(content)


def _make_iso(command: str, folder: str, path: str) -> None:
    processutils.execute(
        *(command, '-o', path, '-ldots', '-allow-lowercase', '-allow-multidot', '-l'),
        *('-publisher', f'Kilonova {version.VERSION}', '-quiet', '-J', '-r', '-V', LABEL),
        folder,
        attempts=1,
    )


def _make_vfat(tree: dict[str, bytes], folder: str, path: str) -> None:
    # Room for the content twice over: clusters and directories are not free.
    size = max(VFAT_SIZE, 2 * sum(map(len, tree.values())))
    with open(path, 'wb') as file:
        file.truncate(size)
    filesystem.make(path, 'vfat', LABEL)
    for name in sorted(os.listdir(folder)):
        processutils.execute('mcopy', '-s', '-i', path, os.path.join(folder, name), '::/')
