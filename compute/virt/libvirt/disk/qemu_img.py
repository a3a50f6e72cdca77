"""Runs qemu-img, always with the format said and, on images, with limits."""

import json
import math
from typing import Any

from oslo_concurrency import processutils
from oslo_config import cfg

GIB = 1024**3
# Processor seconds that a conversion gets for each GiB that the guest will see.
CONVERT_SECONDS = 60


class QemuImg:
    """qemu-img with the limits of the configuration.

    Raises ProcessExecutionError; the caller knows what it means.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def info(self, path: str, image_format: str) -> dict[str, Any]:
        """Return what qemu-img says of an image.  -U: it may be in use."""
        out, _err = processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'info', '-U', '-f', image_format),
            *('--output=json', path),
            prlimit=self._limits(),
        )
        found: dict[str, Any] = json.loads(out)
        return found

    def check(self, path: str, image_format: str) -> bool:
        """Return whether the image's structure is whole; formats without a check are."""
        # 0: whole; 2: broken; 3: leaked clusters, which do no harm; 63: no check for this format.
        # It has a line for each broken cluster, millions of them if somebody wants that.
        command = 'exec qemu-img check -q -f "$0" "$1" > /dev/null 2>&1'
        try:
            processutils.execute(
                *('sh', '-c', command, image_format, path),
                prlimit=self._limits(),
                check_exit_code=[0, 3, 63],
            )
        except processutils.ProcessExecutionError as error:
            if error.exit_code == 2:
                return False
            raise
        return True

    def convert(self, source: str, source_format: str, target: str, size: int) -> None:
        """Write ``source`` (``size`` bytes as the guest sees it) to ``target`` as raw."""
        processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'convert', '-t', 'writeback'),
            *('-f', source_format, '-O', 'raw', source, target),
            prlimit=self._limits(CONVERT_SECONDS * math.ceil(size / GIB)),
        )

    def create_overlay(self, target: str, base: str, base_format: str, size: int) -> None:
        """Make a qcow2 file that holds what differs from ``base``."""
        processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'create', '-q', '-f', 'qcow2'),
            *('-b', base, '-F', base_format, target, str(size)),
        )

    def is_free(self, path: str, image_format: str) -> bool:
        """Whether nobody has the image open to write to it: QEMU locks what it writes to."""
        try:
            processutils.execute(
                *('env', 'LC_ALL=C', 'qemu-img', 'info', '-f', image_format, path),
                prlimit=self._limits(),
            )
        except processutils.ProcessExecutionError as error:
            if 'lock' in (error.stderr or ''):
                return False
            raise
        return True

    def create(self, path: str, image_format: str, size: int) -> None:
        """Make an empty image."""
        processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'create', '-q', '-f', image_format, path, str(size))
        )

    def flatten(
        self, source: str, source_format: str, target: str, target_format: str, compress: bool
    ) -> None:
        """Write a disk with all that it lies on as one file.  -U: a guest may have it open."""
        squeeze = ('-c',) if compress and target_format in ('qcow2', 'vmdk') else ()
        processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'convert', '-U', '-t', 'writeback', *squeeze),
            *('-f', source_format, '-O', target_format, source, target),
        )

    def resize(self, path: str, image_format: str, size: int) -> None:
        """Change what size a guest sees."""
        processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'resize', '-q', '-f', image_format, path, str(size))
        )

    def rebase(self, path: str, base: str, base_format: str) -> None:
        """Let an overlay lie on a file with the same content as the one below it."""
        processutils.execute(
            *('env', 'LC_ALL=C', 'qemu-img', 'rebase', '-u', '-f', 'qcow2'),
            *('-b', base, '-F', base_format, path),
        )

    def _limits(self, more_seconds: int = 0) -> processutils.ProcessLimits:
        return processutils.ProcessLimits(
            cpu_time=self._conf.libvirt.images_cpu_time_limit + more_seconds,
            address_space=self._conf.libvirt.images_address_space_limit * GIB,
        )
