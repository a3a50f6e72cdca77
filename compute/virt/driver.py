"""The virt-driver interface.

A driver knows its hypervisor and nothing of RPC, SQL or Nova's states; the manager is
the other way round.  A driver is composed of the small classes below; for what it
cannot do it inherits the default, which says so.  Methods may block; the manager calls
them from a greenthread or thread of their own, never two at a time for one server.
"""

import abc
import enum
from collections.abc import Callable
from typing import Any

import msgspec

from kilonova.common import exception
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.console import ConsolePlace
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.host import ComputeNode
from kilonova.common.objects.image import Image
from kilonova.common.objects.network import VIF
from kilonova.common.objects.place import Places
from kilonova.common.objects.server import Server
from kilonova.common.objects.share import Share
from kilonova.common.objects.volume_usage import VolumeCounters
from kilonova.compute.virt.moves import Moving, MovingLive


class PowerState(enum.IntEnum):
    """Numbers as in the Compute API's ``OS-EXT-STS:power_state``."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6
    SUSPENDED = 7

    @property
    def text(self) -> str:
        """The API's word for it."""
        return 'pending' if self == PowerState.NOSTATE else self.name.lower()


class CpuStats(msgspec.Struct, kw_only=True):
    """How the host's processors have spent their time (nanoseconds); ``frequency`` is in MHz."""

    user: int = 0
    kernel: int = 0
    idle: int = 0
    iowait: int = 0
    frequency: int = 0


class Inventory(msgspec.Struct, kw_only=True):
    """One resource provider as placement wants it; ``parent`` is a provider's name."""

    name: str
    uuid: str | None = None
    parent: str | None = None
    inventories: dict[str, dict[str, Any]] = {}
    traits: list[str] = []


class ImageSource(abc.ABC):
    """How a driver gets an image's bytes; made by the manager on Glance."""

    @abc.abstractmethod
    def describe(self, image_id: str) -> Image:
        """Return what Glance knows of an image.  Raises ImageNotFound, FellowServiceError."""

    @abc.abstractmethod
    def download(self, image_id: str, path: str) -> None:
        """Write the image to ``path`` (which must not exist), verified against its hash.

        Raises ImageNotFound, FellowServiceError, ImageUnacceptable (hash or size is wrong).
        """


class ImageSink(abc.ABC):
    """Where a driver puts an image that it has made."""

    @abc.abstractmethod
    def upload(self, path: str, disk_format: str) -> None:
        """Send a file, which may go away afterwards.  Raises FellowServiceError."""


class GuestSpec(msgspec.Struct, kw_only=True):
    """All that spawn needs beside the server itself, whose volumes are connected to the host.

    ``config_drive`` makes the path-to-bytes tree of a config drive, when it is known where the
    guest has its devices; None: there is to be none.
    ``wait_plugged`` is called with a function that plugs and starts the guest paused; it returns when Neutron has
    reported the ports, or raises VirtualInterfacePlugTimeout.
    """

    server: Server
    vifs: list[VIF]
    config_drive: Callable[[Places], dict[str, bytes]] | None = None
    admin_password: str | None = None
    personality: list[tuple[str, str]] = []
    adopt: bool = False
    """The disks are kept where another host, which is dead, has shared them with this one."""


class Lifecycle(abc.ABC):
    """Making and removing guests."""

    @abc.abstractmethod
    def init_host(self, host: str) -> None:
        """Called once at start, before anything else.  Raises VirtDriverError."""

    @abc.abstractmethod
    def list_guests(self) -> list[str]:
        """Return the uuids of all guests that are ours, whatever their state."""

    @abc.abstractmethod
    def spawn(
        self,
        spec: GuestSpec,
        images: ImageSource,
        wait_plugged: Callable[[Callable[[], None]], None],
    ) -> dict[str, Any]:
        """Make disks and guest, and start it.

        A guest of that uuid that is there already is removed first.  The driver calls
        ``wait_plugged(start)`` once, where ``start`` plugs the ports and creates the guest
        paused; ``wait_plugged`` runs it and waits for Neutron's events, after which the
        driver lets the guest run.  When anything fails, all that was made is removed; what
        ``wait_plugged`` raises is passed on unchanged.
        Returns ``changes`` for the server: ``root_device_name``, ``system_metadata``.
        Raises BuildError (another host may do better), BuildAborted.
        """

    @abc.abstractmethod
    def destroy(self, server: Server, vifs: list[VIF]) -> None:
        """Remove guest, ports' plugs, disks.  No error if some or all are gone already."""

    def hand_back(self, server: Server, vifs: list[VIF]) -> None:
        """Destroy what is here of a server that lives on, elsewhere.

        Disks that were taken over from another host (``GuestSpec.adopt``) go back to it.
        """
        self.destroy(server, vifs)

    def forget(self, server: Server) -> None:  # noqa: B027  (most have nothing to do)
        """Destroy what outlives a guest, such as keys: its server is deleted."""


