"""Routed provider networks: a segment's addresses are of use only where the segment is.

Neutron keeps a provider for each segment in placement, in an aggregate with the hosts
that the segment reaches.
"""

from collections.abc import Iterable

from kilonova.common import exception
from kilonova.common.clients.neutron import Neutron
from kilonova.common.clients.placement import Placement, ProviderNotFound
from kilonova.common.objects.network import NetworkRequest

Segments = dict[str, dict[str, str]]
"""Network to subnet to segment."""


class RoutedNetworks:
    """Asks Neutron (as the service) and placement."""

    def __init__(self, neutron: Neutron, placement: Placement) -> None:
        self._neutron, self._placement = neutron, placement

    def aggregates_for(self, networks: Iterable[NetworkRequest]) -> list[frozenset[str]]:
        """Return sets of aggregates: a host has to be in one of each.  Raises NoValidHost."""
        wanted = [entry for entry in networks if entry.network_id]
        if not wanted:
            return []
        known = self._segments({str(entry.network_id) for entry in wanted})
        needed = {_segments_of(entry, known.get(str(entry.network_id), {})) for entry in wanted}
        of_segment = {
            segment: self._aggregates_of(segment) for segment in frozenset().union(*needed)
        }
        return [self._any_of(segments, of_segment) for segments in needed if segments]

    def _segments(self, networks: Iterable[str]) -> Segments:
        """Look up the subnets that belong to segments; one request."""
        found: Segments = {}
        for subnet in self._neutron.list_subnets(network_id=sorted(networks)):
            if subnet.get('segment_id'):
                mine = found.setdefault(subnet['network_id'], {})
                mine[subnet['id']] = subnet['segment_id']
        return found

    def _aggregates_of(self, segment: str) -> set[str]:
        try:
            return self._placement.get_aggregates(segment)
        except ProviderNotFound:  # Neutron has not got round to it: no host has agents there
            return set()

    @staticmethod
    def _any_of(segments: frozenset[str], of_segment: dict[str, set[str]]) -> frozenset[str]:
        found = frozenset().union(*(of_segment[segment] for segment in segments))
        if not found:
            names = ', '.join(sorted(segments))
            raise exception.NoValidHost(
                reason=f'No host is known to reach the network segments {names}.'
            )
        return found


def _segments_of(entry: NetworkRequest, known: dict[str, str]) -> frozenset[str]:
    """Return the segments of a port's addresses, or all of the network's: any of them will do."""
    own = frozenset(known[subnet] for subnet in entry.subnets if subnet in known)
    return own or frozenset(known.values())
