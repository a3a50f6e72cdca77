"""Metadata, tags and the guest's password of servers."""

from collections.abc import Callable

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.metadata import password as passwords
from kilonova.common.objects.server import Server
from kilonova.conductor import state
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import rules
from kilonova.db import quotas, servers
from kilonova.db.engine import retry

MAX_TAGS = 50


class ServerMetadata:
    """Endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def set_server_metadata(
        self, context: Ctx, uuid: str, metadata: dict[str, str], replace: bool
    ) -> dict[str, str]:
        limits = self._limits(context)

        def change(server: Server) -> dict[str, str]:
            wanted = metadata if replace else {**server.metadata, **metadata}
            rules.check_metadata(self._parts.conf, limits, wanted)
            return wanted

        return self._change(context, uuid, 'update metadata', change)

    def delete_server_metadata(self, context: Ctx, uuid: str, key: str) -> None:
        def change(server: Server) -> dict[str, str]:
            if key not in server.metadata:
                raise exception.MetadataItemNotFound()
            return {name: value for name, value in server.metadata.items() if name != key}

        self._change(context, uuid, 'delete metadata', change)

    @retry
    def set_server_password(self, context: Ctx, uuid: str, password: str) -> None:
        with self._parts.cell_db.transaction() as session:
            known = servers.get(session, uuid, lock=True, parts=False).system_metadata
            if password and passwords.read(known):
                raise exception.Conflict(f'Server {uuid} has a password already.')
            servers.update(session, uuid, system_metadata=passwords.write(known, password))

    @retry
    def _limits(self, context: Ctx) -> dict[str, int]:
        with self._parts.api_db.reader() as session:
            return quotas.limits(
                session, self._parts.conf, context.project_id or '', context.user_id
            )[1]

    @retry
    def _change(
        self, context: Ctx, uuid: str, action: str, change: Callable[[Server], dict[str, str]]
    ) -> dict[str, str]:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True, parts=False)
            state.check(context, server, state.RULES[action])
            wanted = change(server)
            servers.update(session, uuid, metadata=wanted)
        return wanted


class ServerTags:
    """Endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def set_server_tags(self, context: Ctx, uuid: str, tags: list[str]) -> list[str]:
        return self._change(context, uuid, 'update tags', lambda old: set(tags))

    def add_server_tag(self, context: Ctx, uuid: str, tag: str) -> bool:
        known: set[str] = set()

        def change(old: set[str]) -> set[str]:
            known.update(old)
            return old | {tag}

        self._change(context, uuid, 'update tags', change)
        return tag not in known

    def delete_server_tag(self, context: Ctx, uuid: str, tag: str | None) -> None:
        def change(old: set[str]) -> set[str]:
            if tag is None:
                return set()
            if tag not in old:
                raise exception.TagNotFound(server_id=uuid, tag=tag)
            return old - {tag}

        self._change(context, uuid, 'delete tags', change)

    @retry
    def _change(
        self, context: Ctx, uuid: str, action: str, change: Callable[[set[str]], set[str]]
    ) -> list[str]:
        with self._parts.cell_db.transaction() as session:
            server = servers.get(session, uuid, lock=True)
            state.check(context, server, state.RULES[action])
            old = set(server.tags)
            wanted = change(old)
            if len(wanted) > MAX_TAGS:
                raise exception.Invalid(
                    f'The number of tags exceeded the per-server limit {MAX_TAGS}'
                )
            if wanted != old:
                servers.set_tags(session, uuid, sorted(wanted))
                servers.update(session, uuid)
        return sorted(wanted)