class Power(abc.ABC):
    """Power of existing guests.  All raise GuestNotFound, VirtDriverError."""

    @abc.abstractmethod
    def get_power_state(self, uuid: str) -> PowerState:
        """Return the guest's state."""

    @abc.abstractmethod
    def get_power_states(self) -> dict[str, PowerState]:
        """Return all guests' states."""

    @abc.abstractmethod
    def power_on(self, server: Server, vifs: list[VIF]) -> None:
        """Start a guest that is off; plugs its ports anew."""

    @abc.abstractmethod
    def power_off(self, server: Server, timeout: int) -> None:
        """Ask the guest to shut down; after ``timeout`` seconds (0: at once) pull the plug."""

    @abc.abstractmethod
    def reboot(self, server: Server, vifs: list[VIF], kind: str) -> None:
        """'SOFT' asks the guest, and falls back to 'HARD', which makes guest and plugs anew."""


class Suspending:
    """Guests that stand still.  All raise GuestNotFound, VirtDriverError, NotSupported."""

    def pause(self, server: Server) -> None:
        """Stop the guest's processors; no error when they stand still."""
        raise exception.NotSupported(feature='pause')

    def unpause(self, server: Server) -> None:
        """Let them go on; no error when they do."""
        raise exception.NotSupported(feature='unpause')

    def suspend(self, server: Server) -> None:
        """Save the guest's memory to disk and stop it; no error when that was done."""
        raise exception.NotSupported(feature='suspend')

    def resume(self, server: Server, vifs: list[VIF]) -> None:
        """Bring back what was suspended; plugs its ports anew."""
        raise exception.NotSupported(feature='resume')


class Volumes:
    """Volumes of guests; how to reach one is in its device's ``connection_info``."""

    def get_volume_connector(self, server: Server) -> dict[str, Any]:
        """Return what Cinder has to know of this host to let it reach volumes (``host`` …)."""
        raise exception.NotSupported(feature='volumes')

    def attach_volume(self, server: Server, device: BlockDevice) -> None:
        """Give a volume to a guest, running or not.  Raises GuestNotFound, VirtDriverError."""
        raise exception.NotSupported(feature='attaching volumes')

    def detach_volume(self, server: Server, device: BlockDevice) -> None:
        """Take a volume from a guest.  No error when it has neither that volume nor any other."""
        raise exception.NotSupported(feature='detaching volumes')

    def swap_volume(self, server: Server, old: BlockDevice, new: BlockDevice) -> None:
        """Copy a volume's content to another one and let the guest go on with that."""
        raise exception.NotSupported(feature='swapping volumes')

    def extend_volume(self, server: Server, device: BlockDevice, size: int) -> None:
        """Let a guest see that its volume has grown to ``size`` bytes."""
        raise exception.NotSupported(feature='extending volumes')

    def get_volume_counters(self, server: Server, device: BlockDevice) -> VolumeCounters | None:
        """Return what a guest has done with a volume since it was started; None: it is off.

        Raises GuestNotFound, VirtDriverError.
        """
        raise exception.NotSupported(feature='counting what volumes move')

    def create_volume_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        """Let a guest write to ``info['new_file']`` from now on."""
        raise exception.NotSupported(feature='assisted volume snapshots')

    def delete_volume_snapshot(self, server: Server, volume_id: str, info: dict[str, Any]) -> None:
        """Merge the files that ``info`` names."""
        raise exception.NotSupported(feature='assisted volume snapshots')


class Rescue:
    """Help for guests in trouble.  All raise GuestNotFound, VirtDriverError, NotSupported."""

    def rescue(
        self,
        server: Server,
        vifs: list[VIF],
        images: ImageSource,
        image_id: str | None,
        config_drive: dict[str, bytes] | None = None,
    ) -> None:
        """Boot from a copy of ``image_id``, with the guest's own disks beside it.

        None: the driver's own rescue image, or else the one that the server was made of.
        ``config_drive``: the drive for meanwhile, with the password of the rescue.
        """
        raise exception.NotSupported(feature='rescue')

    def unrescue(self, server: Server, vifs: list[VIF]) -> None:
        """Boot from the root disk again and remove what ``rescue`` made."""
        raise exception.NotSupported(feature='unrescue')

    def set_admin_password(self, server: Server, password: str) -> None:
        """Change the administrator's password in the running guest."""
        raise exception.NotSupported(feature='setting the admin password')

    def trigger_crash_dump(self, server: Server) -> None:
        """Send the guest a non-maskable interrupt."""
        raise exception.NotSupported(feature='crash dumps')


class Interfaces:
    """Network interfaces of guests that exist.  All raise GuestNotFound, VirtDriverError."""

    def attach_interface(self, server: Server, vif: VIF) -> None:
        """Plug a port and put it into the guest, running or not; no error when it is in it."""
        raise exception.NotSupported(feature='attaching interfaces')

    def detach_interface(self, server: Server, vif: VIF) -> None:
        """Take a port out of the guest and unplug it; no error when it is out."""
        raise exception.NotSupported(feature='detaching interfaces')

    def get_places(self, server: Server) -> Places:
        """Return where the guest, running or not, finds its devices, as far as that is known."""
        return {}


