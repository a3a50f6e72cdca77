"""Says what endpoints do with resources: one table, wrapped around the endpoints' methods.

What is said before and after a call is made of its arguments and its result; where neither
holds the resource (it is deleted, or only its id is given), it is looked up first.
"""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from oslo_config import cfg
from oslo_log import log as logging

from kilonova.common import exception
from kilonova.common.context import RequestContext
from kilonova.common.notifications import describe, failures, hosts
from kilonova.common.notifications.events import API
from kilonova.common.notifications.notifier import Notifier
from kilonova.common.notifications.payload import Payload
from kilonova.common.notifications.resources import KeypairPayload, ServerGroupPayload
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.host import Aggregate, Service
from kilonova.common.objects.server import Keypair
from kilonova.common.objects.server_group import ServerGroup

LOG = logging.getLogger(__name__)
Arguments = dict[str, Any]
Ask = Callable[[str], Callable[..., Any]]
"""Finds a method of any endpoint by its name."""


class Announced(NamedTuple):
    """``before`` and ``after`` return the resource or None.

    ``event`` may look at the arguments, ``_before`` among them; '' is not announced.
    ``around``: with a start and an end; otherwise it is said once, afterwards.
    """

    event: Callable[[Arguments], str]
    before: Callable[[Ask, RequestContext, Arguments], Any]
    after: Callable[[Ask, RequestContext, Arguments, Any], Any]
    around: bool = False


def _always(name: str) -> Callable[[Arguments], str]:
    return lambda _arguments: name


def _nothing(_ask: Ask, _context: RequestContext, _arguments: Arguments) -> Any:
    return None


def _result(_ask: Ask, _context: RequestContext, _arguments: Arguments, result: Any) -> Any:
    return result


def _argument(name: str) -> Callable[[Ask, RequestContext, Arguments], Any]:
    return lambda _ask, _context, arguments: arguments[name]


def _looked_up(method: str, *names: str) -> Callable[[Ask, RequestContext, Arguments], Any]:
    """The resource is what another method returns for some of the arguments."""

    def look(ask: Ask, context: RequestContext, arguments: Arguments) -> Any:
        return ask(method)(context, *(arguments[name] for name in names))

    return look


def _again(method: str, *names: str) -> Callable[[Ask, RequestContext, Arguments, Any], Any]:
    look = _looked_up(method, *names)
    return lambda ask, context, arguments, _result: look(ask, context, arguments)


def _as_before(_ask: Ask, _context: RequestContext, arguments: Arguments, _result: Any) -> Any:
    return arguments['_before']


def _new_aggregate(_ask: Ask, _context: RequestContext, arguments: Arguments) -> Any:
    zone = arguments['availability_zone']
    metadata = {'availability_zone': zone} if zone else {}
    return Aggregate(id=0, uuid='', name=arguments['name'], metadata=metadata)


def _keypair_verb(arguments: Arguments) -> str:
    return 'keypair.create' if arguments.get('generated') else 'keypair.import'


def _first_start(arguments: Arguments) -> str:
    return '' if arguments['_before'] else 'service.create'


def _group_hint(arguments: Arguments) -> str | None:
    hint = arguments['request'].scheduler_hints.get('group')
    return hint[0] if isinstance(hint, list) and hint else hint


def _joined(arguments: Arguments) -> str:
    return 'server_group.add_member' if _group_hint(arguments) else ''


def _hinted_group(ask: Ask, context: RequestContext, arguments: Arguments, _result: Any) -> Any:
    return ask('get_server_group')(context, _group_hint(arguments))


_AGGREGATE = _looked_up('get_aggregate', 'aggregate_id')
_FLAVOR = _again('get_flavor', 'flavorid')

TABLE: dict[str, Announced] = {
    'create_keypair': Announced(_keypair_verb, _argument('keypair'), _result, True),
    'delete_keypair': Announced(
        _always('keypair.delete'), _looked_up('get_keypair', 'user_id', 'name'), _as_before, True
    ),
    'create_aggregate': Announced(_always('aggregate.create'), _new_aggregate, _result, True),
    'update_aggregate': Announced(_always('aggregate.update_prop'), _AGGREGATE, _result, True),
    'set_aggregate_metadata': Announced(
        _always('aggregate.update_metadata'), _AGGREGATE, _result, True
    ),
    'add_aggregate_host': Announced(_always('aggregate.add_host'), _AGGREGATE, _result, True),
    'remove_aggregate_host': Announced(_always('aggregate.remove_host'), _AGGREGATE, _result, True),
    'delete_aggregate': Announced(_always('aggregate.delete'), _AGGREGATE, _as_before, True),
    'cache_images': Announced(_always('aggregate.cache_images'), _AGGREGATE, _as_before, True),
    'create_flavor': Announced(_always('flavor.create'), _nothing, _result),
    'update_flavor': Announced(_always('flavor.update'), _nothing, _result),
    'set_flavor_extra_specs': Announced(_always('flavor.update'), _nothing, _FLAVOR),
    'delete_flavor_extra_spec': Announced(_always('flavor.update'), _nothing, _FLAVOR),
    'add_flavor_access': Announced(_always('flavor.update'), _nothing, _FLAVOR),
    'remove_flavor_access': Announced(_always('flavor.update'), _nothing, _FLAVOR),
    'delete_flavor': Announced(
        _always('flavor.delete'), _looked_up('get_flavor', 'flavorid'), _as_before
    ),
    'create_server_group': Announced(_always('server_group.create'), _nothing, _result),
    'delete_server_group': Announced(
        _always('server_group.delete'),
        _looked_up('get_server_group', 'uuid', 'project_id'),
        _as_before,
    ),
    'create_servers': Announced(_joined, _nothing, _hinted_group),
    'service_started': Announced(
        _first_start, _looked_up('list_services', 'host', 'binary'), _result
    ),
    'update_service': Announced(_always('service.update'), _nothing, _result),
    'delete_service': Announced(
        _always('service.delete'), _looked_up('get_service', 'service_id'), _as_before
    ),
}


