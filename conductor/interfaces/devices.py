"""A server's ports, volumes and shares."""

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.network import VIF, NetworkRequest
from kilonova.common.objects.share import Share
from kilonova.common.objects.work import SnapshotVolume


class DevicesInterface(rpc.Interface):
    """A server's ports, volumes and shares."""

    @rpc.call(timeout=90)
    def attach_interface(self, context: Ctx, uuid: str, request: NetworkRequest) -> VIF:
        """Attach a port, made on a network or given; returns it when it is in the guest.

        Raises as start_server, PortInUse, InstanceBusy, what the host failed with, and
        OperationFailed.
        """

    @rpc.call()
    def detach_interface(self, context: Ctx, uuid: str, port_id: str) -> None:
        """Accept the detaching of a port.  Raises as start_server, PortNotFound, InstanceBusy."""

    @rpc.call()
    def add_fixed_ip(self, context: Ctx, uuid: str, network_id: str) -> None:
        """Give a server's port on a network one more address.

        Raises NetworkNotFoundForInstance, NoMoreFixedIps, InstanceIsLocked.
        """

    @rpc.call()
    def remove_fixed_ip(self, context: Ctx, uuid: str, address: str) -> None:
        """Take an address from a server.  Raises FixedIpNotFoundForInstance, InstanceIsLocked."""

    @rpc.call()
    def inject_network_info(self, context: Ctx, uuid: str) -> None:
        """Have the host look at a server's ports.  Raises InstanceIsLocked."""

    @rpc.call()
    def attach_volume(self, context: Ctx, uuid: str, device: BlockDevice) -> BlockDevice:
        """Reserve a volume and accept its attaching; returns the device with its name.

        Raises InvalidVolume, VolumeNotFound, DevicePathInUse, TooManyDiskDevices, InstanceInvalidState.
        """

    @rpc.call()
    def detach_volume(self, context: Ctx, uuid: str, volume_id: str) -> None:
        """Accept a detaching.  Raises VolumeBDMNotFound, Invalid (root device), InvalidVolume."""

    @rpc.call()
    def swap_volume(
        self, context: Ctx, uuid: str, volume_id: str, new: BlockDevice, migration: bool
    ) -> None:
        """Accept that a volume's content moves to ``new``; ``migration``: Cinder wants an answer."""

    @rpc.call()
    def update_volume_attachment(
        self, context: Ctx, uuid: str, volume_id: str, delete_on_termination: bool
    ) -> None:
        """Say whether a volume ends with its server.  Raises VolumeBDMNotFound."""

    @rpc.call()
    def assist_volume_snapshot(self, context: Ctx, request: SnapshotVolume) -> None:
        """Accept a snapshot that Cinder asks for.  Raises VolumeBDMNotFound, VolumeBDMIsMultiAttach."""

    @rpc.call()
    def attach_share(self, context: Ctx, uuid: str, share: Share) -> Share:
        """Accept a share for a stopped server.

        Raises InstanceInvalidState, ShareMappingAlreadyExists.
        """

    @rpc.call()
    def detach_share(self, context: Ctx, uuid: str, share_id: str) -> None:
        """Accept the end of a share's use.  Raises InstanceInvalidState, ShareNotFound."""
