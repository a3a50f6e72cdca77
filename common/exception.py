"""Errors that cross rooms.

Each class says its HTTP status in ``code``; ``kilonova.api.faults`` is the only place
that renders them.  An error crosses RPC by its class name with its message.
A class is found by ``kilonova.common.rpc`` when it is defined in this module.
"""


class KilonovaError(Exception):
    """Base of all errors that we raise on purpose.  ``msg`` is shown to the user."""

    code = 500
    msg = 'An unknown exception occurred.'

    def __init__(self, message: str | None = None, **kwargs: object) -> None:
        self.kwargs = kwargs
        super().__init__(message if message is not None else self.msg % kwargs)

    @property
    def message(self) -> str:
        return str(self)


class Invalid(KilonovaError):
    code = 400
    msg = 'Unacceptable parameters.'


class InvalidInput(Invalid):
    msg = 'Invalid input received: %(reason)s'


class InvalidTopology(Invalid):
    """Flavor and image contradict each other, or themselves, about nodes, pages, CPUs, devices."""


class InvalidExtraSpec(Invalid):
    msg = "Flavor extra spec '%(key)s' cannot be '%(value)s': %(reason)s"


class PciInvalidAlias(Invalid):
    msg = 'Invalid PCI alias definition: %(reason)s'


class PciInvalidSpec(Invalid):
    msg = 'Invalid [pci]device_spec config: %(reason)s'


class PciAliasNotDefined(Invalid):
    msg = 'PCI alias %(alias)s is not defined'


class MarkerNotFound(Invalid):
    msg = 'Marker %(marker)s could not be found.'


class ServiceNotUnique(Invalid):
    msg = 'More than one possible service found.'


class Forbidden(KilonovaError):
    code = 403
    msg = 'Forbidden'


class PolicyNotAuthorized(Forbidden):
    msg = "Policy doesn't allow %(action)s to be performed."


class ImageNotAuthorized(Forbidden):
    msg = 'Not authorized for image %(image_id)s.'


class QuotaExceeded(Forbidden):
    msg = (
        'Quota exceeded for %(overs)s: Requested %(req)s, but already used %(used)s of '
        '%(allowed)s %(overs)s'
    )


class ProjectOverLimit(Forbidden):
    """A limit that Keystone keeps."""

    msg = 'Project %(project_id)s is over a limit for [%(overs)s]'


class LimitExceeded(Forbidden):
    """An absolute limit (metadata items, key pairs, …), which is no usage."""

    msg = 'Quota exceeded.'


class NotFound(KilonovaError):
    code = 404
    msg = 'Resource could not be found.'


class InstanceNotFound(NotFound):
    msg = 'Instance %(instance_id)s could not be found.'


class FlavorNotFound(NotFound):
    msg = 'Flavor %(flavor_id)s could not be found.'


class FlavorExtraSpecsNotFound(NotFound):
    msg = 'Flavor %(flavor_id)s has no extra specs with key %(extra_specs_key)s.'


class FlavorAccessNotFound(NotFound):
    msg = 'Flavor access not found for %(flavor_id)s / %(project_id)s combination.'


class InstanceGroupNotFound(NotFound):
    msg = 'Instance group %(group_uuid)s could not be found.'


class KeypairNotFound(NotFound):
    msg = 'Keypair %(name)s not found for user %(user_id)s'


class AggregateNotFound(NotFound):
    msg = 'Aggregate %(aggregate_id)s could not be found.'


class AggregateHostNotFound(NotFound):
    msg = 'Aggregate %(aggregate_id)s has no host %(host)s.'


class HostNotFound(NotFound):
    msg = 'Compute host %(host)s could not be found.'


class HostMappingNotFound(NotFound):
    msg = "Host '%(name)s' is not mapped to any cell"


class ServiceNotFound(NotFound):
    msg = 'Service %(service_id)s could not be found.'


