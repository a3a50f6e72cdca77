"""The part of a guest that takes devices in and out."""

from typing import Any

from kilonova.compute.virt.libvirt import connection


class HotPlug:
    """Calls on one domain; each raises GuestNotFound, HypervisorError."""

    def _call(self, method: str, *args: Any) -> Any:
        raise NotImplementedError

    def attach_device(self, xml: str, *, live: bool, config: bool) -> None:
        self._call('attachDeviceFlags', xml, _affecting(live, config))

    def detach_device(self, xml: str, *, live: bool, config: bool) -> None:
        self._call('detachDeviceFlags', xml, _affecting(live, config))

    def resize_block_device(self, target: str, size: int) -> None:
        """Tell the guest that its disk has ``size`` bytes now."""
        self._call('blockResize', target, size, connection.library().VIR_DOMAIN_BLOCK_RESIZE_BYTES)

    def begin_copy(self, target: str, xml: str) -> None:
        """Mirror a disk to the one in ``xml``, which is there already.

        The job is transient: a guest that libvirt remembers may have it, and libvirt does not
        change what it remembers.
        """
        lib = connection.library()
        flags = lib.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | lib.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
        self._call('blockCopy', target, xml, {}, flags)

    def block_job(self, target: str) -> dict[str, int] | None:
        """Return how far a disk's job is (``cur`` of ``end``); None: it has none."""
        found: dict[str, int] = self._call('blockJobInfo', target, 0)
        return found or None

    def end_block_job(self, target: str, *, pivot: bool) -> None:
        """End a disk's job; with ``pivot`` the guest goes on with the copy."""
        lib = connection.library()
        self._call('blockJobAbort', target, lib.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT if pivot else 0)

    def snapshot_disks(self, xml: str, *, quiesce: bool) -> None:
        """Let the guest write to the files that ``xml`` names, which are there already."""
        lib = connection.library()
        flags = (
            lib.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            | lib.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA
            | lib.VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT
            | (lib.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE if quiesce else 0)
        )
        self._call('snapshotCreateXML', xml, flags)

    def pull_block(self, target: str, base: str | None) -> None:
        """Begin to copy what lies between a disk and ``base`` (None: all below) into the disk."""
        relative = connection.library().VIR_DOMAIN_BLOCK_REBASE_RELATIVE if base else 0
        self._call('blockRebase', target, base, 0, relative)

    def commit_block(self, target: str, base: str, top: str) -> None:
        """Begin to write what is in ``top`` down to ``base``."""
        relative = connection.library().VIR_DOMAIN_BLOCK_COMMIT_RELATIVE
        self._call('blockCommit', target, base, top, 0, relative)


def _affecting(live: bool, config: bool) -> int:
    lib = connection.library()
    flags: int = lib.VIR_DOMAIN_AFFECT_LIVE if live else 0
    return flags | (lib.VIR_DOMAIN_AFFECT_CONFIG if config else 0)
