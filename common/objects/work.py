"""What the conductor asks a compute host to do with a server, and what comes back.

Each kind of work is a struct of its own, told apart on the wire by its tag.  A host that
gets one it does not know refuses it, so a new kind needs a new version of the interface.
"""

from typing import Any

import msgspec

from kilonova.common.objects.network import VIF


class Start(msgspec.Struct, tag='start'):
    """Power on."""


class Stop(msgspec.Struct, tag='stop'):
    """Ask the guest to shut down; power it off when it does not in time."""


class Reboot(msgspec.Struct, tag='reboot'):
    """Reboot, ``how`` 'SOFT' or 'HARD'."""

    how: str


class Pause(msgspec.Struct, tag='pause'):
    """Stop the guest's processors."""


class Unpause(msgspec.Struct, tag='unpause'):
    """Let them go on."""


class Suspend(msgspec.Struct, tag='suspend'):
    """Save the guest's memory to disk and stop it."""


class Resume(msgspec.Struct, tag='resume'):
    """Bring a suspended guest back."""


class Rescue(msgspec.Struct, kw_only=True, tag='rescue'):
    """Boot from another image, with the root disk beside it; ``image_id`` None: the usual one."""

    image_id: str | None = None
    admin_password: str


class Unrescue(msgspec.Struct, tag='unrescue'):
    """Boot from the root disk again."""


class SetPassword(msgspec.Struct, tag='set password'):
    """Let the guest's agent change the administrator's password."""

    password: str


class CrashDump(msgspec.Struct, tag='crash dump'):
    """Send the guest a non-maskable interrupt."""


class SoftDelete(msgspec.Struct, tag='soft delete'):
    """Power off, and keep everything."""


class Restore(msgspec.Struct, tag='restore'):
    """Bring a soft-deleted guest back."""


class Snapshot(msgspec.Struct, kw_only=True, tag='snapshot'):
    """Send the root disk to Glance, as the image that is there already.

    For a backup: keep the newest ``rotation`` of the same ``backup_type``.
    """

    image_id: str
    rotation: int | None = None
    backup_type: str | None = None


HostWork = (
    Start
    | Stop
    | Reboot
    | Pause
    | Unpause
    | Suspend
    | Resume
    | Rescue
    | Unrescue
    | SetPassword
    | CrashDump
    | SoftDelete
    | Restore
    | Snapshot
)


class WorkResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a piece of work ended.

    ``changes`` are columns of the server; ``values`` are for the phases that follow.  With
    ``error`` (for the user) and ``details`` (for administrators) the work has failed.
    """

    power_state: int | None = None
    network_info: list[VIF] | None = None
    changes: dict[str, Any] = {}
    values: dict[str, Any] = {}
    error: str | None = None
    details: str | None = None
    code: int = 500