class ComputeHostNotFound(NotFound):
    msg = 'Compute host %(host)s could not be found.'


class HostDrainNotFound(NotFound):
    msg = 'Compute host %(host)s is not being drained.'


class ImageNotFound(NotFound):
    msg = 'Image %(image_id)s could not be found.'


class VolumeNotFound(NotFound):
    msg = 'Volume %(volume_id)s could not be found.'


class VolumeTypeNotFound(NotFound):
    msg = 'Volume type %(id_or_name)s could not be found.'


class VolumeAttachmentNotFound(NotFound):
    msg = 'Volume attachment %(attachment_id)s could not be found.'


class VolumeBDMNotFound(NotFound):
    msg = 'No volume Block Device Mapping with id %(volume_id)s.'


class SnapshotNotFound(NotFound):
    msg = 'Snapshot %(snapshot_id)s could not be found.'


class NetworkNotFound(NotFound):
    msg = 'Network %(network_id)s could not be found.'


class NetworkNotFoundForInstance(NetworkNotFound):
    msg = 'Instance %(instance_id)s has no port on network %(network_id)s.'


class PortNotFound(NotFound):
    msg = 'Port id %(port_id)s could not be found.'


class FloatingIpNotFound(NotFound):
    msg = 'Floating IP not found for ID %(id)s'


class FloatingIpNotFoundForAddress(NotFound):
    msg = 'Floating IP not found for address %(address)s.'


class FloatingIpPoolNotFound(NotFound):
    msg = 'Floating IP pool not found.'


class SecurityGroupNotFound(NotFound):
    msg = 'Security group %(security_group_id)s not found.'


class ActionNotFound(NotFound):
    msg = 'Action for request_id %(request_id)s on instance %(instance_uuid)s not found'


class ShareNotFound(NotFound):
    msg = 'Share %(share_id)s could not be found.'


class MetadataItemNotFound(NotFound):
    msg = 'Metadata item was not found'


class TagNotFound(NotFound):
    msg = "Server %(server_id)s has no tag '%(tag)s'"


class QuotaClassNotFound(NotFound):
    msg = 'Quota class %(class_name)s could not be found.'


class MigrationNotFound(NotFound):
    msg = 'Migration %(migration_id)s could not be found.'


class MigrationNotFoundForInstance(MigrationNotFound):
    msg = 'Migration %(migration_id)s not found for instance %(instance_id)s'


class InvalidMigrationState(Invalid):
    msg = (
        'Migration %(migration_id)s state of instance %(instance_uuid)s is %(state)s. '
        'Cannot %(method)s while the migration is in this state.'
    )


class CellMappingNotFound(NotFound):
    msg = 'Cell %(uuid)s has no mapping.'


class Conflict(KilonovaError):
    code = 409
    msg = 'Conflict'


class InstanceInvalidState(Conflict):
    msg = "Cannot '%(method)s' instance %(instance_uuid)s while it is in %(attr)s %(state)s"


class InstanceIsLocked(Conflict):
    msg = 'Instance %(instance_uuid)s is locked'


class InstanceNotReady(Conflict):
    msg = 'Instance %(instance_id)s is not ready'


class InstanceNotRescuable(Invalid):
    msg = 'Instance %(instance_id)s cannot be rescued: %(reason)s'


class UnshelveInstanceInvalidState(Conflict):
    msg = (
        'Specifying an availability zone or a host when unshelving server %(instance_uuid)s with '
        'status "%(state)s" is not supported. The server status must be SHELVED_OFFLOADED.'
    )


class UnsupportedRescueImage(Invalid):
    msg = "Requested rescue image '%(image)s' is not supported"


class InstanceBusy(Conflict):
    msg = 'Instance %(instance_uuid)s is being changed by another request; try again.'


class FlavorExists(Conflict):
    msg = 'Flavor with name %(name)s already exists.'


class FlavorIdExists(Conflict):
    msg = 'Flavor with ID %(flavor_id)s already exists.'