class Announcing:
    """An endpoint whose methods are announced; the others are the endpoint's own."""

    def __init__(
        self, endpoint: Any, everybody: list[object], conf: cfg.ConfigOpts, notifier: Notifier
    ) -> None:
        self._endpoint, self._everybody = endpoint, everybody
        self._conf, self._notifier = conf, notifier

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._endpoint, name)
        announced = TABLE.get(name)
        return method if announced is None else self._wrapped(method, announced)

    def _ask(self, name: str) -> Callable[..., Any]:
        return next(getattr(one, name) for one in self._everybody if hasattr(one, name))

    def _wrapped(self, method: Callable[..., Any], announced: Announced) -> Callable[..., Any]:
        signature = inspect.signature(method)

        def run(context: RequestContext, *args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(context, *args, **kwargs)
            bound.apply_defaults()
            arguments = dict(bound.arguments)
            arguments['_before'] = self._looked(announced.before, context, arguments)
            name = announced.event(arguments)
            if name and announced.around:
                self._say(context, name, 'start', arguments['_before'])
            try:
                result = method(context, *args, **kwargs)
            except Exception as error:
                if name.startswith('aggregate.'):
                    self._say_failure(context, method.__name__, error)
                raise
            if name:
                after = self._looked(announced.after, context, arguments, result)
                self._say(context, name, 'end' if announced.around else None, after)
            return result

        return run

    def _looked(
        self, look: Callable[..., Any], context: RequestContext, arguments: Arguments, *more: Any
    ) -> Any:
        """Return what is announced, or None: it is gone, or the call itself will say what is wrong."""
        try:
            return look(self._ask, context, arguments, *more)
        except exception.KilonovaError as error:
            LOG.info('Nothing is announced of what is not found: %s', error)
            return None

    def _say_failure(self, context: RequestContext, what: str, error: Exception) -> None:
        """Of the API's own work, aggregates alone are published as ``compute.exception``."""
        try:
            reason, host = failures.describe(error), self._conf.host
            self._notifier.send(context, 'compute.exception', None, host, reason, source=API)
            body = failures.plain(reason)
            self._notifier.send_plain(context, f'compute.{host}', what, body, is_error=True)
        except Exception:
            LOG.exception('The failure of %s is not announced', what)

    def _say(self, context: RequestContext, name: str, phase: str | None, resource: Any) -> None:
        """What cannot be said must not fail what is done."""
        if resource is None:
            return
        try:
            self._notifier.send(context, name, phase, self._conf.host, payload(resource))
            full = f'{name}.{phase}' if phase else name
            publisher = f'{name.partition(".")[0].replace("_", "")}.{self._conf.host}'
            self._notifier.send_plain(context, publisher, _old(full), _plain(resource))
        except Exception:
            LOG.exception('%s is not announced', name)


def payload(resource: Any) -> Payload:
    """Return what is said of a resource."""
    return _PAYLOADS[type(resource)](resource)


def _keypair(known: Keypair) -> Payload:
    return KeypairPayload(
        user_id=known.user_id,
        name=known.name,
        fingerprint=known.fingerprint,
        public_key=known.public_key,
        type=known.type,
    )


def _aggregate(known: Aggregate) -> Payload:
    return hosts.AggregatePayload(
        id=known.id or None,
        uuid=known.uuid or None,
        name=known.name,
        hosts=known.hosts if known.id else None,
        metadata=known.metadata,
    )


def _group(known: ServerGroup) -> Payload:
    return ServerGroupPayload(
        uuid=known.uuid,
        name=known.name,
        user_id=known.user_id,
        project_id=known.project_id,
        policies=[known.policy] if known.policy else [],
        members=known.members,
        hosts=None,
        policy=known.policy,
        rules={name: str(value) for name, value in known.rules.items()},
    )


def _service(known: Service) -> Payload:
    return hosts.ServiceStatusPayload(
        uuid=known.uuid,
        host=known.host,
        binary=known.binary,
        topic=known.topic,
        report_count=known.report_count,
        disabled=known.disabled,
        disabled_reason=known.disabled_reason,
        availability_zone=known.availability_zone,
        last_seen_up=known.last_seen_up,
        forced_down=known.forced_down,
        version=known.version,
    )


_PAYLOADS: dict[type, Callable[[Any], Payload]] = {
    Keypair: _keypair,
    Aggregate: _aggregate,
    Flavor: describe.flavor,
    ServerGroup: _group,
    Service: _service,
}


def _old(name: str) -> str:
    """Return a name as it was before notifications had versions."""
    words = {'add_host': 'addhost', 'remove_host': 'removehost', 'update_prop': 'updateprop',
             'update_metadata': 'updatemetadata', 'server_group': 'servergroup'}  # fmt: skip
    return '.'.join(words.get(word, word) for word in name.split('.'))


def _plain(resource: Any) -> dict[str, Any]:
    said = payload(resource)
    return {name: getattr(said, name) for name in said.__struct_fields__}
