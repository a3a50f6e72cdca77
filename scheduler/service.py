"""The scheduler daemon."""

import oslo_messaging as messaging
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import base_config, config, metrics, rpc, service
from kilonova.common.clients import keystone, neutron, placement
from kilonova.common.context import RequestContext, get_admin_context
from kilonova.common.notifications import describe
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.conductor import interface
from kilonova.scheduler import config as scheduler_config
from kilonova.scheduler import loader
from kilonova.scheduler.cache import HostCache
from kilonova.scheduler.changes import Changes
from kilonova.scheduler.interface import SchedulerInterface
from kilonova.scheduler.routed_networks import RoutedNetworks
from kilonova.scheduler.select import Selector
from kilonova.scheduler.weights.image_properties import ImagePropertiesWeigher

LOG = logging.getLogger(__name__)


class Endpoint:
    """Answers the scheduler's RPCs."""

    def __init__(self, selector: Selector, notifier: Notifier, host: str) -> None:
        self._selector, self._notifier, self._host = selector, notifier, host

    def select_destinations(
        self,
        context: RequestContext,
        spec: RequestSpec,
        uuids: list[str],
        table_version: int,
        alternates: int = 0,
    ) -> list[list[Selection]]:
        self._say(context, 'start', spec, uuids)
        found = self._selector.select(spec, uuids, table_version, alternates)
        self._say(context, 'end', spec, uuids)
        return found

    def _say(
        self, context: RequestContext, phase: str, spec: RequestSpec, uuids: list[str]
    ) -> None:
        """What cannot be said must not fail what is done."""
        if not self._notifier.versioned:
            return
        try:
            payload = describe.request_spec(spec, uuids[0], len(uuids))
            name = 'scheduler.select_destinations'
            self._notifier.send(context, name, phase, self._host, payload)
        except Exception:
            LOG.exception('The choice of hosts is not announced')

    def explain(
        self, context: RequestContext, spec: RequestSpec, number: int, table_version: int
    ) -> Explanation:
        return self._selector.explain(spec, number, table_version)

    def check_rebuild(self, context: RequestContext, spec: RequestSpec, table_version: int) -> None:
        self._selector.check_rebuild(spec, table_version)


class Scheduler:
    """``client`` is for tests: a placement client of their own."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        transport: messaging.Transport,
        client: placement.Placement | None = None,
    ) -> None:
        config.register(base_config.list_opts(), conf)
        config.register(scheduler_config.list_opts(), conf)
        self._conf, self._transport = conf, transport
        self._exporter = metrics.Exporter(conf)
        self._conductor = interface.client(conf, transport)
        self._notifier = Notifier(conf)
        client = client or placement.Placement(keystone.adapter(conf, 'placement'))
        routed = None
        if conf.scheduler.query_placement_for_routed_network_aggregates:
            routed = RoutedNetworks(neutron.client(conf), client)
        self.selector = Selector(conf, client, self._cache(), routed=routed)

    def _cache(self) -> HostCache:
        # One weigher looks at the servers' images, of which changes do not tell.
        weighers = loader.load_weighers(self._conf)
        if any(isinstance(one, ImagePropertiesWeigher) and one.is_on() for one in weighers):
            return HostCache(lambda: self._conductor.get_host_table(get_admin_context(), True))
        changes = Changes(
            lambda marks: self._conductor.get_host_changes(get_admin_context(), marks)
        )
        return HostCache(
            lambda: self._conductor.get_host_table(get_admin_context(), False), changes=changes
        )

    def start(self) -> None:
        """Serve; waits for the conductor."""
        self._notifier.start()
        self._heartbeat = service.heartbeat_for(
            self._conf, self._conductor, 'nova-scheduler', SchedulerInterface.TOPIC
        )
        self._server = rpc.serve(
            self._transport,
            SchedulerInterface,
            [Endpoint(self.selector, self._notifier, self._conf.host)],
            self._conf.host,
        )
        self._heartbeat.start()
        self._discovery: service.Heartbeat | None = None
        interval = self._conf.scheduler.discover_hosts_in_cells_interval
        if interval > 0:
            self._discovery = service.Heartbeat(interval, self._discover)
            self._discovery.start()
        self._exporter.start()

    def _discover(self) -> None:
        self._conductor.discover_hosts(get_admin_context())

    def stop(self) -> None:
        """Take no more requests; those that run are finished."""
        self._exporter.stop()
        if self._discovery is not None:
            self._discovery.stop()
        self._heartbeat.stop()
        self._server.stop()
        self._server.wait()
        self._notifier.stop()
