"""What compute hosts and other daemons report, and what the scheduler asks."""

from typing import Any

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.host import (
    ComputeNode,
    HostTable,
    Service,
)
from kilonova.common.objects.host_changes import HostChanges, HostMark
from kilonova.common.objects.migration import Migration, Progress
from kilonova.common.objects.network import VIF
from kilonova.common.objects.operation import Fence
from kilonova.common.objects.server import (
    Server,
)
from kilonova.common.objects.volume_usage import VolumeUsage
from kilonova.common.objects.work import WorkResult

HEARTBEAT_TIMEOUT = 5
"""Seconds after which a heartbeat counts as lost; waiting longer would hold up the next."""


class ReportsInterface(rpc.Interface):
    """What compute hosts and other daemons report, and what the scheduler asks."""

    # A host repeats a final report (build_finished, build_failed, work_finished, delete_finished,
    # delete_failed) until it gets an answer.  So a repeated report of an attempt that has ended by
    # that very report is answered like the first one: True, although the operation is over.

    @rpc.call(timeout=10)
    def service_started(
        self, context: Ctx, host: str, binary: str, topic: str, version: int
    ) -> Service:
        """Register a daemon that starts (creates its record); its open operations are sent again."""

    @rpc.call(timeout=HEARTBEAT_TIMEOUT)
    def report_state(self, context: Ctx, host: str, binary: str, operations: list[str]) -> None:
        """Heartbeat; prolongs the leases of the operations that the host works on."""

    @rpc.call(timeout=10)
    def hypervisor_health(self, context: Ctx, host: str, trouble: str | None) -> Service:
        """Disable a host whose hypervisor is away; None: enable it again, if that was the reason."""

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
    def is_wanted(self, context: Ctx, uuid: str, fence: Fence) -> bool:
        """Tell a host that was away whether it shall begin what has waited in its queue."""

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
        """Return the servers on a host that have a share and are not about to lose it.

        Of a share in Ceph those on all hosts, as all are one user there.
        """

    @rpc.call()
    def audit_usage(self, context: Ctx, host: str) -> None:
        """Count what lived on a host in the newest period that is over, unless that was done."""

    @rpc.call()
    def report_volume_usage(
        self, context: Ctx, host: str, usages: list[VolumeUsage], ended: bool = False
    ) -> None:
        """Keep what guests of a host have moved; ``ended``: the volumes are about to be detached."""

    @rpc.call()
    def get_host_table(self, context: Ctx, image_properties: bool = False) -> HostTable:
        """Return all compute nodes with services, aggregates and usage.

        ``image_properties``: with those of the servers, which is a longer look.
        """

    @rpc.call()
    def report_states(self, context: Ctx, binary: str, running: dict[str, list[str]]) -> None:
        """The same for many hosts of one process: host to the operations that run there."""

    @rpc.call()
    def discover_hosts(self, context: Ctx) -> list[str]:
        """Map compute hosts that no cell is recorded for; return them."""

    @rpc.call()
    def get_host_changes(self, context: Ctx, marks: dict[str, HostMark]) -> list[HostChanges]:
        """Return what has changed of the host table, by cell, since its mark was given.

        Without a mark of a cell, all of it, in as many answers as it takes: ``after`` of the new
        mark says that there is more.
        """
