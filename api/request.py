"""What a handler gets to know of a request."""

import urllib.parse
from typing import Any

import webob
from oslo_config import cfg

from kilonova.api.operation import Operation
from kilonova.api.policies import Enforcer
from kilonova.api.versions import Version
from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.conductor.interface import ConductorInterface


class Query(dict[str, list[str]]):
    """Validated query parameters: a name may come several times."""

    def one(self, name: str, default: str | None = None) -> str | None:
        """Return the last value of a parameter."""
        values = self.get(name)
        return values[-1] if values else default

    def all(self, name: str) -> list[str]:
        return self.get(name, [])

    @classmethod
    def parse(cls, text: str) -> 'Query':
        try:
            query = cls(
                urllib.parse.parse_qs(
                    text, keep_blank_values=True, errors='strict', max_num_fields=1000
                )
            )
        except UnicodeDecodeError:
            raise exception.Invalid('Query string is not UTF-8 encoded') from None
        except ValueError as error:
            raise exception.Invalid(f'Malformed query string: {error}') from None
        if any('\0' in value for pair in query.items() for value in (pair[0], *pair[1])):
            raise exception.Invalid('The query string holds a null character')
        return query


class Request:
    """One authenticated request of a known operation at a known version."""

    def __init__(
        self,
        http: webob.Request,
        context: RequestContext,
        version: Version,
        *,
        operation: Operation,
        query: Query,
        conf: cfg.ConfigOpts,
        conductor: ConductorInterface,
        enforcer: Enforcer,
        project_in_path: bool = False,
        legacy: bool = False,
    ) -> None:
        self.http = http
        self.context = context
        self.version = version
        self.operation = operation
        self.query = query
        self.conf = conf
        self.conductor = conductor
        self.legacy = legacy
        self.project_in_path = project_in_path
        self.authorized = False
        self._enforcer = enforcer
        self._credentials: dict[str, Any] | None = None

    def allows(
        self, rule: str, *, project_id: str | None = None, user_id: str | None = None
    ) -> bool:
        """Tell whether the caller may; without a target it is the caller's project and user."""
        if self._credentials is None:
            self._credentials = credentials(self.context)
        return self._enforcer.allows(
            rule,
            self.context.project_id if project_id is None else project_id,
            self.context.user_id if user_id is None else user_id,
            self._credentials,
        )

    def can(self, rule: str, *, project_id: str | None = None, user_id: str | None = None) -> None:
        """Raise PolicyNotAuthorized unless the caller may."""
        if not self.allows(rule, project_id=project_id, user_id=user_id):
            raise exception.PolicyNotAuthorized(action=rule)

    def authorize(self, *, project_id: str | None = None, user_id: str | None = None) -> None:
        """Enforce the operation's own rule (see ``target`` of ``@operation``)."""
        self.authorized = True
        if self.operation.rule is not None:
            self.can(self.operation.rule, project_id=project_id, user_id=user_id)


def credentials(context: RequestContext) -> dict[str, Any]:
    """Return what policy checks may look at."""
    return {**context.to_policy_values(), 'is_admin': context.is_admin}
