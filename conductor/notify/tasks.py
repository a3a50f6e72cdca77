"""Says that the conductor has failed with what it was to do for a server."""

from oslo_log import log as logging

from kilonova.common.context import RequestContext
from kilonova.common.notifications import describe, requests
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.conductor.parts import Parts

LOG = logging.getLogger(__name__)


def failed(
    parts: Parts,
    context: RequestContext,
    name: str,
    uuid: str,
    spec: RequestSpec | None,
    state: str,
    message: str,
    details: str,
) -> None:
    """Send ``compute_task.NAME.error``; what cannot be said must not fail what is done."""
    if parts.notifier is None or not parts.notifier.versioned:
        return
    try:
        payload = requests.ComputeTaskPayload(
            instance_uuid=uuid,
            request_spec=describe.request_spec(spec, uuid) if spec is not None else None,
            state=state,
            reason=describe.error(message, details, 'NoValidHost'),
        )
        parts.notifier.send(context, f'compute_task.{name}', 'error', parts.conf.host, payload)
    except Exception:
        LOG.exception('The failure of %s for server %s is not announced', name, uuid)
