"""The NUMA nodes that a server has."""

from typing import Any

from kilonova.api import params
from kilonova.api.operation import operation
from kilonova.api.policies import ADMIN, PROJECT_READER_OR_ADMIN, SoftRule
from kilonova.api.request import Request
from kilonova.api.servers import lookup
from kilonova.common.objects.numa import NumaNode

HOST = 'compute:server:topology:host:index'
SHOW_HOST = SoftRule(HOST, ADMIN, "Show on which of the host's processors and nodes a server is.")


@operation('GET', '/servers/{server_id}/topology', since='2.78', query=params.QUERY_LESS,
           target='resource', rule='compute:server:topology:index',
           check=PROJECT_READER_OR_ADMIN, soft_rules=[SHOW_HOST])  # fmt: skip
def index(request: Request, server_id: str) -> dict[str, Any]:
    """Show the NUMA topology of a server."""
    server = lookup.get(request, server_id)
    nodes = server.numa_topology.nodes if server.numa_topology else []
    whole = request.allows(HOST, project_id=server.project_id)
    sizes = [node.pagesize_kb for node in nodes if node.pagesize_kb]
    return {
        'nodes': [_node(node, whole) for node in nodes],
        'pagesize_kb': sizes[-1] if sizes else None,
    }


def _node(node: NumaNode, whole: bool) -> dict[str, Any]:
    body: dict[str, Any] = {
        'memory_mb': node.memory_mb,
        'siblings': node.siblings,
        'vcpu_set': node.vcpus,
    }
    if whole:
        body['host_node'] = node.id
        body['cpu_pinning'] = {str(ours): its for ours, its in (node.cpu_pinning or {}).items()}
    return body
