"""Keep servers with like images together, or apart."""

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.hosts import Floats, Hosts, Indices, column
from kilonova.scheduler.weights.base import Weigher, ratios_of

Wanted = list[tuple[str, str, float]]
"""Property, value, ratio."""


class ImagePropertiesWeigher(Weigher):
    """Counts the servers that have an image property with the requested value."""

    option = 'image_props_weight_multiplier'

    def is_on(self) -> bool:
        # As in Nova, an aggregate cannot switch on what the option has switched off.
        return bool(self.default())

    def weigh(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Floats | None:
        wanted = self._wanted(spec) if self.is_on() else []
        if not wanted:
            return None
        return column(self._alike(hosts, int(i), wanted) for i in alive)

    def _wanted(self, spec: RequestSpec) -> Wanted:
        settings = self.conf.filter_scheduler.image_props_weight_setting
        ratios = ratios_of('[filter_scheduler]image_props_weight_setting', settings)
        return [
            (name, value, ratio)
            for name, value in spec.image.known_properties().items()
            if (ratio := ratios.get(name, 0.0 if settings else 1.0))
        ]

    @staticmethod
    def _alike(hosts: Hosts, i: int, wanted: Wanted) -> float:
        there = hosts.states[i].image_properties
        return sum(ratio * there.get(name, {}).get(value, 0) for name, value, ratio in wanted)