class FlavorAccessExists(Conflict):
    msg = 'Flavor access already exists for flavor %(flavor_id)s and project %(project_id)s combination.'


class KeyPairExists(Conflict):
    msg = "Key pair '%(key_name)s' already exists."


class AggregateNameExists(Conflict):
    msg = 'Aggregate %(aggregate_name)s already exists.'


class AggregateHostExists(Conflict):
    msg = 'Aggregate %(aggregate_id)s already has host %(host)s.'


class InvalidAggregateAction(Conflict):
    msg = "Unacceptable aggregate action '%(action)s' on %(aggregate_id)s. Reason: %(reason)s."


class ShareStatusIncorrect(Conflict):
    msg = "Share %(share_id)s is in '%(status)s' instead of 'available' status."


class ShareMappingAlreadyExists(Conflict):
    msg = "Share '%(share_id)s' or tag '%(tag)s' is already attached to this server."


class InstancePasswordSetFailed(Conflict):
    msg = 'Failed to set admin password on %(instance)s because %(reason)s'


class ShareProtocolNotSupported(Conflict):
    msg = 'Share protocol %(share_proto)s is not supported.'


class ShareMissingExportLocation(Conflict):
    msg = 'Share %(share_id)s export location is missing.'


class ForbiddenSharesNotSupported(Conflict):
    msg = 'Feature not supported with instances that have shares.'


class PortInUse(Conflict):
    msg = 'Port %(port_id)s is still in use.'


class NetworkAmbiguous(Conflict):
    msg = 'More than one possible network found. Specify network ID(s) to select which one(s) to connect to.'


class SecurityGroupAmbiguous(Conflict):
    msg = "More than one security group is named '%(security_group)s'; use an id."


class NetworkRequiresSubnet(Invalid):
    msg = 'Network %(network_id)s has no subnet, so nothing can get an address on it.'


class PortRequiresFixedIP(Invalid):
    msg = 'Port %(port_id)s has no fixed IP address.'


class AttachInterfaceWithQoSPolicyNotSupported(Invalid):
    msg = (
        'Server %(instance_uuid)s can only have a port that is a PCI device and has a resource '
        'request from its creation: such a port cannot be attached.'
    )


class InterfaceAttachResourceAllocationFailed(Invalid):
    msg = (
        'The host of server %(instance_uuid)s has not (any more) what the port asks for: '
        'see the resource request of the port.'
    )


class InterfaceAttachPciClaimFailed(Invalid):
    msg = 'The host of server %(instance_uuid)s has no free PCI device for the port.'


class FixedIpAlreadyInUse(Invalid):
    msg = 'Fixed IP address %(address)s is already in use on instance %(instance_uuid)s.'


class FixedIpNotFoundForInstance(Invalid):
    msg = "Instance %(instance_uuid)s does not have fixed IP '%(ip)s'."


class NoMoreFixedIps(Invalid):
    msg = 'No fixed IP addresses available for network: %(network_id)s'


class UnableToAutoAllocateNetwork(Invalid):
    msg = 'Unable to automatically allocate a network for project %(project_id)s'


class ExternalNetworkAttachForbidden(Forbidden):
    msg = 'It is not allowed to create an interface on external network %(network_id)s'


class PortLimitExceeded(Forbidden):
    msg = 'Maximum number of ports exceeded'


class CannotResizeToSameFlavor(Invalid):
    msg = 'When resizing, instances must change flavor!'


class CannotResizeDisk(Invalid):
    msg = 'Server disk was unable to be resized because: %(reason)s'


class CannotMigrateToSameHost(Invalid):
    msg = 'Cannot migrate to the host where the server exists.'


class UnableToMigrateToSelf(Invalid):
    msg = 'Unable to migrate instance (%(instance_id)s) to current host (%(host)s).'


class ComputeServiceInUse(Invalid):
    msg = 'Compute service of %(host)s is still in use.'


