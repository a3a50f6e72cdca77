"""Hosts that are emptied for maintenance."""

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.drain import Drain


class DrainsInterface(rpc.Interface):
    """Hosts that are emptied for maintenance."""

    @rpc.call(timeout=90)
    def drain_host(
        self, context: Ctx, host: str, evacuate: bool = False, dry_run: bool = False
    ) -> Drain:
        """Disable a host and begin to move its servers away; go on with it when that has begun.

        ``evacuate``: if it is down, make its servers anew elsewhere.  ``dry_run``: only say what
        would be done, and where the scheduler would send each server if it were the only one.
        Raises ComputeHostNotFound.
        """

    @rpc.call(timeout=90)
    def get_host_drain(self, context: Ctx, host: str) -> Drain:
        """Return how far it is, after the next step.  Raises ComputeHostNotFound, HostDrainNotFound."""

    @rpc.call()
    def stop_host_drain(self, context: Ctx, host: str) -> None:
        """Begin no further moves.  Raises HostDrainNotFound when none goes on."""
