"""Which part of the document holds at which microversions."""

from typing import Any

from kilonova.api import versions
from kilonova.api.versions import Version

Json = dict[str, Any]
MIN, MAX = 'x-openstack-min-ver', 'x-openstack-max-ver'


def span(since: Version, until: Version) -> Json:
    """Return the extension fields for a range; what goes on to the newest has no end."""
    found = {MIN: str(max(since, versions.MIN))}
    if until < versions.MAX:
        found[MAX] = str(until)
    return found


def any_of(parts: list[tuple[Version, Version, Json]]) -> Json:
    """Return one schema that has all that hold at some version, each with its range."""
    if len(parts) == 1:
        since, until, schema = parts[0]
        return {**schema, **span(since, until)}
    return {'anyOf': [{**schema, **span(since, until)} for since, until, schema in parts]}
