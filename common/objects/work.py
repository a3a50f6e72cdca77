"""What the conductor asks a compute host to do with a server, and what comes back.

Each kind of work is a struct of its own, told apart on the wire by its tag.  A host that
gets one it does not know refuses it, so a new kind needs a new version of the interface.
"""

from typing import Any

import msgspec

from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF, NetworkRequest
from kilonova.common.objects.place import Places
from kilonova.common.objects.share import Share


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


class PrepareMove(msgspec.Struct, tag='prepare-move'):
    """At the destination: see that a server could be had with a flavor."""

    flavor: Flavor


class LeaveHost(msgspec.Struct, tag='leave-host'):
    """At the source: shut down and hand over the disks, so that the guest could come back."""

    flavor: Flavor


class FinishMove(msgspec.Struct, tag='finish-move'):
    """At the destination: make the guest of what the source has handed over."""

    flavor: Flavor
    power_on: bool
    data: dict[str, Any] = {}


class AbandonMove(msgspec.Struct, tag='abandon-move'):
    """At the destination: remove what was made."""

    flavor: Flavor


class RevertMove(msgspec.Struct, tag='revert-move'):
    """At the source: have the guest again that was left."""

    flavor: Flavor
    power_on: bool


class ConfirmMove(msgspec.Struct, tag='confirm-move'):
    """At the source: remove what was kept for the way back."""


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


class CheckLive(msgspec.Struct, tag='check-live'):
    """At the destination: see that a guest could be taken as it runs; None: as it turns out."""

    block_migration: bool | None
    disk_over_commit: bool = False


class CheckLiveSource(msgspec.Struct, tag='check-live-source'):
    """At the source: the same, with what the destination has found out."""

    data: dict[str, Any]


class ReceiveLive(msgspec.Struct, tag='receive-live'):
    """At the destination: make ready for a running guest."""

    data: dict[str, Any]


class MigrateLive(msgspec.Struct, tag='migrate-live'):
    """At the source: move the running guest, and tell how far it is."""

    target: str
    migration: str
    data: dict[str, Any]


class AskArrivedLive(msgspec.Struct, tag='ask-arrived-live'):
    """At the destination: see whether the guest has come, as its source is down."""


class ArriveLive(msgspec.Struct, tag='arrive-live'):
    """At the destination: the guest is here."""

    data: dict[str, Any]


class RollbackLive(msgspec.Struct, tag='rollback-live'):
    """At the destination: the guest does not come."""

    data: dict[str, Any]


class CleanLive(msgspec.Struct, tag='clean-live'):
    """At the source: the guest is gone, remove what it has left."""

    data: dict[str, Any]


class Snapshot(msgspec.Struct, kw_only=True, tag='snapshot'):
    """Send the root disk to Glance, as the image that is there already.

    For a backup: keep the newest ``rotation`` of the same ``backup_type``.
    """

    image_id: str
    rotation: int | None = None
    backup_type: str | None = None


class AttachVolume(msgspec.Struct, tag='attach volume'):
    """Connect a volume that is reserved, and give it to the guest; ``device`` is in the values."""

    device: BlockDevice


class DetachVolume(msgspec.Struct, tag='detach volume'):
    """Take a volume from the guest."""

    device: BlockDevice


class SwapVolume(msgspec.Struct, tag='swap volume'):
    """Connect ``new``, copy ``old`` to it and go on with it; the new ``device`` is in the values."""

    old: BlockDevice
    new: BlockDevice


class ExtendVolume(msgspec.Struct, tag='extend volume'):
    """Let the guest see that a volume has grown to what ``device`` says."""

    device: BlockDevice


class SnapshotVolume(msgspec.Struct, tag='snapshot volume'):
    """Make (or with ``delete`` remove) a snapshot that Cinder cannot do without the hypervisor."""

    volume_id: str
    snapshot_id: str
    info: dict[str, Any]
    delete: bool = False


class AttachInterface(msgspec.Struct, kw_only=True, tag='attach interface'):
    """Bind a port, made for it or given, and put it into the guest.

    ``known``: the ports that the server had before; an earlier attempt's port is not one of them.
    """

    request: NetworkRequest
    known: list[str] = []


class DetachInterface(msgspec.Struct, kw_only=True, tag='detach interface'):
    """Take a port out of the guest; it is deleted, or only let go of when it was given."""

    port_id: str


class Rebuild(msgspec.Struct, kw_only=True, tag='rebuild'):
    """Remove the guest and make it anew from what the server's record says now."""

    admin_password: str
    personality: list[tuple[str, str]] = []
    preserve_ephemeral: bool = False
    power_on: bool = True
    reimage: str | None = None
    """The image that the volume with the root disk is to be made of first."""


ACCESS_TO = 'access_to'
"""In the values of its result: whom Manila lets in."""


class AllowShare(msgspec.Struct, tag='attach share'):
    """Have the host let in to a share."""

    share: Share


class DenyShare(msgspec.Struct, tag='detach share'):
    """Have it shut out, unless another server here needs it."""

    share: Share


class Shelve(msgspec.Struct, kw_only=True, tag='shelve'):
    """Power off and send the root disk to Glance; without an image it is a volume."""

    image_id: str | None = None


class Offload(msgspec.Struct, tag='offload'):
    """Remove a guest that is to be made elsewhere one day; its ports stay."""


class Unshelve(msgspec.Struct, kw_only=True, tag='unshelve'):
    """Make the guest here, of the image that was made of it; without one, of its volume."""

    image: Image | None = None


class Evacuate(msgspec.Struct, kw_only=True, tag='evacuate'):
    """Make the guest of a host that is down here, of its image or its volumes."""

    admin_password: str
    power_on: bool


HostWork = (
    Start
    | Stop
    | Reboot
    | Pause
    | Unpause
    | Suspend
    | Resume
    | PrepareMove
    | LeaveHost
    | FinishMove
    | AbandonMove
    | RevertMove
    | ConfirmMove
    | CheckLive
    | CheckLiveSource
    | ReceiveLive
    | MigrateLive
    | AskArrivedLive
    | ArriveLive
    | RollbackLive
    | CleanLive
    | Evacuate
    | Rescue
    | Unrescue
    | SetPassword
    | CrashDump
    | SoftDelete
    | Restore
    | AttachVolume
    | DetachVolume
    | SwapVolume
    | ExtendVolume
    | SnapshotVolume
    | Snapshot
    | Shelve
    | Offload
    | Unshelve
    | AttachInterface
    | DetachInterface
    | Rebuild
    | AllowShare
    | DenyShare
)


class WorkResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How a piece of work ended.

    ``changes`` are columns of the server, ``devices`` those of its block devices that have
    changed; ``values`` are for the phases that follow.  ``places`` are those of the guest's
    devices, where it is one with devices that it is told of.  With
    ``error`` (for the user) and ``details`` (for administrators) the work has failed.
    """

    power_state: int | None = None
    network_info: list[VIF] | None = None
    changes: dict[str, Any] = {}
    values: dict[str, Any] = {}
    devices: list[BlockDevice] = []
    places: Places | None = None
    error: str | None = None
    details: str | None = None
    code: int = 500
