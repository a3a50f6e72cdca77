"""Has the hosts of an aggregate fetch images before they need them.

It is a help, not a promise: a host that is down or fails is named in the log and left alone.
"""

import collections
import threading
from collections.abc import Callable

import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import concurrency, exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.compute.interface import ComputeInterface
from kilonova.db import aggregates, hosts
from kilonova.db.engine import Database, retry
from kilonova.db.models.cell import ServiceRow

LOG = logging.getLogger(__name__)


class ImageCaching:
    """Endpoint.  All requests together ask ``precache_concurrency`` hosts at a time."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        api_db: Database,
        cell_db: Database,
        compute: ComputeInterface,
        spawn: Callable[..., object] = concurrency.spawn,
    ) -> None:
        self._conf, self._api, self._cell, self._compute = conf, api_db, cell_db, compute
        self._spawn = spawn
        self._lock = threading.Lock()
        self._waiting: collections.deque[tuple[Ctx, str, list[str]]] = collections.deque()
        self._workers = 0

    def cache_images(self, context: Ctx, aggregate_id: int, image_ids: list[str]) -> None:
        members, up = self._hosts(aggregate_id)
        for host in members:
            if host not in up:
                LOG.warning('Images are not cached on host %s, which is down', host)
        with self._lock:
            self._waiting += [(context, host, image_ids) for host in members if host in up]
            room = self._conf.image_cache.precache_concurrency - self._workers
            begun = min(room, len(self._waiting))
            self._workers += max(begun, 0)
        for _ in range(begun):
            self._spawn(self._work)

    @retry
    def _hosts(self, aggregate_id: int) -> tuple[list[str], set[str]]:
        """Return the members of an aggregate, and those of them that are up."""
        with self._api.reader() as session:
            members = aggregates.to_aggregate(aggregates.get(session, aggregate_id)).hosts
        query = sa.select(ServiceRow).where(ServiceRow.binary == hosts.COMPUTE)
        if len(members) < hosts.CHUNK:
            query = query.where(ServiceRow.host.in_(members))
        with self._cell.reader() as session:
            rows = list(session.scalars(query))
        here = {row.host for row in rows}  # the others are another cell's
        down_time = self._conf.service_down_time
        up = {row.host for row in rows if hosts.is_up(row, down_time)}
        return [host for host in members if host in here], up

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._cache(*job)

    def _next(self) -> tuple[Ctx, str, list[str]] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._workers -= 1
            return None

    def _cache(self, context: Ctx, host: str, image_ids: list[str]) -> None:
        try:
            found = self._compute.at(host).cache_images(context, image_ids)
        except exception.KilonovaError as error:
            LOG.warning('Host %s did not cache images: %s', host, error)
            return
        except Exception:  # the other hosts must have their turn
            LOG.exception('Host %s did not cache images', host)
            return
        counts = collections.Counter(found.values())
        LOG.info('Images on host %s: %s', host, dict(counts))
