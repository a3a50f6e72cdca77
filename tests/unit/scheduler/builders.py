"""Host states and requests for the scheduler's tests."""

import datetime
import uuid
from typing import Any

import numpy as np
import pytest
from oslo_config import cfg

from kilonova.common import config, exception
from kilonova.common.fitting import config as fitting_config
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.host import Aggregate, ComputeNode, HostState, Service
from kilonova.common.objects.image import Image
from kilonova.common.objects.request_spec import RequestSpec, Selection
from kilonova.scheduler import config as scheduler_config
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices
from kilonova.scheduler.select import Selector
from kilonova.tests.fakes.placement_hosts import uuid_of

PROJECT, USER = 'p' * 32, 'u' * 32


def make_conf(**options: Any) -> cfg.ConfigOpts:
    """Return a configuration; ``group__name=value`` sets an option."""
    conf = cfg.ConfigOpts()
    config.register(scheduler_config.list_opts(), conf)
    config.register(fitting_config.list_opts(), conf)
    conf([], project='nova', default_config_files=[], default_config_dirs=[])
    for key, value in options.items():
        group, name = key.split('__')
        conf.set_override(name, value, group=group)
    return conf


def make_service(host: str, **changes: Any) -> Service:
    values = {'id': 1, 'uuid': uuid_of(f'service {host}'), 'host': host, 'up': True}
    values |= {'binary': 'nova-compute', 'last_seen_up': datetime.datetime(2026, 1, 2, 3, 4, 5)}
    return Service(**{**values, **changes})


def make_host(name: str = 'h1', service: dict[str, Any] | None = None, **changes: Any) -> HostState:
    """Return a host of 4 CPUs, 4 GiB, 100 GB; ``node_x=`` sets a field of its node."""
    node = {
        key.removeprefix('node_'): changes.pop(key) for key in list(changes) if key[:5] == 'node_'
    }
    fields = {
        'uuid': uuid_of(name),
        'host': name,
        'hypervisor_hostname': name,
        'hypervisor_type': 'QEMU',
        'hypervisor_version': 7_002_000,
        'vcpus': 4,
        'memory_mb': 4096,
        'local_gb': 100,
        'cpu_allocation_ratio': 1.0,
        'reserved_host_memory_mb': 0,
        'supported_instances': [('x86_64', 'qemu', 'hvm'), ('i686', 'qemu', 'hvm')],
    }
    return HostState(
        node=ComputeNode(**{**fields, **node}),
        service=make_service(name, **(service or {})),
        **changes,
    )


def make_aggregate(name: str, **metadata: str) -> Aggregate:
    return Aggregate(id=1, uuid=uuid_of(name), name=name, metadata=metadata)


def make_flavor(vcpus: int = 1, memory_mb: int = 512, root_gb: int = 1, **changes: Any) -> Flavor:
    values = {'flavorid': '1', 'name': 'small'} | changes
    return Flavor(vcpus=vcpus, memory_mb=memory_mb, root_gb=root_gb, **values)


def make_spec(
    flavor: Flavor | None = None,
    extra_specs: dict[str, str] | None = None,
    properties: dict[str, Any] | None = None,
    hints: dict[str, Any] | None = None,
    **changes: Any,
) -> RequestSpec:
    return RequestSpec(
        flavor=flavor or make_flavor(extra_specs=extra_specs or {}),
        image=changes.pop('image', None) or Image(id=uuid_of('image'), properties=properties or {}),
        scheduler_hints=hints or {},
        **({'project_id': PROJECT, 'user_id': USER} | changes),
    )


def everyone(hosts: Hosts) -> Indices:
    return np.arange(len(hosts))


def survivors(one: Filter, states: list[HostState], spec: RequestSpec) -> list[str]:
    """Return the names of the hosts that pass a filter."""
    hosts = Hosts(states)
    mask = one.passes(hosts, everyone(hosts), spec)
    names = [state.service.host for state in states]
    return names if mask is None else [name for name, fine in zip(names, mask, strict=True) if fine]


def reason(one: Filter, state: HostState, spec: RequestSpec) -> str:
    """Return why a filter leaves a host out."""
    return one.why(Hosts([state]), 0, spec)


def new(count: int = 1) -> list[str]:
    """Return uuids of new servers."""
    return [str(uuid.uuid4()) for _ in range(count)]


def hosts_of(selections: list[list[Selection]]) -> list[str]:
    """Return the claimed host of each server."""
    return [one[0].host for one in selections]


def fail(selector: Selector, spec: RequestSpec, uuids: list[str] | None = None) -> str:
    """Return the text of the NoValidHost that has to come."""
    with pytest.raises(exception.NoValidHost) as caught:
        selector.select(spec, uuids or new(), 0)
    return str(caught.value)
