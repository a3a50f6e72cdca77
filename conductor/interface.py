"""Every RPC that the conductor answers.

Domain errors (``kilonova.common.exception``) are raised and cross by name.  The context
says who asks; the conductor checks no policy (the API did) but it does keep projects
apart: ``project_id=None`` in a lookup means "any project", and only the API decides so.
"""

import datetime
from typing import Any

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.common import rpc, service
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.context import get_admin_context
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.console import ConsoleAccess
from kilonova.common.objects.diagnostics import Diagnostics
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.host import (
    Aggregate,
    ComputeNode,
    HostResources,
    HostTable,
    Hypervisor,
    Service,
)
from kilonova.common.objects.image import Image
from kilonova.common.objects.migration import Migration, MigrationQuery, Progress
from kilonova.common.objects.network import VIF, NetworkRequest
from kilonova.common.objects.operation import ExternalEvent, Fence
from kilonova.common.objects.quota import QuotaSet
from kilonova.common.objects.server import (
    Action,
    CreatedServers,
    Keypair,
    Rebuild,
    Server,
    ServerCreate,
    ServerQuery,
)
from kilonova.common.objects.server_group import ServerGroup
from kilonova.common.objects.share import Share
from kilonova.common.objects.usage import UsageAudit, UsagePage
from kilonova.common.objects.work import SnapshotVolume, WorkResult


