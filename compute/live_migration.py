"""Moves of running guests: checks on both hosts, the move itself, and its ends."""

import copy
import time

import msgspec
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.objects.block_device import BlockDevice
from kilonova.common.objects.migration import Progress
from kilonova.common.objects.work import WorkResult
from kilonova.compute import moving
from kilonova.compute.host import Host
from kilonova.compute.work import Job

LOG = logging.getLogger(__name__)

VOLUMES = 'volumes'
"""In the data of a move: the devices as the destination has them."""
INTERVAL = 2.0
"""Seconds between two reports of how far a migration is."""


class SteeringEndpoint:
    """Takes in what is wanted of a migration that goes on."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def steer_live_migration(self, context: RequestContext, migration: str, wish: str) -> None:
        LOG.info('Migration %s is to %s', migration, wish)
        self._host.wishes[migration] = wish


def check(job: Job) -> WorkResult:
    data = job.host.driver.check_live_destination(
        job.server, job.work.block_migration, job.work.disk_over_commit
    )
    return WorkResult(values=data)


def check_source(job: Job) -> WorkResult:
    return WorkResult(values=job.host.driver.check_live_source(job.server, job.work.data))


def receive(job: Job) -> WorkResult:
    """Make ready; when nobody wants it any more, all of that goes again."""
    host, server, data = job.host, job.server, job.work.data
    recorded = copy.deepcopy(server)

    def undo() -> None:
        host.driver.rollback_live(server, server.network_info, data)
        host.volumes.drop_others(recorded)

    job.undo = undo
    # The record goes on naming the source's attachments until the guest has come.
    devices = host.volumes.connect_too(server)
    values = host.driver.receive_live(server, server.network_info, data)
    return WorkResult(values={**values, VOLUMES: msgspec.to_builtins(devices)})


def migrate(job: Job) -> WorkResult:
    host, work = job.host, job.work
    steering = _Steering(job)
    try:
        with host.leaving.take(job.task, host.operations.stopping, steering.wait):
            steering.begin()
            host.driver.migrate_live(job.server, work.target, work.data, steering)
    except exception.MigrationAborted as error:
        return WorkResult(error=str(error), values={'cancelled': True})
    finally:
        host.wishes.pop(work.migration, None)
    host.told.pop(job.server.uuid, None)
    # It runs at the destination now, which will say how.
    return WorkResult(power_state=job.server.power_state)


class _Steering:
    """Passes on how far it is, and what is wanted."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = 0.0

    def wait(self) -> None:
        """Called while others leave this host.  Raises MigrationAborted."""
        if self._ask('queued', Progress()) == 'abort':
            raise exception.MigrationAborted(instance_id=self._job.server.uuid)

    def begin(self) -> None:
        self._next = 0.0
        if self._ask('running', Progress()) == 'abort':
            raise exception.MigrationAborted(instance_id=self._job.server.uuid)

    def __call__(self, progress: Progress) -> str | None:
        self._job.task.check()
        return self._ask('running', progress)

    def _ask(self, status: str, progress: Progress) -> str | None:
        wishes, migration = self._job.host.wishes, self._job.work.migration
        if migration not in wishes and time.monotonic() >= self._next:
            self._next = time.monotonic() + INTERVAL
            self._report(status, progress)
        return wishes.get(migration)

    def _report(self, status: str, progress: Progress) -> None:
        job = self._job
        try:
            wish = job.host.conductor.live_migration_progress(
                job.context, job.server.uuid, job.fence, status, progress
            )
        except Exception:  # the guest moves all the same, and the end is reported for sure
            LOG.warning('How far server %s is could not be told', job.server.uuid, exc_info=True)
            return
        if wish == 'superseded':
            wish = 'abort'
        if wish:
            job.host.wishes[job.work.migration] = wish


def ask_arrived(job: Job) -> WorkResult:
    if not job.host.driver.has_arrived_live(job.server):
        raise exception.VirtDriverError(
            reason=f'Host {job.server.host} is down, and the guest has not arrived.'
        )
    return WorkResult(power_state=job.server.power_state)


def arrive(job: Job) -> WorkResult:
    vifs = moving.ports(job)
    devices = msgspec.convert(job.work.data.get(VOLUMES, []), list[BlockDevice])
    job.server.block_devices = [
        *devices,
        *(one for one in job.server.block_devices if not one.is_volume),
    ]
    job.host.driver.arrive_live(job.server, vifs, job.work.data)
    job.host.volumes.complete_rest(devices)
    return WorkResult(network_info=vifs, devices=devices)


def rollback(job: Job) -> None:
    job.host.driver.rollback_live(job.server, job.server.network_info, job.work.data)
    job.host.volumes.drop_others(job.server)


def clean(job: Job) -> None:
    job.host.told.pop(job.server.uuid, None)
    job.host.driver.clean_live(job.server, job.server.network_info, job.work.data)
    job.host.volumes.drop_others(job.server)
