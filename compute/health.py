"""A host whose hypervisor is away takes itself out of service, and comes back with it."""

from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common import exception
from kilonova.compute.host import Host

LOG = logging.getLogger(__name__)


class Health:
    """Looks after the hypervisor of one host.  An operator's own decision is never undone."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._was_well: bool | None = None

    def look(self) -> None:
        """Tell the conductor when the hypervisor has gone, or has returned."""
        trouble = self._trouble()
        well = trouble is None
        if well == self._was_well:
            return
        service = self._host.conductor.hypervisor_health(
            ctx.get_admin_context(), self._host.name, trouble
        )
        self._was_well = well
        self._show(enabled=not service.disabled)

    def _trouble(self) -> str | None:
        try:
            self._host.driver.check_health()
        except exception.KilonovaError as error:
            return str(error)
        return None

    def _show(self, enabled: bool) -> None:
        """Change the trait in placement, for what the scheduler has not heard of yet."""
        try:
            self._host.inventory.set_enabled(enabled)
        except exception.KilonovaError as error:
            LOG.info('The trait of host %s is changed later: %s', self._host.name, error)