class ConductorInterface(rpc.Interface):
    """The conductor: state, rules, durable operations."""

    TOPIC, VERSION = 'conductor', '1.0'

    # -- servers: what the API asks

    @rpc.call()
    def create_servers(self, context: Ctx, request: ServerCreate) -> CreatedServers:
        """Accept new servers: flavor, key, group, zone and quota are checked; then the build runs.

        Raises FlavorNotFound, KeypairNotFound, InstanceGroupNotFound, QuotaExceeded,
        LimitExceeded, Invalid (zone, forced host, image too large for the flavor).
        """

    @rpc.call()
    def get_server(
        self,
        context: Ctx,
        uuid: str,
        project_id: str | None = None,
        expand: list[str] | None = None,
    ) -> Server:
        """Return one server that is not deleted.

        ``expand``: 'host_status', 'block_devices', 'server_groups'.  Tags, fault and network
        info always come.
        Raises InstanceNotFound (also when it is another project's).
        """

    @rpc.call()
    def list_servers(self, context: Ctx, query: ServerQuery) -> list[Server]:
        """Return servers; with ``query.detail`` false only uuid, name (rest at defaults).

        Raises MarkerNotFound, InvalidInput (bad regular expression, unknown sort key).
        """

    @rpc.call()
    def update_server(self, context: Ctx, uuid: str, changes: dict[str, Any]) -> Server:
        """Change name, description, hostname, access_ip_v4/v6, auto_disk_config, requested_zone."""

    @rpc.call()
    def delete_server(self, context: Ctx, uuid: str, force: bool = False) -> None:
        """Accept the deletion; supersedes whatever runs.  Raises InstanceIsLocked.

        Where deletion is deferred a server that has run is only soft-deleted, unless ``force``.
        """

    @rpc.call()
    def start_server(self, context: Ctx, uuid: str) -> None:
        """Accept a start.  Raises InstanceInvalidState, InstanceIsLocked, InstanceNotReady."""

    @rpc.call()
    def stop_server(self, context: Ctx, uuid: str) -> None:
        """Accept a stop.  Raises as start_server."""

    @rpc.call()
    def reboot_server(self, context: Ctx, uuid: str, kind: str) -> None:
        """Accept a reboot, ``kind`` 'SOFT' or 'HARD'.  Raises as start_server."""

    @rpc.call()
    def pause_server(self, context: Ctx, uuid: str) -> None:
        """Accept a pause.  Raises as start_server; so do all that follow."""

    @rpc.call()
    def unpause_server(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a pause."""

    @rpc.call()
    def suspend_server(self, context: Ctx, uuid: str) -> None:
        """Accept a suspension to disk."""

    @rpc.call()
    def resume_server(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a suspension."""

    @rpc.call()
    def resize_server(
        self,
        context: Ctx,
        uuid: str,
        flavorid: str,
        auto_disk_config: bool | None = None,
        zero_disk_allowed: bool = True,
    ) -> None:
        """Accept a resize.  Also raises FlavorNotFound, QuotaExceeded, Forbidden (zero disk),
        CannotResizeToSameFlavor, CannotResizeDisk.
        """

    @rpc.call()
    def migrate_server(self, context: Ctx, uuid: str, host: str | None = None) -> None:
        """Accept a cold migration.  Also raises ComputeHostNotFound, CannotMigrateToSameHost."""

    @rpc.call()
    def confirm_resize(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a resize.  Also raises Invalid when there is none."""

    @rpc.call()
    def revert_resize(self, context: Ctx, uuid: str) -> None:
        """Accept the way back from a resize.  Also raises Invalid when there is none."""

    @rpc.call()
    def rescue_server(
        self,
        context: Ctx,
        uuid: str,
        admin_password: str,
        image_id: str | None,
        volume_backed: bool,
    ) -> None:
        """Accept a rescue; ``volume_backed``: servers that boot from a volume, too.

        Raises InstanceNotRescuable.
        """

    @rpc.call()
    def unrescue_server(self, context: Ctx, uuid: str) -> None:
        """Accept the end of a rescue."""

    @rpc.call()
    def set_admin_password(self, context: Ctx, uuid: str, password: str) -> None:
        """Accept a new password for the guest's administrator."""

    @rpc.call()
    def trigger_crash_dump(self, context: Ctx, uuid: str) -> None:
        """Accept a crash dump."""

    @rpc.call()
    def rebuild_server(self, context: Ctx, uuid: str, request: Rebuild) -> Server:
        """Accept that a server is made anew; returns it as it is from now on.

        Raises KeypairNotFound, LimitExceeded, Invalid (flavor too small for the image).
        """

    @rpc.call()
    def shelve_server(self, context: Ctx, uuid: str, image_id: str | None = None) -> None:
        """Accept that a server is put away; ``image_id``: what its disk is sent to."""

    @rpc.call()
    def shelve_offload_server(self, context: Ctx, uuid: str) -> None:
        """Accept that a shelved server leaves its host."""

    @rpc.call()
    def unshelve_server(
        self,
        context: Ctx,
        uuid: str,
        image: Image | None = None,
        changes: dict[str, str | None] | None = None,
    ) -> None:
        """Accept that a server is brought back; ``image``: what was made of it.

        ``changes``: ``availability_zone`` (None: none in particular) and ``host``, for one that
        has left its host.  Raises UnshelveInstanceInvalidState, Invalid, ComputeHostNotFound.
        """

    @rpc.call()
    def snapshot_server(self, context: Ctx, uuid: str, image_id: str) -> None:
        """Accept that the root disk is sent to an image that exists."""

    @rpc.call()
    def backup_server(
        self, context: Ctx, uuid: str, image_id: str, backup_type: str, rotation: int
    ) -> None:
        """The same, and only the newest ``rotation`` backups of the type are kept."""

    @rpc.call()
    def restore_server(self, context: Ctx, uuid: str) -> None:
        """Accept the restoration of a soft-deleted server.  Raises QuotaExceeded."""

    @rpc.call()
    def lock_server(self, context: Ctx, uuid: str, reason: str | None = None) -> None:
        """Lock; nothing changes when the owner locks what is locked."""

    @rpc.call()
    def unlock_server(self, context: Ctx, uuid: str, override: bool = False) -> None:
        """Unlock.  Raises InstanceIsLocked when it is another one's lock and not ``override``."""

    @rpc.call()
    def reset_server_state(self, context: Ctx, uuid: str, vm_state: str) -> None:
        """Set the state, clear the task; what works on the server is superseded."""

    @rpc.call(timeout=90)
    def attach_interface(self, context: Ctx, uuid: str, request: NetworkRequest) -> str:
        """Attach a port, made on a network or given; returns its id when it is in the guest.

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

    @rpc.call(timeout=90)
    def live_migrate_server(
        self,
        context: Ctx,
        uuid: str,
        host: str | None,
        block_migration: bool | None,
        disk_over_commit: bool = False,
        force: bool = False,
        wait: bool = False,
    ) -> None:
        """Accept a live migration; ``wait``: return when both hosts have checked it.

        ``block_migration`` None: as the hosts find out.  ``force``: to ``host`` without asking
        the scheduler.  Also raises ComputeHostNotFound, and with ``wait`` Invalid.
        """

    @rpc.call()
    def evacuate_server(
        self,
        context: Ctx,
        uuid: str,
        admin_password: str,
        host: str | None = None,
        force: bool = False,
        stopped: bool = False,
    ) -> None:
        """Accept that a server of a host that is down is made anew on another one.

        ``stopped``: it is not started there.  Raises NotFound (host), ComputeServiceInUse.
        """

    @rpc.call()
    def abort_live_migration(
        self,
        context: Ctx,
        uuid: str,
        number: int,
        project_id: str | None = None,
        waiting: bool = False,
    ) -> None:
        """Have a live migration end; ``waiting``: also one that is only prepared.

        Raises MigrationNotFoundForInstance, InvalidMigrationState.
        """

    @rpc.call()
    def force_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> None:
        """Have a live migration come to its end.  Raises as abort_live_migration."""

    @rpc.call(timeout=90)
    def get_console_output(self, context: Ctx, uuid: str, length: int | None) -> str:
        """Return the last ``length`` lines of the console log (None: all).

        Raises ConsoleNotAvailable, InstanceNotReady, NotSupported, ServiceUnavailable.
        """

    @rpc.call(timeout=90)
    def get_server_diagnostics(self, context: Ctx, uuid: str) -> Diagnostics:
        """Ask the host what it knows of a running guest.

        Raises InstanceNotReady, InstanceInvalidState, NotSupported, ServiceUnavailable.
        """

    @rpc.call(timeout=60)
    def get_console_url(self, context: Ctx, uuid: str, protocol: str, console_type: str) -> str:
        """Return the URL of a console, with a new token in it.

        Raises ConsoleTypeInvalid, ConsoleTypeUnavailable, InstanceNotReady, InstanceInvalidState,
        NotSupported, ServiceUnavailable.
        """

    @rpc.call()
    def get_console_access(self, context: Ctx, token: str) -> ConsoleAccess:
        """Return what a token stands for while its server is where it was.  Raises TokenNotFound."""

    @rpc.call(timeout=60)
    def validate_console_token(self, context: Ctx, token: str) -> ConsoleAccess:
        """As get_console_access, and the host says that it still has the console in that place.

        For proxies, before they connect: another guest may have got the port since.
        """

    @rpc.call()
    def set_server_metadata(
        self, context: Ctx, uuid: str, metadata: dict[str, str], replace: bool
    ) -> dict[str, str]:
        """Merge or replace the metadata; returns all of it.  Raises LimitExceeded, InstanceInvalidState."""

    @rpc.call()
    def delete_server_metadata(self, context: Ctx, uuid: str, key: str) -> None:
        """Remove one item.  Raises MetadataItemNotFound."""

    @rpc.call()
    def set_server_tags(self, context: Ctx, uuid: str, tags: list[str]) -> list[str]:
        """Replace all tags.  Raises InstanceInvalidState."""

    @rpc.call()
    def add_server_tag(self, context: Ctx, uuid: str, tag: str) -> bool:
        """Add one; false if it was there.  Raises Invalid when there are 50 already."""

    @rpc.call()
    def delete_server_tag(self, context: Ctx, uuid: str, tag: str | None) -> None:
        """Remove one tag, or all for None.  Raises TagNotFound."""

    @rpc.call()
    def set_server_password(self, context: Ctx, uuid: str, password: str) -> None:
        """Keep the password that a guest has encrypted; '' forgets it.

        Raises Conflict when there is one already.
        """

    @rpc.call()
    def list_actions(
        self,
        context: Ctx,
        uuid: str,
        limit: int | None = None,
        marker: str | None = None,
        changes_since: datetime.datetime | None = None,
        changes_before: datetime.datetime | None = None,
    ) -> list[Action]:
        """Return a server's actions, newest first, without events; also of a deleted server."""

    @rpc.call()
    def get_action(self, context: Ctx, uuid: str, request_id: str) -> Action:
        """Return one action with its events.  Raises ActionNotFound."""

    @rpc.call()
    def get_deleted_or_live_server(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> Server:
        """Return a server even when it is deleted (os-instance-actions from 2.21)."""

    @rpc.call()
    def list_migrations(self, context: Ctx, query: MigrationQuery) -> list[Migration]:
        """Return moves of servers.  Raises MarkerNotFound."""

    @rpc.call()
    def list_live_migrations(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> list[Migration]:
        """Return a server's live migrations that go on.  Raises InstanceNotFound."""

    @rpc.call()
    def get_live_migration(
        self, context: Ctx, uuid: str, number: int, project_id: str | None = None
    ) -> Migration:
        """Return one that goes on.  Raises InstanceNotFound, NotFound."""

    @rpc.call()
    def external_events(self, context: Ctx, events: list[ExternalEvent]) -> list[int]:
        """Pass events on to the hosts; a status code for each (200, 404, 422), as the API shows."""

    @rpc.call()
    def get_server_by_port(self, context: Ctx, port_id: str) -> Server:
        """Return the server that owns a port."""

    @rpc.call()
    def snapshot_volume_backed_server(self, context: Ctx, uuid: str) -> None:
        """Note that the API snapshots a server's volumes.  Raises InstanceInvalidState."""

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

    # -- flavors

    @rpc.call()
    def create_flavor(self, context: Ctx, flavor: Flavor) -> Flavor:
        """Create; an empty ``flavorid`` gets a UUID.  Raises FlavorExists, FlavorIdExists."""

    @rpc.call()
    def get_flavor(self, context: Ctx, flavorid: str, any_project: bool = True) -> Flavor:
        """Return one, with its projects.  ``any_project`` false: public ones or those of the caller.

        Raises FlavorNotFound.
        """

    @rpc.call()
    def list_flavors(
        self,
        context: Ctx,
        is_public: bool | None,
        project_id: str | None = None,
        min_disk: int | None = None,
        min_ram: int | None = None,
        sort_key: str = 'flavorid',
        sort_dir: str = 'asc',
        limit: int | None = None,
        marker: str | None = None,
        name: str | None = None,
    ) -> list[Flavor]:
        """Return flavors; ``is_public`` None: all; ``project_id``: public ones and that project's."""

    @rpc.call()
    def update_flavor(self, context: Ctx, flavorid: str, description: str | None) -> Flavor:
        """Set the description."""

    @rpc.call()
    def delete_flavor(self, context: Ctx, flavorid: str) -> None:
        """Delete a flavor with its specs and access."""

    @rpc.call()
    def set_flavor_extra_specs(self, context: Ctx, flavorid: str, specs: dict[str, str]) -> None:
        """Add or change extra specs."""

    @rpc.call()
    def delete_flavor_extra_spec(self, context: Ctx, flavorid: str, key: str) -> None:
        """Remove one.  Raises FlavorExtraSpecsNotFound."""

    @rpc.call()
    def add_flavor_access(self, context: Ctx, flavorid: str, project_id: str) -> list[str]:
        """Return the projects afterwards.  Raises FlavorAccessExists, Conflict for a public flavor."""

    @rpc.call()
    def remove_flavor_access(self, context: Ctx, flavorid: str, project_id: str) -> list[str]:
        """Return the projects afterwards.  Raises FlavorAccessNotFound."""

    # -- key pairs

    @rpc.call()
    def create_keypair(self, context: Ctx, keypair: Keypair, generated: bool = False) -> Keypair:
        """Store a key pair (public part).  Raises KeyPairExists, LimitExceeded.

        ``generated``: the API has made it; it was not imported.
        """

    @rpc.call()
    def get_keypair(self, context: Ctx, user_id: str, name: str) -> Keypair:
        """Raises KeypairNotFound."""

    @rpc.call()
    def list_keypairs(
        self, context: Ctx, user_id: str, limit: int | None = None, marker: str | None = None
    ) -> list[Keypair]:
        """Return a user's key pairs by name.  Raises MarkerNotFound."""

    @rpc.call()
    def delete_keypair(self, context: Ctx, user_id: str, name: str) -> None:
        """Raises KeypairNotFound."""

    # -- server groups

    @rpc.call()
    def create_server_group(self, context: Ctx, group: ServerGroup) -> ServerGroup:
        """Create a group for its project and user.  Raises LimitExceeded."""

    @rpc.call()
    def get_server_group(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> ServerGroup:
        """Return one with its members.  Raises InstanceGroupNotFound."""

    @rpc.call()
    def list_server_groups(
        self,
        context: Ctx,
        project_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ServerGroup]:
        """Return groups with their members, oldest first."""

    @rpc.call()
    def delete_server_group(self, context: Ctx, uuid: str, project_id: str | None = None) -> None:
        """Delete a group, not its servers.  Raises InstanceGroupNotFound."""

    # -- hosts

    @rpc.call()
    def list_services(
        self,
        context: Ctx,
        host: str | None = None,
        binary: str | None = None,
        disabled: bool | None = None,
    ) -> list[Service]:
        """Return services, with their zone and whether they are up."""

    @rpc.call()
    def get_service(self, context: Ctx, service_id: str) -> Service:
        """By uuid or by number.  Raises ServiceNotFound."""

    @rpc.call(timeout=90)
    def update_service(
        self,
        context: Ctx,
        service_id: str,
        disabled: bool | None = None,
        disabled_reason: str | None = None,
        forced_down: bool | None = None,
    ) -> Service:
        """Enable, disable, force down; the host's COMPUTE_STATUS_DISABLED trait follows."""

    @rpc.call()
    def delete_service(self, context: Ctx, service_id: str) -> None:
        """Delete a service, its nodes, host mapping and resource providers.

        Raises Conflict when servers are on the host.
        """

    @rpc.call()
    def list_hypervisors(
        self,
        context: Ctx,
        with_servers: bool = False,
        limit: int | None = None,
        marker: str | None = None,
        hostname_pattern: str | None = None,
    ) -> list[Hypervisor]:
        """Return compute nodes, ordered by id.  Marker: node uuid (or id).  Raises MarkerNotFound."""

    @rpc.call()
    def get_hypervisor(self, context: Ctx, node_id: str, with_servers: bool = False) -> Hypervisor:
        """By node uuid or number.  Raises ComputeHostNotFound."""

    @rpc.call(timeout=30)
    def get_host_uptime(self, context: Ctx, host: str) -> str:
        """Ask a host for its ``uptime`` line.  Raises ComputeServiceUnavailable, NotSupported."""

    @rpc.call()
    def get_host_resources(self, context: Ctx, host: str) -> HostResources:
        """Return what a host has and what its servers use.  Raises ComputeHostNotFound."""

    @rpc.call(timeout=90)
    def host_power_action(self, context: Ctx, host: str, action: str) -> str:
        """'startup', 'shutdown' or 'reboot' a host; returns what its driver says of it.

        Raises ComputeHostNotFound, ComputeServiceUnavailable, NotSupported.
        """

    @rpc.call(timeout=90)
    def set_host_maintenance(self, context: Ctx, host: str, on: bool) -> bool:
        """Put a host into maintenance or back; returns whether it is.  Raises likewise."""

    @rpc.call()
    def list_aggregates(self, context: Ctx) -> list[Aggregate]:
        """Return all aggregates by id."""

    @rpc.call()
    def get_aggregate(self, context: Ctx, aggregate_id: int) -> Aggregate:
        """Raises AggregateNotFound."""

    @rpc.call()
    def create_aggregate(self, context: Ctx, name: str, availability_zone: str | None) -> Aggregate:
        """Raises AggregateNameExists, Invalid."""

    @rpc.call()
    def update_aggregate(
        self, context: Ctx, aggregate_id: int, changes: dict[str, Any]
    ) -> Aggregate:
        """Change ``name`` and/or ``availability_zone``.  Raises InvalidAggregateAction."""

    @rpc.call()
    def delete_aggregate(self, context: Ctx, aggregate_id: int) -> None:
        """Raises AggregateNotFound, InvalidAggregateAction when it still has hosts."""

    @rpc.call(timeout=60)
    def add_aggregate_host(self, context: Ctx, aggregate_id: int, host: str) -> Aggregate:
        """Also in placement.  Raises AggregateHostExists, HostMappingNotFound, InvalidAggregateAction."""

    @rpc.call(timeout=60)
    def remove_aggregate_host(self, context: Ctx, aggregate_id: int, host: str) -> Aggregate:
        """Raises AggregateHostNotFound, InvalidAggregateAction."""

    @rpc.call()
    def set_aggregate_metadata(
        self, context: Ctx, aggregate_id: int, metadata: dict[str, str | None]
    ) -> Aggregate:
        """Set items; a None removes one.  Raises InvalidAggregateAction (zone with servers)."""

    @rpc.call()
    def cache_images(self, context: Ctx, aggregate_id: int, image_ids: list[str]) -> None:
        """Have the hosts of an aggregate fetch images, in the background.

        Raises AggregateNotFound.
        """

    # -- quotas

    @rpc.call()
    def get_quotas(
        self,
        context: Ctx,
        project_id: str,
        user_id: str | None = None,
        usage: bool = False,
        defaults: bool = False,
    ) -> QuotaSet:
        """Return limits (and usage); ``defaults``: the class's alone."""

    @rpc.call()
    def update_quotas(
        self,
        context: Ctx,
        project_id: str,
        user_id: str | None,
        limits: dict[str, int],
        force: bool = False,
    ) -> QuotaSet:
        """Set limits.  Raises Invalid when one is below what is in use and not ``force``."""

    @rpc.call()
    def delete_quotas(self, context: Ctx, project_id: str, user_id: str | None = None) -> None:
        """Back to the defaults."""

    @rpc.call()
    def get_quota_class(self, context: Ctx, class_name: str) -> QuotaSet:
        """Return the limits of a class ('default')."""

    @rpc.call()
    def update_quota_class(self, context: Ctx, class_name: str, limits: dict[str, int]) -> QuotaSet:
        """Set limits of a class."""

    # -- usage

    @rpc.call()
    def get_usage(
        self,
        context: Ctx,
        start: datetime.datetime,
        end: datetime.datetime,
        project_id: str | None = None,
        detailed: bool = False,
        limit: int | None = None,
        marker: str | None = None,
    ) -> UsagePage:
        """Return what servers, deleted ones too, have used between two times, by project.

        ``limit`` counts servers, ``marker`` is one's uuid.  Raises MarkerNotFound.
        """

    @rpc.call()
    def get_usage_audit(self, context: Ctx, before: datetime.datetime | None) -> UsageAudit:
        """Return the logs of the newest audit period that was over at a time (None: now)."""

    # -- what compute hosts (and other daemons) report
    #
    # A host repeats a final report (build_finished, build_failed, work_finished,
    # delete_finished, delete_failed) until it gets an answer.  So a repeated report of an attempt that has ended by
    # that very report is answered like the first one: True, although the operation is over.

    @rpc.call(timeout=10)
    def service_started(
        self, context: Ctx, host: str, binary: str, topic: str, version: int
    ) -> Service:
        """Register a daemon that starts (creates its record); its open operations are sent again."""

    @rpc.call(timeout=15)
    def report_state(self, context: Ctx, host: str, binary: str, operations: list[str]) -> None:
        """Heartbeat; prolongs the leases of the operations that the host works on."""

    @rpc.call()
    def update_compute_node(self, context: Ctx, node: ComputeNode) -> ComputeNode:
        """Create or update a node record (by uuid; adopts one of the same host and name)."""

    @rpc.call()
    def get_host_servers(self, context: Ctx, host: str) -> list[Server]:
        """Return the servers that are on a host and not deleted."""

    @rpc.call(timeout=15)
    def live_migration_progress(
        self, context: Ctx, uuid: str, fence: Fence, status: str, progress: Progress
    ) -> str:
        """Note how far a live migration is; returns what is wanted of it.

        'abort', 'force_complete', 'superseded' (the fence is old), or ''.
        """

    @rpc.call()
    def evacuated_removed(self, context: Ctx, host: str, migrations: list[str]) -> None:
        """A host that was evacuated is back and has nothing of these servers any more."""

    @rpc.call()
    def get_host_moves(self, context: Ctx, host: str) -> list[Migration]:
        """Return the moves for which a host has, or may have, a guest that is not recorded there."""

    @rpc.call()
    def server_progress(
        self,
        context: Ctx,
        uuid: str,
        fence: Fence,
        task_state: str,
        network_info: list[VIF] | None = None,
    ) -> bool:
        """A step of a build.  False: the fence is old; undo what was made and stop."""

    @rpc.call()
    def update_block_devices(
        self, context: Ctx, uuid: str, fence: Fence, devices: list[BlockDevice]
    ) -> bool:
        """A host that builds has made or connected volumes.  False: the fence is old."""

    @rpc.call()
    def build_finished(
        self,
        context: Ctx,
        uuid: str,
        fence: Fence,
        power_state: int,
        network_info: list[VIF],
        changes: dict[str, Any],
    ) -> bool:
        """The guest runs.  ``changes``: root_device_name, system_metadata, config_drive.

        False: the fence is old; the host removes the guest.
        """

    @rpc.call()
    def build_failed(
        self,
        context: Ctx,
        uuid: str,
        fence: Fence,
        reason: str,
        details: str | None,
        reschedule: bool,
        code: int = 500,
    ) -> None:
        """The host has removed all it made.  ``reschedule``: another host may do better."""

    @rpc.call()
    def work_finished(self, context: Ctx, uuid: str, fence: Fence, result: WorkResult) -> bool:
        """One phase of a procedure ended, well or not.  False: the fence is old."""

    @rpc.call()
    def delete_finished(self, context: Ctx, uuid: str, fence: Fence) -> bool:
        """Guest, disks, ports are gone; the record and the allocation go now."""

    @rpc.call()
    def delete_failed(
        self, context: Ctx, uuid: str, fence: Fence, reason: str, details: str | None
    ) -> None:
        """Something is left on the host: it is told again after a pause."""

    @rpc.call()
    def sync_power_states(self, context: Ctx, host: str, states: dict[str, int]) -> list[str]:
        """Compare what guests do with the records; returns servers that the host has to stop.

        ``states`` may be partial: servers that are not in it are left alone (an operation works
        on them, or one event is told).  A server whose guest is missing has state 0.
        """

    @rpc.call()
    def update_network_info(
        self, context: Ctx, uuid: str, network_info: list[VIF], before: list[VIF] | None = None
    ) -> None:
        """Store what Neutron says now of a server's ports, if ``before`` is what was stored."""

    @rpc.call()
    def get_share_users(self, context: Ctx, share_id: str, host: str) -> list[str]:
        """Return the servers on a host that have a share and are not about to lose it."""

    @rpc.call()
    def audit_usage(self, context: Ctx, host: str) -> None:
        """Count what lived on a host in the newest period that is over, unless that was done."""

    # -- what the scheduler asks

    @rpc.call()
    def get_host_table(self, context: Ctx, image_properties: bool = False) -> HostTable:
        """Return all compute nodes with services, aggregates and usage.

        ``image_properties``: with those of the servers, which is a longer look.
        """


def client(conf: cfg.ConfigOpts, transport: messaging.Transport) -> ConductorInterface:
    """Return a client that speaks what ``[upgrade_levels]conductor`` allows."""
    first = rpc.client_for(ConductorInterface, transport, version_cap='1.0')

    def lowest() -> int | None:
        found = first.list_services(get_admin_context(), binary='nova-conductor')
        return min((one.version for one in found if not one.forced_down), default=None)

    cap = service.version_cap(conf, 'conductor', lowest)
    return rpc.client_for(ConductorInterface, transport, version_cap=cap)
