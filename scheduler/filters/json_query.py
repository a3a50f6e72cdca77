"""Hint ``query``: a condition on the host's figures, as JSON.

``["and", [">=", "$free_ram_mb", 1024], ["in", "$hypervisor_type", "QEMU", "KVM"]]``
"""

import json
import operator
from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from kilonova.common.objects.request_spec import RequestSpec
from kilonova.scheduler.filters import attributes
from kilonova.scheduler.filters.affinity import hint
from kilonova.scheduler.filters.base import Filter
from kilonova.scheduler.hosts import Hosts, Indices, Mask, column

LOG = logging.getLogger(__name__)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    '=': operator.eq,
    '<': operator.lt,
    '>': operator.gt,
    '<=': operator.le,
    '>=': operator.ge,
}


class JsonFilter(Filter):
    once = False

    def passes(self, hosts: Hosts, alive: Indices, spec: RequestSpec) -> Mask | None:
        text = hint(spec, 'query')
        if not text:
            return None
        try:
            query = json.loads(text)
            found = [bool(_evaluate(query, attributes.of_host(hosts, i))) for i in alive]
        except (ValueError, TypeError, RecursionError) as error:
            LOG.info('The query %s cannot be used: %s', text, error)
            found = [False] * len(alive)
        return column(found, bool)

    def why(self, hosts: Hosts, i: int, spec: RequestSpec) -> str:
        return 'not what the query asks for'


def _evaluate(term: Any, known: dict[str, Any]) -> Any:
    if isinstance(term, str):
        return _attribute(term, known) if term.startswith('$') else term
    if not isinstance(term, list) or not term:
        return term
    name, *rest = term
    values = [_evaluate(item, known) for item in rest]
    if name in _COMPARE:
        return bool(values[1:]) and all(_COMPARE[name](values[0], other) for other in values[1:])
    if name == 'in':
        return bool(values) and values[0] in values[1:]
    if name == 'not':
        return [not value for value in values] if len(values) > 1 else not values[0]
    if name == 'and':
        return all(values)
    if name == 'or':
        return any(values)
    raise ValueError(f'unknown operator {name}')


def _attribute(term: str, known: dict[str, Any]) -> Any:
    value: Any = known
    for name in term[1:].split('.'):
        if not isinstance(value, dict) or name not in value:
            raise ValueError(f'unknown attribute {term}')
        value = value[name]
    return value
