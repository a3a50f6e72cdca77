"""Server groups in memory."""

import uuid
from typing import Any

from kilonova.common import exception
from kilonova.common.objects.server_group import ServerGroup


class ServerGroupPart:
    def __init__(self) -> None:
        self.groups: dict[str, ServerGroup] = {}

    def create_server_group(self, context: Any, group: ServerGroup) -> ServerGroup:
        group.uuid = str(uuid.uuid4())
        self.groups[group.uuid] = group
        return group

    def get_server_group(
        self, context: Any, uuid: str, project_id: str | None = None
    ) -> ServerGroup:
        group = self.groups.get(uuid)
        if group is None or project_id not in (None, group.project_id):
            raise exception.InstanceGroupNotFound(group_uuid=uuid)
        return group

    def list_server_groups(
        self,
        context: Any,
        project_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ServerGroup]:
        found = [one for one in self.groups.values() if project_id in (None, one.project_id)]
        return found[offset:][:limit]

    def delete_server_group(self, context: Any, uuid: str, project_id: str | None = None) -> None:
        del self.groups[self.get_server_group(context, uuid, project_id).uuid]
