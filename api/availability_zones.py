"""Availability zones, as the services' hosts are in them."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, ANY
from kilonova.api.request import Request
from kilonova.common.objects.host import Service


def _zones(services: list[Service]) -> tuple[dict[str, list[Service]], list[str]]:
    """Return (enabled services by zone, zones where all is disabled)."""
    available: dict[str, list[Service]] = {}
    all_zones: dict[str, None] = {}
    for one in services:
        zone = one.availability_zone or 'internal'
        all_zones[zone] = None
        if not one.disabled:
            available.setdefault(zone, []).append(one)
    return available, [zone for zone in all_zones if zone not in available]


def _has_computes(name: str, services: list[Service]) -> bool:
    """Tell a zone that servers can be in from the one of the other daemons."""
    return any(one.binary == 'nova-compute' and one.availability_zone == name for one in services)


def _rendered(name: str, available: bool, hosts: Any = None) -> dict[str, Any]:
    return {'zoneName': name, 'zoneState': {'available': available}, 'hosts': hosts}


@operation('GET', '/os-availability-zone', query=params.QUERY_LESS,
           rule='os_compute_api:os-availability-zone:list', check=ANY)  # fmt: skip
def index(request: Request) -> dict[str, Any]:
    """List availability zones."""
    services = request.conductor.list_services(request.context)
    available, rest = _zones(services)
    zones = [_rendered(name, True) for name in available] + [_rendered(n, False) for n in rest]
    shown = [zone for zone in zones if _has_computes(zone['zoneName'], services)]
    return {'availabilityZoneInfo': shown}


@operation('GET', '/os-availability-zone/detail', query=params.QUERY_LESS,
           rule='os_compute_api:os-availability-zone:detail', check=ADMIN)  # fmt: skip
def detail(request: Request) -> dict[str, Any]:
    """List availability zones with their hosts and services."""
    available, rest = _zones(request.conductor.list_services(request.context))
    zones = [_rendered(name, True, _hosts(services)) for name, services in available.items()]
    zones += [_rendered(name, False) for name in rest]
    return {'availabilityZoneInfo': zones}


def _hosts(services: list[Service]) -> dict[str, dict[str, Any]]:
    hosts: dict[str, dict[str, Any]] = {}
    for one in services:
        hosts.setdefault(one.host, {})[one.binary] = {
            'active': not one.disabled,
            'available': one.up,
            'updated_at': one.last_seen_up or one.updated_at,
        }
    return hosts
