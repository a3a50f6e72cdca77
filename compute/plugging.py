"""Starting a guest and waiting until Neutron has reported its ports."""

from collections.abc import Callable

from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.objects.network import VIF
from kilonova.compute.events import Expectation
from kilonova.compute.host import Host
from kilonova.compute.operations import Task

LOG = logging.getLogger(__name__)


def start_and_wait(
    host: Host, task: Task, vifs: list[VIF], expectation: Expectation, start: Callable[[], None]
) -> None:
    """Run ``start``, which plugs the ports; return when those that were down are up.

    Raises VirtualInterfacePlugTimeout when that is fatal, Superseded.
    """
    conf = host.conf
    waiting = [vif for vif in vifs if not vif.active]
    task.check()
    start()
    if not (waiting and conf.vif_plugging_timeout and host.driver.needs_plug_events):
        return
    try:
        expectation.wait([vif.id for vif in waiting], conf.vif_plugging_timeout, task)
    except exception.VirtualInterfacePlugTimeout as error:
        if conf.vif_plugging_is_fatal:
            raise
        LOG.warning('Server %s starts all the same: %s', task.uuid, error)
    else:
        for vif in waiting:
            vif.active = True
