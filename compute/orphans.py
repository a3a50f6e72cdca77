"""Guests on this host whose server is deleted, or is not ours any more."""

from oslo_log import log as logging
from oslo_utils import timeutils

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.common.objects.migration import Migration
from kilonova.common.objects.server import Server
from kilonova.compute.host import Host

LOG = logging.getLogger(__name__)

EVACUATION = 'evacuation'


class Orphans:
    """Finds and removes them."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._evacuated: set[str] = set()
        self._busy = False

    def look_again(self) -> None:
        """Deal with orphans that something was done to at the last look."""
        if self._busy:
            self.reap()

    def reap(self) -> list[Server]:
        """Deal with every orphan; returns the servers that are here by right.

        Guests are listed before records: a server is recorded as ours before its guest is made.
        """
        self._busy = False
        guests = self._host.driver.list_guests()
        context, name = ctx.get_admin_context(), self._host.name
        moves = self._host.conductor.get_host_moves(context, name)
        left = [m for m in moves if m.migration_type == EVACUATION and m.source_compute == name]
        self._evacuated = {move.instance_uuid for move in left}
        servers = [
            server
            for server in self._host.conductor.get_host_servers(context, name)
            if server.uuid not in self._evacuated
        ]
        ours = {server.uuid for server in servers}
        ours |= {move.instance_uuid for move in moves} - self._evacuated
        for uuid in guests:
            if uuid not in ours:
                self._look_at(uuid)
        self._tell_removed(left)
        return servers

    def _tell_removed(self, moves: list[Migration]) -> None:
        """Let go of what this host held of servers that are elsewhere for good."""
        guests = set(self._host.driver.list_guests())
        gone = [m.uuid for m in moves if m.status == 'done' and m.instance_uuid not in guests]
        if gone:
            self._host.conductor.evacuated_removed(ctx.get_admin_context(), self._host.name, gone)

    def _look_at(self, uuid: str) -> None:
        with self._host.operations.hold(uuid, 'orphan') as task:
            if task is None:
                # Such as what was sent to us while we were dead: it finds out that it is late.
                self._busy = True
                return
            try:
                server = self._host.conductor.get_deleted_or_live_server(
                    ctx.get_admin_context(), uuid
                )
            except exception.NotFound:
                # It may be another control plane's, or its record was purged: nothing that we
                # may decide alone.
                LOG.warning('Guest %s belongs to no server that is known', uuid)
                return
            try:
                self._handle(server)
            except exception.KilonovaError as error:
                LOG.warning('Guest %s could not be removed: %s', uuid, error)

    def _handle(self, server: Server) -> None:
        if server.deleted:
            self._handle_deleted(server)
        elif server.host != self._host.name or server.uuid in self._evacuated:
            LOG.warning(
                'Server %s is on %s, not here: removing the guest', server.uuid, server.host
            )
            self._host.driver.hand_back(server, server.network_info)
            self._host.driver.confirm_move(server)

    def _handle_deleted(self, server: Server) -> None:
        conf = self._host.conf
        age = (
            timeutils.delta_seconds(server.deleted_at, timeutils.utcnow())
            if server.deleted_at
            else 0
        )
        if server.deleted_at and age < conf.running_deleted_instance_timeout:
            return
        action = conf.running_deleted_instance_action
        if action != 'noop':
            LOG.warning('Guest %s of a deleted server is here (%s)', server.uuid, action)
        if action == 'reap':
            self._host.driver.destroy(server, server.network_info)
            self._host.driver.confirm_move(server)
        elif action == 'shutdown':
            self._host.driver.power_off(server, 0)
