"""The actions pause, unpause, suspend and resume."""

from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects import work
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.tasks import faults
from kilonova.conductor.tasks.procedure import Payload, Phase, Procedure

WORK = {
    'pause': work.Pause,
    'unpause': work.Unpause,
    'suspend': work.Suspend,
    'resume': work.Resume,
}


class Suspending:
    """Endpoint, and the four procedures."""

    def __init__(self, parts: Parts, engine: Engine) -> None:
        self._procedures = {
            action: Procedure(
                parts,
                engine,
                action,
                (
                    Phase[Payload](
                        name=action,
                        event=f'compute_{action}_instance',
                        work=lambda job, kind=kind: kind(),  # type: ignore[misc]
                    ),
                ),
                payload=Payload,
            )
            for action, kind in WORK.items()
        }

    def _accept(self, context: Ctx, uuid: str, action: str) -> None:
        payload = Payload(context=faults.keep(context), rule=action)
        self._procedures[action].accept(context, uuid, payload)

    def pause_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'pause')

    def unpause_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'unpause')

    def suspend_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'suspend')

    def resume_server(self, context: Ctx, uuid: str) -> None:
        self._accept(context, uuid, 'resume')