class Console:
    """What a guest shows of itself."""

    def get_console_output(self, server: Server) -> bytes:
        """Return the console log (all that is kept).  Raises ConsoleNotAvailable, GuestNotFound."""
        raise exception.NotSupported(feature='console output')

    def get_vnc_console(self, server: Server) -> ConsolePlace:
        """Return where the display is.

        As the others: raises GuestNotFound (also when it is off), ConsoleTypeUnavailable when
        the guest has none, NotSupported.
        """
        raise exception.NotSupported(feature='VNC consoles')

    def get_spice_console(self, server: Server) -> ConsolePlace:
        """Return where the display is."""
        raise exception.NotSupported(feature='SPICE consoles')

    def get_serial_console(self, server: Server) -> ConsolePlace:
        """Return where the first serial port is."""
        raise exception.NotSupported(feature='serial consoles')

    def get_mks_console(self, server: Server) -> ConsolePlace:
        """Return where the display is."""
        raise exception.NotSupported(feature='MKS consoles')

    def get_diagnostics(self, server: Server) -> Diagnostics:
        """Return what is known of a running guest.  Raises GuestNotFound."""
        raise exception.NotSupported(feature='diagnostics')


class Shares:
    """File systems that guests share with others."""

    supports_shares = False

    def mount_share(self, server: Server, share: Share) -> None:
        """Make a share ready for the next start of a guest; no error when it is."""
        raise exception.NotSupported(feature='shares')

    def unmount_share(self, server: Server, share: Share) -> None:
        """Undo that; no error when there is nothing to undo."""
        raise exception.NotSupported(feature='shares')


class Images:
    """The images that a host keeps."""

    def cache_image(self, image: Image, source: ImageSource) -> bool:
        """Fetch an image before it is needed; false when it is there already."""
        raise exception.NotSupported(feature='image caching')

    def snapshot(self, server: Server, sink: ImageSink) -> None:
        """Copy the root disk as it is now and upload the copy; the guest goes on meanwhile.

        Raises GuestNotFound, VirtDriverError, and what ``sink`` raises.
        """
        raise exception.NotSupported(feature='snapshots')

    def quiesce(self, server: Server) -> bool:
        """Have the guest's file systems stand still; false when they cannot.

        Raises VirtDriverError when the image requires it and it cannot be had.
        """
        return False

    def unquiesce(self, server: Server) -> None:
        """Let them go on; nothing if they do."""

    keeps_images = False
    """``age_images`` has something to do."""

    def age_images(self, servers: list[Server]) -> None:
        """Remove what has been unused for long; called regularly with the host's servers."""


class Host(abc.ABC):
    """What the host has to offer."""

    @abc.abstractmethod
    def get_node(self) -> ComputeNode:
        """Return the node: capacity, hypervisor, cpu_info, supported instances (no usage)."""

    @abc.abstractmethod
    def get_inventory(self) -> list[Inventory]:
        """Return the provider tree: the node's first.  Ratios and reserved are filled in."""

    def check_health(self) -> None:  # noqa: B027  (some cannot be away)
        """Raise VirtDriverError when the hypervisor cannot be reached."""

    def get_cpu_stats(self) -> CpuStats:
        """Return what the host's processors have done since it was started."""
        raise exception.NotSupported(feature='measuring processors')

    def get_uptime(self) -> str:
        """Return the host's ``uptime`` line."""
        raise exception.NotSupported(feature='host uptime')

    def power_action(self, action: str) -> str:
        """Do a 'startup', 'shutdown' or 'reboot' of the host; returns what has been begun."""
        raise exception.NotSupported(feature='power actions on hosts')

    def set_maintenance(self, on: bool) -> bool:
        """Put the host into maintenance or back; returns whether it is in it now."""
        raise exception.NotSupported(feature='host maintenance')


class Events(enum.Enum):
    """What a driver tells about a guest unasked."""

    STARTED = 'started'
    STOPPED = 'stopped'
    PAUSED = 'paused'
    RESUMED = 'resumed'
    SUSPENDED = 'suspended'
    REMOVED = 'removed'


class Driver(
    Lifecycle,
    Power,
    Volumes,
    Suspending,
    Moving,
    MovingLive,
    Rescue,
    Interfaces,
    Console,
    Images,
    Shares,
    Host,
    abc.ABC,
):
    """A whole driver; it is made with the configuration (``conf``) as its only argument."""

    needs_plug_events = True
    """Neutron's network-vif-plugged events are to be waited for."""

    def on_event(self, callback: Callable[[str, Events], None]) -> None:
        """Register who is told (uuid, event); a driver without events never calls it."""

    def on_unreachable(self, callback: Callable[[Exception], None]) -> None:
        """Register who is told each time that the hypervisor cannot be connected to.

        The callback returns at once.  A driver without a connection never calls it.
        """

    def close(self) -> None:
        """Called once when the daemon stops; guests go on."""
