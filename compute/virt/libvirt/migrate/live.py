"""The move of a running guest, as its source drives it.

libvirt's daemons do it between themselves: when this process ends they go on, and the next one
finds the guest still moving, or gone.
"""

import time
from concurrent.futures import Future
from typing import Any

import msgspec
from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.common.objects.migration import Progress
from kilonova.common.objects.server import Server
from kilonova.compute.virt.driver import PowerState
from kilonova.compute.virt.libvirt import connection
from kilonova.compute.virt.libvirt.guest import Guest, Guests
from kilonova.compute.virt.libvirt.migrate import disks, domain, pace, uri
from kilonova.compute.virt.libvirt.migrate.parts import Moves
from kilonova.compute.virt.moves import Json, Steer

LOG = logging.getLogger(__name__)

POLL = 0.25


class LiveMove:
    """One move."""

    def __init__(self, moves: Moves, server: Server, data: Json, steer: Steer) -> None:
        self._moves, self._server, self._data, self._steer = moves, server, data, steer
        self._conf = moves.host.conf.libvirt
        self._guest = Guest(moves.host.connection, server.uuid)
        self._aborted = self._forced = self._still = False

    def run(self) -> None:
        """Return when the guest is at its destination.  Raises MigrationAborted, VirtDriverError."""
        try:
            if not self._is_here():
                self._assert_there()
                return
            directory = self._moves.directories.path(self._server.uuid)
            try:
                self._move()
            finally:
                disks.take_back(directory)
        except exception.GuestNotFound:
            self._assert_there()

    def _is_here(self) -> bool:
        try:
            return self._guest.is_active()
        except exception.GuestNotFound:
            return False

    def _move(self) -> None:
        if self._is_moving():
            LOG.info('Guest %s is on its way already', self._server.uuid)
            self._watch(None)
        else:
            self._watch(concurrency.spawn(self._begin))
        if self._is_here():
            raise exception.VirtDriverError(reason='The migration ended without its guest.')
        self._assert_there()

    def _is_moving(self) -> bool:
        lib = connection.library()
        stats = self._guest.job_stats()
        return bool(
            stats.get('type') in (lib.VIR_DOMAIN_JOB_BOUNDED, lib.VIR_DOMAIN_JOB_UNBOUNDED)
            and stats.get('operation') == lib.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT
        )

    # -- the call

    def _begin(self) -> None:
        self._guest.migrate(
            uri.libvirt(self._moves.host.conf, self._data['address']),
            self._params(),
            self._flags(),
        )

    def _params(self) -> dict[str, Any]:
        lib, conf = connection.library(), self._conf
        source = self._data['source_directory']
        params: dict[str, Any] = {
            lib.VIR_MIGRATE_PARAM_URI: uri.memory(self._data['address']),
            lib.VIR_MIGRATE_PARAM_DEST_XML: domain.adapted(
                self._guest.migratable_xml(inactive=False), self._data, source
            ),
            lib.VIR_MIGRATE_PARAM_PERSIST_XML: domain.adapted(
                self._guest.migratable_xml(inactive=True), self._data, source
            ),
        }
        if conf.live_migration_bandwidth:
            params[lib.VIR_MIGRATE_PARAM_BANDWIDTH] = conf.live_migration_bandwidth
        if self._data['block_migration']:
            local = msgspec.convert(self._data['local'], disks.Local)
            params[lib.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [disk.target for disk in local.disks]
        if conf.live_migration_parallel_connections > 1:
            params[lib.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = (
                conf.live_migration_parallel_connections
            )
        return params

    def _flags(self) -> int:
        lib, conf = connection.library(), self._conf
        wanted = {
            lib.VIR_MIGRATE_LIVE: True,
            lib.VIR_MIGRATE_PEER2PEER: True,
            lib.VIR_MIGRATE_PERSIST_DEST: True,
            lib.VIR_MIGRATE_UNDEFINE_SOURCE: True,
            lib.VIR_MIGRATE_NON_SHARED_INC: self._data['block_migration'],
            lib.VIR_MIGRATE_TLS: conf.live_migration_with_native_tls,
            lib.VIR_MIGRATE_AUTO_CONVERGE: conf.live_migration_permit_auto_converge,
            lib.VIR_MIGRATE_POSTCOPY: conf.live_migration_permit_post_copy,
            lib.VIR_MIGRATE_PARALLEL: conf.live_migration_parallel_connections > 1,
        }
        return sum(flag for flag, on in wanted.items() if on)

    # -- watching it

    def _watch(self, call: 'Future[Any] | None') -> None:
        plan = pace.Plan(self._conf, self._gibibytes())
        began = time.monotonic()
        next_look = 0.0
        while not (call.done() if call is not None else not self._is_here()):
            time.sleep(POLL)
            now = time.monotonic() - began
            if now < next_look:
                continue
            # Short ones are to be seen, too.
            next_look = now + min(self._conf.live_migration_monitor_interval, POLL + now / 10)
            try:
                self._look(plan, now)
            except (exception.GuestNotFound, connection.HypervisorError) as error:
                LOG.debug('Looking at the move of %s: %s', self._server.uuid, error)
            if call is None and self._is_here() and not self._is_moving():
                break
        if call is not None:
            self._end(call)

    def _gibibytes(self) -> float:
        local = msgspec.convert(self._data['local'], disks.Local)
        copied = sum(disk.size for disk in local.disks) if self._data['block_migration'] else 0
        return self._server.flavor.memory_mb / 1024 + copied / 1024**3

    def _look(self, plan: pace.Plan, now: float) -> None:
        stats = self._guest.job_stats()
        wish = self._steer(progress(stats))
        if wish is None and not (self._aborted or self._forced):
            wish = plan.timed_out(now)
            if wish:
                LOG.warning('The move of guest %s takes too long: %s', self._server.uuid, wish)
        if wish == 'abort' and not self._aborted:
            self._guest.abort_job()
            self._aborted = True
        elif wish == 'force_complete' or self._forced:
            self._force(stats)
        downtime = plan.downtime(now)
        if downtime is not None:
            self._guest.allow_downtime(downtime)

    def _force(self, stats: dict[str, Any]) -> None:
        """Let the guest run there already, or stand still here until all is copied."""
        done, self._forced = self._still, True
        if done or not stats.get('memory_processed'):
            return  # QEMU takes no such wish before it has begun
        if self._conf.live_migration_permit_post_copy:
            self._guest.start_post_copy()
        else:
            self._guest.stand_still()
        self._still = True

    def _end(self, call: 'Future[Any]') -> None:
        try:
            call.result()
        except (exception.GuestNotFound, connection.HypervisorError) as error:
            if not self._is_here() and self._is_there():
                LOG.warning('Guest %s has arrived all the same: %s', self._server.uuid, error)
                return
            self._go_on_here()
            if self._aborted:
                raise exception.MigrationAborted(instance_id=self._server.uuid) from error
            raise

    def _go_on_here(self) -> None:
        """See that a guest that stays does not stand still because of us."""
        if self._still and self._is_here():
            if self._guest.power_state() == PowerState.PAUSED:
                self._guest.resume()

    # -- where it is

    def _assert_there(self) -> None:
        """Raises GuestNotFound when the guest is lost, VirtDriverError when nobody can tell."""
        if not self._is_there():
            raise exception.GuestNotFound(instance_id=self._server.uuid)

    def _is_there(self) -> bool:
        other = connection.Connection(uri.libvirt(self._moves.host.conf, self._data['address']))
        try:
            guest = Guests(other).find(self._server.uuid)
            return guest.is_persistent() and guest.is_active()
        except exception.GuestNotFound:
            return False
        finally:
            other.close()


def progress(stats: dict[str, Any]) -> Progress:
    """Return how far it is; the disks' part is counted after the memory's, by libvirt's names."""
    return Progress(
        **{
            f'{what}_{how}': stats.get(f'{what}_{how}')
            for what in ('memory', 'disk')
            for how in ('total', 'processed', 'remaining')
        }
    )
