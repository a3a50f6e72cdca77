"""Every RPC that the conductor answers.

Domain errors (``kilonova.common.exception``) are raised and cross by name.  The context
says who asks; the conductor checks no policy (the API did) but it does keep projects
apart: ``project_id=None`` in a lookup means "any project", and only the API decides so.
"""

import oslo_messaging as messaging
from oslo_config import cfg

from kilonova.common import rpc, service
from kilonova.common.context import get_admin_context
from kilonova.conductor.interfaces.actions import ActionsInterface
from kilonova.conductor.interfaces.devices import DevicesInterface
from kilonova.conductor.interfaces.drains import DrainsInterface
from kilonova.conductor.interfaces.hosts import HostsInterface
from kilonova.conductor.interfaces.moves import MovesInterface
from kilonova.conductor.interfaces.reports import ReportsInterface
from kilonova.conductor.interfaces.resources import ResourcesInterface
from kilonova.conductor.interfaces.servers import ServersInterface


class ConductorInterface(
    ServersInterface,
    ActionsInterface,
    MovesInterface,
    DevicesInterface,
    ResourcesInterface,
    HostsInterface,
    DrainsInterface,
    ReportsInterface,
):
    """The conductor: state, rules, durable operations."""

    TOPIC, VERSION = 'conductor', '1.0'


def client(conf: cfg.ConfigOpts, transport: messaging.Transport) -> ConductorInterface:
    """Return a client that speaks what ``[upgrade_levels]conductor`` allows."""
    first = rpc.client_for(ConductorInterface, transport, version_cap='1.0')

    def lowest() -> int | None:
        found = first.list_services(get_admin_context(), binary='nova-conductor')
        return min((one.version for one in found if not one.forced_down), default=None)

    cap = service.version_cap(conf, 'conductor', lowest)
    return rpc.client_for(ConductorInterface, transport, version_cap=cap)
