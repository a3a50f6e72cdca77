"""Every RPC that the scheduler answers."""

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.request_spec import RequestSpec, Selection


class SchedulerInterface(rpc.Interface):
    """The scheduler: picks hosts and claims them in placement."""

    TOPIC, VERSION = 'scheduler', '1.0'

    @rpc.call(timeout=120)
    def select_destinations(
        self,
        context: Ctx,
        spec: RequestSpec,
        uuids: list[str],
        table_version: int,
        alternates: int = 0,
    ) -> list[list[Selection]]:
        """Pick and claim a host for each server, with up to ``alternates`` further ones each.

        ``table_version``: the host table must be at least this new.  What a server of
        ``uuids`` holds in placement already is replaced.  All or nothing: when one
        cannot be placed, the claims of the others are given back.
        Raises NoValidHost with the number of hosts left by each stage, ServiceUnavailable.
        """

    @rpc.call(timeout=120)
    def explain(
        self, context: Ctx, spec: RequestSpec, number: int, table_version: int
    ) -> Explanation:
        """Say which hosts ``number`` servers would get and why, and claim nothing."""

    @rpc.call(timeout=120)
    def check_rebuild(self, context: Ctx, spec: RequestSpec, table_version: int) -> None:
        """Ask the filters that look at images whether the requested host may have this one.

        Raises NoValidHost.
        """
