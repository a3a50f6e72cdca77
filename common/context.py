"""Who asks: carried from the HTTP request through every RPC."""

from typing import Any

from oslo_context import context


class RequestContext(context.RequestContext):
    """A request's user, project, roles and request id.

    The token travels with it, so that a compute host can read a private image as the
    user; it is never stored and never logged.
    """

    def __init__(
        self,
        *,
        service_catalog: list[dict[str, Any]] | None = None,
        remote_address: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service_catalog = service_catalog or []
        self.remote_address = remote_address

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        values['remote_address'] = self.remote_address
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any], **kwargs: Any) -> 'RequestContext':
        return super().from_dict(values, remote_address=values.get('remote_address'), **kwargs)


def get_admin_context() -> RequestContext:
    """Return a context for work that no request asked for."""
    return RequestContext(is_admin=True, overwrite=False, roles=['admin', 'member', 'reader'])
