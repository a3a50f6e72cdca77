"""What the aggregates of a host say about flavors, images and projects."""

from kilonova.common.objects.host import HostState
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters import operators
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask, aggregates_of


class AggregateInstanceExtraSpecsFilter(Filter):
    """Each ``aggregate_instance_extra_specs:`` or unscoped extra spec matches some aggregate's item."""

    SCOPE = 'aggregate_instance_extra_specs:'

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        wanted = self._wanted(spec)
        if not wanted:
            return None
        return hosts.where_kind(
            'aggregates', aggregates_of, lambda state: _satisfies(state, wanted), alive
        )

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'in no aggregate that fits the extra specs ' + ', '.join(sorted(self._wanted(spec)))

    def _wanted(self, spec: RequestSpec) -> dict[str, str]:
        return {
            key.removeprefix(self.SCOPE): value
            for key, value in spec.flavor.extra_specs.items()
            if key.startswith(self.SCOPE) or (':' not in key and key != 'group_policy')
        }


class AggregateTypeAffinityFilter(Filter):
    """Aggregate metadata ``instance_type`` lists the names of the flavors that may come."""

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if hosts.aggregate_values('instance_type') is None:
            return None
        name = spec.flavor.name
        return hosts.where_kind(
            'aggregates', aggregates_of, lambda state: _lists(state, 'instance_type', name), alive
        )

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'kept for other flavors'


class AggregateMultiTenancyIsolation(Filter):
    """Aggregate metadata ``filter_tenant_id*`` lists the projects that may come."""

    KEY = 'filter_tenant_id'

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        if not any(
            key.startswith(self.KEY) for a in hosts.aggregates.values() for key in a.metadata
        ):
            return None
        return hosts.where_kind(
            'aggregates', aggregates_of, lambda state: self._welcome(state, spec.project_id), alive
        )

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'kept for other projects'

    def _welcome(self, state: HostState, project_id: str) -> bool:
        projects = {
            project.strip()
            for aggregate in state.aggregates
            for key, value in aggregate.metadata.items()
            if key.startswith(self.KEY)
            for project in value.split(',')
        }
        return not projects or project_id in projects


class AggregateImagePropertiesIsolation(Filter):
    """Image properties do not contradict aggregate metadata of the same name."""

    on_rebuild = True

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        namespace = self.conf.filter_scheduler.aggregate_image_properties_isolation_namespace
        separator = self.conf.filter_scheduler.aggregate_image_properties_isolation_separator
        prefix = f'{namespace}{separator}' if namespace else ''
        properties = {k: str(v) for k, v in spec.image.properties.items() if k.startswith(prefix)}
        known = {key: v for key, v in properties.items() if hosts.aggregate_values(key) is not None}
        if not known:
            return None
        return hosts.where_kind(
            'aggregates',
            aggregates_of,
            lambda state: all(_lists(state, key, value) for key, value in known.items()),
            alive,
        )

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'kept for images with other properties'


def _values(state: HostState, key: str) -> set[str]:
    """Return what the host's aggregates say, one by one."""
    return {
        value.strip()
        for aggregate in state.aggregates
        if key in aggregate.metadata
        for value in aggregate.metadata[key].split(',')
    }


def _lists(state: HostState, key: str, value: str) -> bool:
    """Tell whether a host's aggregates say nothing, or name the value."""
    values = _values(state, key)
    return not values or value in values


def _satisfies(state: HostState, wanted: dict[str, str]) -> bool:
    return all(
        any(operators.match(value, requirement) for value in _values(state, key))
        for key, requirement in wanted.items()
    )
