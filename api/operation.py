"""One operation, one declaration.

``@operation`` puts method, path, microversion range, policy rule, schemas and status of
an operation beside its handler; decorators stack, one for each range of versions that
differs.  The registry that they fill gives the router, oslo.policy's rules and the
documentation.

A handler is called as ``handler(request, <path arguments by name>, body=…)``; ``body``
only where a schema is declared.  It returns a dict (the JSON body), an ``Answer``, or
None for an empty body.

Policy: with ``target='caller'`` the rule is enforced before the handler, against the
caller's own project and user.  With ``target='resource'`` the handler must call
``request.authorize(project_id=…, user_id=…)`` once it has looked the resource up.
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import routes

from kilonova.api import faults, policies, schema, versions
from kilonova.api.policies import SoftRule
from kilonova.api.versions import Version

Handler = TypeVar('Handler', bound=Callable[..., Any])
Answered = 'dict[str, Any] | Answer | None'


@dataclasses.dataclass(slots=True)
class Answer:
    """A handler's result when it is more than a JSON body with the declared status."""

    body: dict[str, Any] | None = None
    status: int | None = None
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """What ``@operation`` declares."""

    method: str
    path: str
    action: str | None
    since: Version
    until: Version
    rule: str | None
    check: str
    target: str
    replaces: tuple[str, str] | None
    soft_rules: tuple[SoftRule, ...]
    body: 'Ranges | None'
    query: 'Ranges | None'
    success: int
    errors: dict[type[Exception], int]
    handler: Callable[..., Any]

    @functools.cached_property
    def arguments(self) -> list[str]:
        """Names of the path's variable parts, in order."""
        return re.findall(r'{(\w+)}', self.path)

    def serves(self, version: Version) -> bool:
        return self.since <= version <= self.until

    @property
    def summary(self) -> str:
        """What the operation does, in a sentence."""
        return (self.handler.__doc__ or self.rule or '').strip().partition('\n')[0]

    def all_rules(self) -> Iterable[SoftRule]:
        if self.rule is not None:
            yield SoftRule(self.rule, self.check, self.summary, self.replaces)
        yield from self.soft_rules


REGISTRY: list[Operation] = []
Methods = dict[str, dict[str | None, list[Operation]]]
"""The operations of one path, by method and action."""


def operation(
    method: str,
    path: str,
    *,
    action: str | None = None,
    since: str = '2.1',
    until: str | None = None,
    rule: str | None = None,
    check: str = policies.ADMIN,
    target: str = 'caller',
    replaces: tuple[str, str] | None = None,
    soft_rules: Iterable[SoftRule] = (),
    body: schema.Schema | schema.ByVersion | None = None,
    query: schema.Schema | schema.ByVersion | None = None,
    success: int = 200,
    errors: dict[type[Exception], int] | None = None,
) -> Callable[[Handler], Handler]:
    """Declare a handler's operation for one range of microversions.

    ``since='2.0', until='2.0'`` is for ``/v2`` alone, where it differs from 2.1.
    ``replaces``: (name, check) of the rule that an operator's file may still have.
    ``errors``: statuses of errors that this operation answers otherwise than their class says.
    """
    if target not in ('caller', 'resource'):
        raise ValueError(target)

    def register(handler: Handler) -> Handler:
        REGISTRY.append(
            Operation(
                method=method,
                path=path,
                action=action,
                since=versions.parse(since),
                until=versions.parse(until) if until else versions.MAX,
                rule=rule,
                check=check,
                target=target,
                replaces=replaces,
                soft_rules=tuple(soft_rules),
                body=None if body is None else Ranges(body),
                query=None if query is None else Ranges(query),
                success=success,
                errors=errors or {},
                handler=handler,
            )
        )
        return handler

    return register


_validators: dict[int, schema.Validator] = {}


def _compiled(declared: schema.Schema) -> schema.Validator:
    """Return one validator for one declaration, however many operations share it."""
    found = _validators.get(id(declared))
    if found is None:
        # It keeps the schema alive, so the id stays its own.
        found = _validators[id(declared)] = schema.Validator(declared)
    return found


class Ranges:
    """The validators of one operation: one for each range of versions that differs."""

    def __init__(self, declared: schema.Schema | schema.ByVersion) -> None:
        if not isinstance(declared, schema.ByVersion):
            declared = schema.ByVersion({'2.0': declared})
        self._ranges = sorted((versions.parse(v), _compiled(one)) for v, one in declared.items())
        self.is_optional = any('null' in one.get('type', ()) for one in declared.values())

    def at(self, version: Version, legacy: bool) -> schema.Validator:
        """Return the one for a version; a request of ``/v2`` may have its own."""
        if legacy:
            return self._ranges[0][1]
        return next(one for since, one in reversed(self._ranges) if since <= version)

    def between(
        self, since: Version, until: Version
    ) -> list[tuple[Version, Version, schema.Schema]]:
        """Return (first version, last version, schema) of the ranges within a range."""
        found: list[tuple[Version, Version, schema.Schema]] = []
        for begin, one in reversed(self._ranges):
            end = versions.before(found[-1][0]) if found else until
            if begin <= until and since <= end:
                found.append((max(begin, since), end, one.schema))
        return found[::-1]


@dataclasses.dataclass(slots=True)
class Route:
    """A path that exists: its operations by method and action, and its arguments."""

    methods: Methods
    values: list[str]
    project_id: str | None = None


class Router:
    """Finds the operation for a path, a method, an action and a version."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._methods: dict[str, Methods] = {}
        for one in operations:
            actions = self._methods.setdefault(_template(one.path), {}).setdefault(one.method, {})
            actions.setdefault(one.action, []).append(one)
        self._mapper = routes.Mapper(register=False)
        # The mapper takes the first that fits: words go before variables (/servers/detail before
        # /servers/{id}), and a path as it is before one with a project's id in front.
        paths = sorted(
            self._methods, key=lambda path: [part.startswith('{') for part in path.split('/')]
        )
        for prefix in ('', '/{project_id}'):
            for path in paths:
                self._mapper.connect(None, prefix + path, template=path)

    def find(self, path: str) -> Route:
        """Look a path up, with or without the project's id in front.  Raises a 404 fault.

        A slash at the end is one of an item whose id is empty, and there is none.
        """
        found = self._mapper.match(re.sub('//+', '/', path))
        if found is None:
            raise not_found()
        methods = self._methods[found.pop('template')]
        project_id = found.pop('project_id', None)
        return Route(methods, [found[name] for name in sorted(found)], project_id)


def _template(path: str) -> str:
    """Name the variable parts by their place: two operations may name the same part differently."""
    numbers = itertools.count()
    return re.sub(r'{\w+}', lambda _: f'{{v{next(numbers)}}}', path)


def not_found() -> faults.Fault:
    return faults.Fault(404, 'The resource could not be found.')


def choose(operations: Iterable[Operation], version: Version, legacy: bool) -> Operation:
    """Return the one that serves the version.  Raises a 404 fault."""
    newest: Operation | None = None
    for one in operations:
        if legacy and one.until == versions.LEGACY:
            return one
        if one.serves(version):
            newest = one
    if newest is None:
        raise not_found()
    return newest
