"""The part of a guest that makes it stand still, speaks to its agent, and copies its disks."""

import time
from typing import Any

from kilonova.compute.virt.libvirt import connection


class Care:
    """Calls on one domain; each raises GuestNotFound, HypervisorError."""

    def _call(self, method: str, *args: Any) -> Any:
        raise NotImplementedError

    def pause(self) -> None:
        self._call('suspend')

    def save(self) -> None:
        """Write memory and devices to a file that the next start begins with, and stop."""
        self._call('managedSave', connection.library().VIR_DOMAIN_SAVE_RUNNING)

    def has_saved_state(self) -> bool:
        return bool(self._call('hasManagedSaveImage', 0))

    def forget_saved_state(self) -> None:
        """Let the next start be a boot."""
        if self.has_saved_state():
            self._call('managedSaveRemove', 0)

    def interrupt(self) -> None:
        """Send a non-maskable interrupt."""
        self._call('injectNMI', 0)

    def set_password(self, user: str, password: str) -> None:
        """Have the agent set a user's password."""
        self._call('setUserPassword', user, password, 0)

    def freeze(self) -> None:
        """Have the agent flush all file systems and keep them still."""
        self._call('fsFreeze', None, 0)

    def thaw(self) -> None:
        self._call('fsThaw', None, 0)

    def set_clock(self) -> None:
        """Have the agent set the guest's clock to the host's."""
        now = time.time()
        seconds = int(now)
        self._call('setTime', {'seconds': seconds, 'nseconds': int((now - seconds) * 1e9)}, 0)

    def begin_backup(self, xml: str) -> None:
        """Begin to copy disks, as they are now, to files that are there."""
        flags = connection.library().VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL
        self._call('backupBegin', xml, None, flags)

    def backup(self) -> str | None:
        """Return the description of the copy that is going on; None: there is none."""
        try:
            return str(self._call('backupGetXMLDesc', 0))
        except connection.HypervisorError as error:
            if error.number == connection.library().VIR_ERR_NO_DOMAIN_BACKUP:
                return None
            raise

    def abort_job(self) -> None:
        """Stop what the domain is busy with; nothing if that has ended."""
        try:
            self._call('abortJob')
        except connection.HypervisorError as error:
            if error.number != connection.library().VIR_ERR_OPERATION_INVALID:
                raise

    def last_job(self) -> dict[str, Any]:
        """Return the figures of the job that has ended last."""
        found: dict[str, Any] = self._call(
            'jobStats', connection.library().VIR_DOMAIN_JOB_STATS_COMPLETED
        )
        return found
