"""What a weigher is.

A weigher gives each host that is left a number; the numbers are brought to 0..1 (or, with
``minval`` and ``maxval``, measured against these), multiplied, and added up.
"""

from collections.abc import Iterable

import numpy as np
from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices

LOG = logging.getLogger(__name__)


class Weigher:
    """``option`` names the multiplier, in [filter_scheduler] and in aggregate metadata."""

    option: str
    minval: float | None = None
    maxval: float | None = None

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self.conf = conf

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        """Return a number for each host of ``alive``, more is better; None: no opinion."""
        raise NotImplementedError

    def multiplier(self, hosts: Hosts) -> Floats | float:
        """Return the multiplier, or one for each host where aggregates override it."""
        return hosts.aggregate_numbers(self.option, self.default())

    def default(self) -> float:
        return float(self.conf.filter_scheduler[self.option])

    def score(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        """Return what this weigher adds to the hosts' weights."""
        multiplier = self.multiplier(hosts)
        if isinstance(multiplier, float) and not multiplier:
            return None
        values = self.weigh(hosts, alive, spec)
        if values is None:
            return None
        if not isinstance(multiplier, float):
            multiplier = multiplier[alive]
        scores: Floats = multiplier * self._normalise(values)
        return scores

    def _normalise(self, values: Floats) -> Floats:
        if not len(values):
            return values
        low = values.min() if self.minval is None else self.minval
        high = values.max() if self.maxval is None else self.maxval
        if high == low:
            return np.zeros(len(values))
        scaled: Floats = (values - low) / (high - low)
        return scaled


class ColumnWeigher(Weigher):
    """``column`` of the host table is the weight."""

    column: str

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats:
        values: Floats = getattr(hosts, self.column)
        return values[alive]


def ratios_of(option: str, items: Iterable[str]) -> dict[str, float]:
    """Read ``name=ratio`` items; what is malformed is left out with a warning."""
    found = {}
    for item in items:
        name, _, ratio = item.partition('=')
        try:
            found[name.strip()] = float(ratio)
        except ValueError:
            LOG.warning('%s: %s is not name=ratio', option, item)
    return found
