"""The form of a versioned notification: each object names itself and its version."""

import datetime
from typing import Any, ClassVar

import msgspec

NAMESPACE = 'nova'


class Payload(msgspec.Struct, kw_only=True):
    """Base of all payload objects; a subclass's name is the object's on the wire."""

    VERSION: ClassVar[str]


def envelope(value: Any) -> Any:
    """Return a payload, or a part of one, as it goes over the bus."""
    if isinstance(value, Payload):
        fields = {name: envelope(getattr(value, name)) for name in value.__struct_fields__}
        return {
            'nova_object.name': type(value).__name__,
            'nova_object.namespace': NAMESPACE,
            'nova_object.version': value.VERSION,
            'nova_object.data': fields,
        }
    if isinstance(value, list):
        return [envelope(one) for one in value]
    if isinstance(value, datetime.datetime):
        return value.replace(microsecond=0, tzinfo=None).isoformat() + 'Z'
    return value
