"""The name that a hypervisor knows a server by."""

from kilonova.common.objects.server import Server


def instance_name(template: str, server: Server) -> str:
    """Fill ``[DEFAULT]instance_name_template``: ``%08x`` takes the number, ``%(uuid)s`` the id."""
    if '%(' in template:
        return template % {'id': server.id, 'uuid': server.uuid, 'name': server.name}
    return template % server.id
