"""What changes a server's life: delete, start, stop, reboot."""

from kilonova.common.context import RequestContext as Ctx
from kilonova.conductor.tasks.delete import Delete
from kilonova.conductor.tasks.power import Power


class ChangeServers:
    """Endpoint."""

    def __init__(self, delete: Delete, power: Power) -> None:
        self._delete, self._power = delete, power

    def delete_server(self, context: Ctx, uuid: str, force: bool = False) -> None:
        self._delete.accept(context, uuid)

    def start_server(self, context: Ctx, uuid: str) -> None:
        self._power.accept(context, uuid, 'start')

    def stop_server(self, context: Ctx, uuid: str) -> None:
        self._power.accept(context, uuid, 'stop')

    def reboot_server(self, context: Ctx, uuid: str, kind: str) -> None:
        self._power.accept(context, uuid, f'reboot {kind}', kind)
