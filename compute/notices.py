"""What a host itself says on the bus: what went wrong in it, and what it has measured."""

from collections.abc import Callable
from typing import Any

from oslo_log import log as logging

from kilonova.common import context as ctx
from kilonova.common.context import RequestContext
from kilonova.common.notifications import failures, hosts
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.objects.host import ComputeNode

LOG = logging.getLogger(__name__)


class Notices:
    """Says nothing without a notifier.  What cannot be said must not fail what is done."""

    def __init__(self, host: str = '', ip: str = '', notifier: Notifier | None = None) -> None:
        self._host, self._ip, self._notifier = host, ip, notifier

    def failed(self, context: RequestContext, what: str, error: BaseException) -> None:
        """Say ``compute.exception``; ``what`` was asked of this host."""
        reason = failures.describe(error)
        self._say(context, 'compute.exception', None, reason)
        self._say_plain(context, what, failures.plain(reason), is_error=True)

    def hypervisor_away(self, error: BaseException) -> None:
        """Say ``libvirt.connect.error``."""
        reason = failures.describe(error)
        payload = hosts.LibvirtErrorPayload(ip=self._ip, reason=reason)
        self._say(ctx.get_admin_context(), 'libvirt.connect', 'error', payload)
        body = {'ip': self._ip, 'reason': failures.sentence(reason)}
        self._say_plain(ctx.get_admin_context(), 'compute.libvirt.error', body)

    def measured(self, node: ComputeNode, metrics: list[hosts.MetricPayload]) -> None:
        """Say ``metrics.update``."""
        payload = hosts.MetricsPayload(
            host=self._host,
            host_ip=self._ip,
            nodename=node.hypervisor_hostname,
            metrics=metrics,
        )
        self._say(ctx.get_admin_context(), 'metrics.update', None, payload)
        body = {
            'host': self._host,
            'host_ip': self._ip,
            'nodename': node.hypervisor_hostname,
            'metrics': node.metrics,
        }
        self._say_plain(ctx.get_admin_context(), 'compute.metrics.update', body)

    def _say(self, context: RequestContext, name: str, phase: str | None, payload: Any) -> None:
        self._try(name, lambda n: n.send(context, name, phase, self._host, payload))

    def _say_plain(
        self, context: RequestContext, name: str, body: dict[str, Any], is_error: bool = False
    ) -> None:
        publisher = f'compute.{self._host}'
        self._try(name, lambda n: n.send_plain(context, publisher, name, body, is_error))

    def _try(self, name: str, send: Callable[[Notifier], None]) -> None:
        if self._notifier is None:
            return
        try:
            send(self._notifier)
        except Exception:
            LOG.exception('%s is not announced', name)


class Telling:
    """An endpoint whose failures are said on the bus, too; it raises them all the same."""

    def __init__(self, endpoint: object, notices: Notices) -> None:
        self._endpoint, self._notices = endpoint, notices

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._endpoint, name)

        def run(context: RequestContext, **values: Any) -> Any:
            try:
                return method(context, **values)
            except Exception as error:
                self._notices.failed(context, name, error)
                raise

        return run
