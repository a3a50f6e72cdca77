"""What a filter is.

A filter looks at all hosts that are left at once and says which may stay.  An operator's
own filter may be written for one host: see ``HostFilter``.
"""

from oslo_config import cfg

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Hosts, Indices, Mask


class Filter:
    """``once``: all servers of a request get the same answer.

    ``on_rebuild``: it looks at images, so a server that is rebuilt with another one asks it, too.
    """

    once = True
    on_rebuild = False

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    @property
    def name(self) -> str:
        return type(self).__name__

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        """Return for each host of ``alive`` whether it may stay; None: the filter has no say."""
        raise NotImplementedError

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        """Say in a few words why a host was left out; alike words are counted together."""
        return 'refused by the filter'


class HostFilter:
    """Base of filters that look at one host; they run last, on the hosts that are left.

    Any class with such a ``host_passes`` will do.
    """

    def host_passes(self, host_state: HostState, spec_obj: RequestSpec) -> bool:
        raise NotImplementedError


class PerHost(Filter):
    """Runs a filter that is written for one host."""

    once = False

    def __init__(self, conf: cfg.ConfigOpts, inner: HostFilter) -> None:
        super().__init__(conf)
        self.inner = inner
        self.on_rebuild = bool(getattr(inner, 'RUN_ON_REBUILD', False))

    @property
    def name(self) -> str:
        return type(self.inner).__name__

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask:
        return hosts.where(lambda state: bool(self.inner.host_passes(state, spec)), alive)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'refused'
