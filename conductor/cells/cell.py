"""One cell as a conductor serves it: its database, its bus, its operations, its endpoints."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import oslo_messaging as messaging
import sqlalchemy as sa
from oslo_config import cfg
from oslo_log import log as logging
from sqlalchemy.exc import DBAPIError

from kilonova.common import concurrency, exception, rpc, service
from kilonova.common import context as ctx
from kilonova.common.clients import cinder, neutron
from kilonova.common.clients.placement import Placement
from kilonova.common.notifications.notifier import Notifier
from kilonova.compute.interface import ComputeInterface
from kilonova.conductor.notify.announce import Announcing
from kilonova.conductor.notify.watch import Watch
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Fleet, Parts
from kilonova.conductor.servers.show import ShowServers
from kilonova.conductor.services import Heartbeats, Services
from kilonova.conductor.tasks.build import Build
from kilonova.db import errors, hosts
from kilonova.db.engine import Database, impatient
from kilonova.scheduler.interface import SchedulerInterface

LOG = logging.getLogger(__name__)

PROBE_INTERVAL = 1.0
"""Seconds between two looks at a database that does not answer."""


class Shared(NamedTuple):
    """What all cells of a conductor have in common."""

    conf: cfg.ConfigOpts
    api_db: Database
    transport: messaging.Transport
    placement: Placement
    notifier: Notifier
    make_endpoints: Callable[[Parts, Engine, Heartbeats], list[object]]


class Place(NamedTuple):
    """Which cell it is (its mapping), and how it is reached."""

    id: int
    uuid: str
    name: str | None
    database: Database
    transport: messaging.Transport


class Cell:
    """``call`` runs a method of ConductorInterface on this cell's database."""

    def __init__(self, shared: Shared, place: Place, fleet: Fleet) -> None:
        self.id, self.uuid, self.database = place.id, place.uuid, place.database
        self.name = place.name or place.uuid
        self.transport, self.disabled = place.transport, False
        self._shared, self._fleet = shared, fleet
        self._down, self._stopped = False, False
        if shared.notifier.is_on:
            self.database.listener = Watch(shared.conf, shared.notifier)
        self.parts = self._make_parts()
        self.engine = Engine(self.parts)
        self.heartbeats = Heartbeats(self.database, self.engine.report_host)
        made: list[object] = shared.make_endpoints(self.parts, self.engine, self.heartbeats)
        self.services = next(one for one in made if isinstance(one, Services))
        self.show = next(one for one in made if isinstance(one, ShowServers))
        build = self.engine.tasks['create']
        assert isinstance(build, Build)
        self.build = build
        if shared.notifier.is_on:
            made = [Announcing(one, made, shared.conf, shared.notifier) for one in made]
        self.endpoints = made

    def _make_parts(self) -> Parts:
        conf, place = self._shared.conf, self._shared.placement
        return Parts(
            conf=conf,
            api_db=self._shared.api_db,
            cell_db=self.database,
            scheduler=rpc.client_for(
                SchedulerInterface, self._shared.transport, version_cap=self._cap('scheduler')
            ),
            compute=rpc.client_for(
                ComputeInterface, self.transport, version_cap=self._cap('compute')
            ),
            placement=place,
            neutron=neutron.client(conf),
            volumes=functools.partial(cinder.client, conf),
            cell_id=self.id,
            notifier=self._shared.notifier,
            fleet=self._fleet,
        )

    def _cap(self, name: str) -> rpc.Cap:
        def lowest() -> int | None:
            with self.database.reader() as session:
                return hosts.lowest_version(session, f'nova-{name}')

        return service.version_cap(self._shared.conf, name, lowest)

    def start(self) -> None:
        """Begin to write heartbeats and to work on operations."""
        self.heartbeats.start()
        self.engine.start()

    def stop(self, timeout: float | None = None) -> None:
        """Finish what is in flight, or hand it over."""
        self._stopped = True
        for end in (functools.partial(self.engine.stop, timeout), self.heartbeats.stop):
            try:
                end()
            except DBAPIError as error:
                if not errors.is_lost_connection(error):
                    raise
                LOG.warning('Cell %s does not answer at the end: %s', self.name, error.orig)
        self.database.close()

    # -- asking it

    def method(self, name: str) -> Callable[..., Any]:
        """Return the one endpoint's method of this name."""
        for one in self.endpoints:
            found = getattr(one, name, None)
            if callable(found):
                return found
        raise AttributeError(name)

    def call(self, name: str, context: ctx.RequestContext, values: dict[str, Any]) -> Any:
        """Run one method.  Raises ServiceUnavailable while the cell is down."""
        reads = name.startswith(('get_', 'list_'))
        with self.reached(), impatient() if reads else contextlib.nullcontext():
            return self.method(name)(context, **values)

    @property
    def is_down(self) -> bool:
        """Whether its database did not answer when it was last asked."""
        return self._down

    @contextlib.contextmanager
    def reached(self) -> Iterator[None]:
        """Turn the failure to reach its database into ServiceUnavailable, and remember it."""
        if self._down:
            raise self._unavailable()
        try:
            yield
        except DBAPIError as error:
            if not errors.is_lost_connection(error):
                raise
            self.mark_down(str(error.orig))
            raise self._unavailable() from error

    def _unavailable(self) -> exception.ServiceUnavailable:
        return exception.ServiceUnavailable(
            f'Cell {self.uuid} is not responding and hence instance info is not available.'
        )

    def mark_down(self, why: str) -> None:
        """Ask nothing of it until a look at its database succeeds."""
        if self._down:
            return
        self._down = True
        LOG.error('Cell %s does not answer: %s', self.name, why)
        concurrency.spawn(self._probe)

    def _probe(self) -> None:
        while not self._stopped:
            time.sleep(PROBE_INTERVAL)
            try:
                with impatient(), self.database.reader() as session:
                    session.execute(sa.text('SELECT 1'))
            except DBAPIError:
                continue
            LOG.info('Cell %s answers again', self.name)
            self._down = False
            return