class NeutronRefused(Invalid):
    """Neutron answered 4xx to something that has no error of its own."""

    msg = 'Neutron refused the request: %(reason)s'


class AutoDiskConfigDisabledByImage(Invalid):
    msg = 'Requested image %(image)s has automatic disk resize disabled.'


class ImageNotActive(Invalid):
    msg = 'Image %(image_id)s is not active.'


class InvalidVolume(Invalid):
    msg = 'Invalid volume: %(reason)s'


class InvalidBDM(Invalid):
    msg = 'Block Device Mapping is Invalid.'


class InvalidBDMFormat(InvalidBDM):
    msg = 'Block Device Mapping is Invalid: %(details)s'


class InvalidBDMBootSequence(InvalidBDM):
    msg = (
        'Block Device Mapping is Invalid: Boot sequence for the instance and image/block device '
        'mapping combination is not valid.'
    )


class InvalidBDMVolume(InvalidBDM):
    msg = 'Block Device Mapping is Invalid: failed to get volume %(id)s.'


class InvalidBDMSnapshot(InvalidBDM):
    msg = 'Block Device Mapping is Invalid: failed to get snapshot %(id)s.'


class InvalidBDMImage(InvalidBDM):
    msg = 'Block Device Mapping is Invalid: failed to get image %(id)s.'


class InvalidBDMVolumeNotBootable(InvalidBDM):
    msg = 'Block Device %(id)s is not bootable.'


class InvalidBDMLocalsLimit(InvalidBDM):
    msg = 'Block Device Mapping is Invalid: You specified more local devices than the limit allows'


class InvalidBDMEphemeralSize(InvalidBDM):
    msg = (
        'Ephemeral disks requested are larger than the instance type allows. If no size is given '
        'in one block device mapping, flavor ephemeral size will be used.'
    )


class InvalidBDMSwapSize(InvalidBDM):
    msg = 'Swap drive requested is larger than instance type allows.'


class InvalidBDMDiskBus(InvalidBDM):
    msg = 'Block Device Mapping is invalid: The provided disk bus %(disk_bus)s is not valid.'


class TooManyDiskDevices(InvalidBDM):
    code = 403
    msg = (
        'The maximum allowed number of disk devices (%(maximum)d) to attach to a single instance '
        'has been exceeded.'
    )


class VolumeSmallerThanMinDisk(Invalid):
    msg = (
        'Volume is smaller than the minimum size specified in image metadata. Volume size is '
        '%(volume_size)d bytes, minimum size is %(image_min_disk)d bytes.'
    )


class MismatchVolumeAZ(Invalid):
    msg = (
        'The availability zone between the server and its attached volumes do not match: '
        '%(reason)s.'
    )


class MultiattachNotSupportedOldMicroversion(Invalid):
    msg = 'Multiattach volumes are only supported starting with compute API version 2.60.'


class MultiattachToShelvedNotSupported(Invalid):
    msg = 'Attaching multiattach volumes is not supported for shelved-offloaded instances.'


class MultiattachSwapVolumeNotSupported(Invalid):
    msg = 'Swapping multi-attach volumes with more than one read/write attachment is not supported.'


class VolumeTaggedAttachToShelvedNotSupported(Invalid):
    msg = 'Tagged volume attachment is not supported for shelved-offloaded instances.'


class VolumeBDMIsMultiAttach(Invalid):
    msg = (
        'Block Device Mapping %(volume_id)s is a multi-attach volume and is not valid for this '
        'operation.'
    )


class InvalidDevicePath(Invalid):
    msg = 'The supplied device path (%(path)s) is invalid.'


class DevicePathInUse(Conflict):
    msg = 'The supplied device path (%(path)s) is in use.'


class ComputeServiceUnavailable(KilonovaError):
    code = 400
    msg = 'Compute service of %(host)s is unavailable at this time.'


