"""Has the hosts of an aggregate fetch images before they need them.

It is a help, not a promise: a host that is down or fails is named in the log and left alone.
"""

import collections
import threading
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.notifications.hosts import AggregateCachePayload
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.objects.host import Aggregate
from kilonova.compute.interface import ComputeInterface
from kilonova.db import aggregates, hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ServiceRow

LOG = logging.getLogger(__name__)
FAILED = ('error', 'unsupported')


class ImageCaching:
    """Endpoint.  All requests together ask ``precache_concurrency`` hosts at a time."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        api_db: Database,
        cell_db: Database,
        compute: ComputeInterface,
        spawn: Callable[..., object] = concurrency.spawn,
        notifier: Notifier | None = None,
    ) -> None:
        self._notifier = notifier
        self._conf, self._api, self._cell, self._compute = conf, api_db, cell_db, compute
        self._spawn = spawn
        self._lock = threading.Lock()
        self._waiting: collections.deque[_Job] = collections.deque()
        self._workers = 0

    def cache_images(self, context: Ctx, aggregate_id: int, image_ids: list[str]) -> None:
        aggregate, members, up = self._hosts(aggregate_id)
        for host in members:
            if host not in up:
                LOG.warning('Images are not cached on host %s, which is down', host)
        with self._lock:
            there = [host for host in members if host in up]
            self._waiting += [
                _Job(context, aggregate, host, image_ids, number, len(there))
                for number, host in enumerate(there, 1)
            ]
            room = self._conf.image_cache.precache_concurrency - self._workers
            begun = min(room, len(self._waiting))
            self._workers += max(begun, 0)
        for _ in range(begun):
            self._spawn(self._work)

    @retry
    def _hosts(self, aggregate_id: int) -> tuple[Aggregate, list[str], set[str]]:
        """Return an aggregate, its members in this cell, and those of them that are up."""
        with self._api.reader() as session:
            aggregate = aggregates.to_aggregate(aggregates.get(session, aggregate_id))
        members = aggregate.hosts
        query = sa.select(ServiceRow).where(ServiceRow.binary == hosts.COMPUTE)
        if len(members) < hosts.CHUNK:
            query = query.where(ServiceRow.host.in_(members))
        with self._cell.reader() as session:
            rows = list(session.scalars(query))
        here = {row.host for row in rows}  # the others are another cell's
        down_time = self._conf.service_down_time
        up = {row.host for row in rows if hosts.is_up(row, down_time)}
        return aggregate, [host for host in members if host in here], up

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._cache(job)

    def _next(self) -> '_Job | None':
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            return None

    def _cache(self, job: '_Job') -> None:
        try:
            found = self._compute.at(job.host).cache_images(job.context, job.images)
        except exception.KilonovaError as error:
            LOG.warning('Host %s did not cache images: %s', job.host, error)
            found = dict.fromkeys(job.images, 'error')
        except Exception:  # the other hosts must have their turn
            LOG.exception('Host %s did not cache images', job.host)
            found = dict.fromkeys(job.images, 'error')
        counts = collections.Counter(found.values())
        LOG.info('Images on host %s: %s', job.host, dict(counts))
        if self._notifier is not None and self._notifier.versioned:
            self._say(self._notifier, job, found)

    def _say(self, notifier: Notifier, job: '_Job', found: dict[str, str]) -> None:
        failed = [image for image, result in found.items() if result in FAILED]
        payload = AggregateCachePayload(
            id=job.aggregate.id,
            uuid=job.aggregate.uuid,
            name=job.aggregate.name,
            host=job.host,
            images_cached=[image for image in found if image not in failed],
            images_failed=failed,
            index=job.number,
            total=job.total,
        )
        name = 'aggregate.cache_images.progress'
        notifier.send(job.context, name, None, self._conf.host, payload)


class _Job(NamedTuple):
    """Images for one host, the ``number``-th of ``total``."""

    context: Ctx
    aggregate: Aggregate
    host: str
    images: list[str]
    number: int
    total: int
