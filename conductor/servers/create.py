"""Accepting new servers."""

import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception, resources
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.metadata.vendordata import BOOT_ROLES
from kilonova.common.objects.block_device import boots_from_volume, volumes
from kilonova.common.objects.explanation import Explanation
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server import CreatedServers, Keypair, Server, ServerCreate
from kilonova.common.objects.server_group import Membership
from kilonova.conductor.operations import Engine
from kilonova.conductor.parts import Parts
from kilonova.conductor.servers import devices, names, reserve, rules
from kilonova.conductor.tasks import choose, faults, groups, layouts, ports
from kilonova.conductor.tasks.build import Build
from kilonova.conductor.tasks.work import Payload, Work, encode
from kilonova.db import flavors, keypairs, operations, quotas, servers, types, unified_limits
from kilonova.db.engine import retry
from kilonova.db.models.api import InstanceMapping, RequestSpecRow
from kilonova.db.models.servers import table_of
from kilonova.db.operations import Operation


class CreateServers:
    """Endpoint."""

    def __init__(self, parts: Parts, engine: Engine, build: Build) -> None:
        self._parts, self._engine, self._build = parts, engine, build
        self._chooser = choose.Chooser(parts)

    def create_servers(self, context: Ctx, request: ServerCreate) -> CreatedServers:
        flavor, keypair, spec = self._check(context, request)
        uuids = self._reserve(context, request, flavor, spec)
        made = self._servers(context, request, flavor, keypair, uuids)
        self._reserve_volumes(context, made)
        works = [self._work(context, request, server, spec) for server in made]
        self._record(works)
        self._build.start(works)
        reservation = made[0].reservation_id or ''
        return CreatedServers(reservation_id=reservation, uuids=uuids)

    def explain_servers(self, context: Ctx, request: ServerCreate) -> Explanation:
        _, _, spec = self._check(context, request)
        return self._chooser.explain(context, spec, request.max_count)

    def _check(
        self, context: Ctx, request: ServerCreate
    ) -> tuple[Flavor, Keypair | None, RequestSpec]:
        flavor, keypair, group = self._look_up(context, request)
        rules.check_image(flavor, request)
        request.block_devices = devices.of_flavor(request.block_devices, flavor)
        rules.check_devices(self._parts.conf, flavor, request.block_devices)
        layouts.check(self._parts.conf, flavor, request.image)
        return flavor, keypair, _spec(context, request, flavor, group)

    @retry
    def _look_up(
        self, context: Ctx, request: ServerCreate
    ) -> tuple[Flavor, Keypair | None, Membership | None]:
        with self._parts.api_db.reader() as session:
            visible = None if context.is_admin else context.project_id or ''
            flavor = flavors.get(session, request.flavorid, visible)
            if flavor.disabled:
                raise exception.FlavorNotFound(flavor_id=request.flavorid)
            keypair = None
            if request.key_name:
                keypair = keypairs.get(session, context.user_id or '', request.key_name)
            group = groups.hinted(session, context, request.scheduler_hints)
            zone = request.availability_zone
            if zone is not None:
                rules.check_zone(self._parts.conf, session, zone)
        if request.requested_host or request.requested_hypervisor_hostname:
            self._check_destination(request)
        # Who may use the flavor is not the server's business.
        flavor.projects = []
        return flavor, keypair, group

    def _check_destination(self, request: ServerCreate) -> None:
        host, node = request.requested_host, request.requested_hypervisor_hostname
        if not any(self._parts.ask(lambda session: rules.is_known(session, host, node))):
            raise exception.ComputeHostNotFound(host=host or node)

    @retry
    def _reserve(
        self, context: Ctx, request: ServerCreate, flavor: Flavor, spec: RequestSpec
    ) -> list[str]:
        """Book the quota; a booking without a server is taken back by the sweep."""
        project, user = context.project_id or '', context.user_id or ''
        with self._parts.api_db.transaction() as session:
            if request.metadata or request.personality:
                _, limits = quotas.limits(session, self._parts.conf, project, user)
                rules.check_limits(self._parts.conf, limits, request.metadata, request.personality)
            count = quotas.check_and_reserve(
                session,
                self._parts.conf,
                project,
                user,
                servers=request.max_count,
                vcpus=flavor.vcpus,
                memory_mb=flavor.memory_mb,
                resources=resources.total(spec),
                minimum=request.min_count,
            )
            uuids = [str(uuid.uuid4()) for _ in range(count)]
            _book(session, uuids, self._parts.cell_id, spec)
            groups.join(session, self._parts.conf, spec, uuids)
        return uuids

    def _reserve_volumes(self, context: Ctx, made: Sequence[Server]) -> None:
        """Reserve what the servers are to have; when that fails, nothing has happened."""
        try:
            reserve.reserve_all(self._parts, context, made)
        except exception.KilonovaError:
            uuids = [server.uuid for server in made]
            if reserve.undo(self._parts, uuids):
                self._take_back(uuids)
            raise

    @retry
    def _take_back(self, uuids: Sequence[str]) -> None:
        with self._parts.api_db.transaction() as session:
            for model in (RequestSpecRow, InstanceMapping):
                session.execute(sa.delete(model).where(model.instance_uuid.in_(uuids)))

    def _servers(
        self,
        context: Ctx,
        request: ServerCreate,
        flavor: Flavor,
        keypair: Keypair | None,
        uuids: Sequence[str],
    ) -> list[Server]:
        now, reservation = types.utcnow(), names.reservation_id()
        forced_drive = self._parts.conf.force_config_drive
        found = []
        for index, server_uuid in enumerate(uuids):
            name = names.display_name(request.name, index, len(uuids))
            found.append(
                Server(
                    uuid=server_uuid,
                    name=name,
                    description=request.description,
                    hostname=names.hostname(request.hostname or name, server_uuid),
                    project_id=context.project_id or '',
                    user_id=context.user_id or '',
                    reservation_id=reservation,
                    launch_index=index,
                    task_state='scheduling',
                    availability_zone=request.availability_zone,
                    requested_zone=request.availability_zone,
                    flavor=flavor,
                    image=request.image,
                    kernel_id=request.image.properties.get('kernel_id'),
                    ramdisk_id=request.image.properties.get('ramdisk_id'),
                    key_name=keypair.name if keypair else None,
                    key_public=keypair.public_key if keypair else None,
                    key_type=keypair.type if keypair else None,
                    user_data=request.user_data,
                    config_drive=request.config_drive or forced_drive,
                    metadata=request.metadata,
                    system_metadata={
                        **ports.remember(request.networks),
                        BOOT_ROLES: ','.join(context.roles),
                    },
                    tags=sorted(set(request.tags)),
                    security_groups=request.security_groups,
                    block_devices=devices.of_server(request.block_devices, flavor, request.image),
                    trusted_image_certificates=request.trusted_image_certificates,
                    scheduler_hints=request.scheduler_hints,
                    access_ip_v4=request.access_ip_v4,
                    access_ip_v6=request.access_ip_v6,
                    auto_disk_config=request.auto_disk_config,
                    created_at=now,
                    updated_at=now,
                    operation=str(uuid.uuid4()),
                    attempt=1,
                )
            )
        return found

    def _work(self, context: Ctx, request: ServerCreate, server: Server, spec: RequestSpec) -> Work:
        now = types.utcnow()
        assert server.operation is not None
        payload = Payload(
            context=faults.keep(context),
            spec=spec,
            networks=request.networks,
            personality=request.personality,
            admin_password=request.admin_password,
        )
        operation = Operation(
            id=server.operation,
            action='create',
            instance_uuid=server.uuid,
            request_id=context.request_id,
            user_id=context.user_id,
            project_id=context.project_id,
            step=operations.SCHEDULING,
            payload=encode(payload),
            owner=self._engine.worker,
            lease_until=self._parts.lease(),
            started_at=now,
            updated_at=now,
        )
        return Work(context, operation, server, payload)

    @retry
    def _record(self, works: Sequence[Work]) -> None:
        with self._parts.cell_db.transaction() as session:
            servers.add(session, [work.server for work in works])
            operations.add(session, [work.operation for work in works])