class NoValidHost(KilonovaError):
    """``reason`` is for the operator: which filter left how many hosts, and why."""

    code = 500
    msg = 'No valid host was found. %(reason)s'


class ServiceUnavailable(KilonovaError):
    """A fellow service or a daemon of ours does not answer; nothing was changed."""

    code = 503
    msg = 'Service is unavailable at this time.'


class VendorDataFailed(KilonovaError):
    """Only where the operator wants such failures to count."""

    msg = 'Vendor data %(name)s cannot be had: %(reason)s'


class FellowServiceError(ServiceUnavailable):
    msg = '%(service)s is unavailable or answered with an error: %(reason)s'


class DaemonTooOld(Conflict):
    """The receiver's interface, or what ``[upgrade_levels]`` says of it, is older than needed."""

    msg = (
        '%(method)s needs version %(needed)s of the %(interface)s interface, but %(cap)s is the '
        'newest that may be spoken now: a daemon or [upgrade_levels] is behind.'
    )


class Superseded(KilonovaError):
    """The fence is old: another operation or attempt owns the server now."""

    code = 409
    msg = 'Operation %(operation)s no longer owns server %(uuid)s.'


class BuildError(KilonovaError):
    """A build failed on one host; another host may do better."""

    msg = 'Build of instance %(uuid)s failed: %(reason)s'


class BuildAborted(BuildError):
    """A build failed for a reason that is the same on every host (bad image, no IP)."""


class ImageUnacceptable(BuildAborted):
    code = 400
    msg = 'Image %(image_id)s is unacceptable: %(reason)s'


class FlavorDiskSmallerThanImage(BuildAborted):
    code = 400
    msg = (
        "Flavor's disk is too small for requested image. Flavor disk is %(flavor_size)d bytes, "
        'image is %(image_size)d bytes.'
    )


class VolumeNotCreated(BuildAborted):
    msg = (
        'Volume %(volume_id)s did not finish being created even after we waited %(seconds)s '
        'seconds or %(attempts)s attempts. And its status is %(volume_status)s.'
    )


class VirtualInterfacePlugTimeout(BuildError):
    msg = 'Neutron did not report the ports of instance %(uuid)s as plugged in time: %(ports)s'


class OperationFailed(KilonovaError):
    """What a request waited for has failed, for a reason that is not the request's fault."""


class VirtDriverError(KilonovaError):
    """The hypervisor refused or failed."""

    msg = '%(reason)s'


class ShareAccessError(KilonovaError):
    msg = 'The access to share %(share_id)s could not be changed: %(reason)s'


class ShareLockError(KilonovaError):
    msg = 'The lock of share %(share_id)s could not be changed: %(reason)s'


class GuestNotFound(NotFound):
    """The hypervisor does not know the server."""

    msg = 'Instance %(instance_id)s could not be found on the hypervisor.'


class NotSupported(KilonovaError):
    """The virt driver cannot do this."""

    code = 501
    msg = 'The virt driver does not support %(feature)s.'


class ResizeError(KilonovaError):
    msg = 'Resize error: %(reason)s'


class MigrationPreCheckError(Invalid):
    """The destination or the source cannot do it."""

    msg = 'Migration pre-check error: %(reason)s'


class MigrationAborted(KilonovaError):
    """Somebody wanted the live migration to end."""

    msg = 'The live migration of instance %(instance_id)s was cancelled.'


class PortBindingFailed(KilonovaError):
    """No mechanism driver of Neutron could bind a port on a host."""

    msg = 'Binding failed for port %(port_id)s, please check neutron logs for more information.'


class ConsoleNotAvailable(NotFound):
    msg = 'Guest does not have a console available.'


class ConsoleTypeInvalid(Invalid):
    msg = 'Invalid console type %(console_type)s'


class ConsoleTypeUnavailable(Invalid):
    msg = 'Unavailable console type %(console_type)s.'


class TokenNotFound(NotFound):
    msg = 'Token not found'
