"""Hosts as the control plane sees this one: whether the scheduler may use it."""

from kilonova.common.context import RequestContext
from kilonova.compute.host import Host


class HostEndpoint:
    """Takes orders that concern the whole host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def set_host_enabled(self, context: RequestContext, enabled: bool) -> None:
        self._host.inventory.set_enabled(enabled)

    def get_host_uptime(self, context: RequestContext) -> str:
        return self._host.driver.get_uptime()

    def host_power_action(self, context: RequestContext, action: str) -> str:
        return self._host.driver.power_action(action)

    def set_host_maintenance(self, context: RequestContext, on: bool) -> bool:
        return self._host.driver.set_maintenance(on)