def _spec(
    context: Ctx, request: ServerCreate, flavor: Flavor, group: Membership | None
) -> RequestSpec:
    return RequestSpec(
        flavor=flavor,
        image=request.image,
        project_id=context.project_id or '',
        user_id=context.user_id or '',
        availability_zone=request.availability_zone,
        forced_host=request.forced_host,
        forced_node=request.forced_node,
        requested_host=request.requested_host,
        requested_hypervisor_hostname=request.requested_hypervisor_hostname,
        scheduler_hints=request.scheduler_hints,
        is_bfv=boots_from_volume(request.block_devices),
        has_volumes=bool(volumes(request.block_devices)),
        swap_mb=flavor.swap,
        ephemeral_gb=flavor.ephemeral_gb,
        networks=request.networks.requests,
        group=group,
    )


def _book(
    session: Session,
    uuids: Sequence[str],
    cell_id: int | None,
    spec: RequestSpec,
) -> None:
    now, taken = types.utcnow(), unified_limits.encode(resources.total(spec))
    session.execute(
        sa.insert(table_of(InstanceMapping)),
        [
            {
                'instance_uuid': one,
                'cell_id': cell_id,
                'project_id': spec.project_id,
                'user_id': spec.user_id,
                'vcpus': spec.flavor.vcpus,
                'memory_mb': spec.flavor.memory_mb,
                'resources': taken,
                'queued_for_delete': False,
                'created_at': now,
            }
            for one in uuids
        ],
    )
    session.execute(
        sa.insert(table_of(RequestSpecRow)),
        [{'instance_uuid': one, 'spec': spec, 'created_at': now} for one in uuids],
    )
