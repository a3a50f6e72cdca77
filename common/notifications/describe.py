"""Payloads of values that several daemons speak about: flavors, images, requests, errors."""

from kilonova.common.notifications import images, requests
from kilonova.common.notifications.hosts import ExceptionPayload
from kilonova.common.notifications.resources import FlavorPayload, ServerGroupPayload
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.image import Image
from kilonova.common.objects.request_spec import RequestSpec
from kilonova.common.objects.server_group import Membership


def flavor(known: Flavor) -> FlavorPayload:
    return FlavorPayload(
        flavorid=known.flavorid,
        memory_mb=known.memory_mb,
        vcpus=known.vcpus,
        root_gb=known.root_gb,
        ephemeral_gb=known.ephemeral_gb,
        name=known.name,
        swap=known.swap,
        rxtx_factor=known.rxtx_factor,
        vcpu_weight=0,
        disabled=known.disabled,
        is_public=known.is_public,
        extra_specs=known.extra_specs,
        projects=known.projects or None,
        description=known.description,
    )


def image(known: Image) -> images.ImageMetaPayload:
    """Return an image with those of its properties that have a published name."""
    published = images.ImageMetaPropsPayload.__struct_fields__
    properties = {name: known.properties[name] for name in published if name in known.properties}
    return images.ImageMetaPayload(
        id=known.id or None,
        name=known.name,
        status=known.status,
        visibility=known.visibility,
        protected=known.protected,
        checksum=known.checksum,
        owner=known.owner,
        size=known.size,
        virtual_size=known.virtual_size,
        container_format=known.container_format,
        disk_format=known.disk_format,
        created_at=known.created_at,
        updated_at=known.updated_at,
        tags=known.tags,
        direct_url=None,
        min_ram=known.min_ram,
        min_disk=known.min_disk,
        properties=images.ImageMetaPropsPayload(**properties),
    )


def request_spec(
    spec: RequestSpec, uuid: str, number: int = 1, failed: dict[str, str] | None = None
) -> requests.RequestSpecPayload:
    """Return what is asked of the scheduler for a server, or for ``number`` alike ones."""
    wanted, shown = spec.requested_host, image(spec.image) if spec.image.id else None
    return requests.RequestSpecPayload(
        instance_uuid=uuid,
        project_id=spec.project_id,
        user_id=spec.user_id,
        availability_zone=spec.availability_zone,
        flavor=flavor(spec.flavor),
        ignore_hosts=spec.ignore_hosts or None,
        instance_group=_group(spec.group) if spec.group else None,
        image=shown,
        image_meta=shown,
        numa_topology=None,
        pci_requests=None,
        num_instances=number,
        security_groups=[],
        force_hosts=spec.forced_host,
        force_nodes=spec.forced_node,
        retry=requests.SchedulerRetriesPayload(num_attempts=len(failed) + 1, hosts=sorted(failed))
        if failed
        else None,
        requested_destination=requests.DestinationPayload(
            host=wanted, node=spec.requested_hypervisor_hostname, cell=None, aggregates=None
        )
        if wanted
        else None,
        scheduler_hints={
            name: [str(one) for one in (value if isinstance(value, list) else [value])]
            for name, value in spec.scheduler_hints.items()
        },
    )


def _group(known: Membership) -> ServerGroupPayload:
    return ServerGroupPayload(
        uuid=known.uuid,
        name=None,
        user_id=None,
        project_id=None,
        policies=[known.policy] if known.policy else [],
        members=known.members,
        hosts=sorted({host for there in known.hosts.values() for host in there if host}),
        policy=known.policy,
        rules={},
    )


def error(message: str, details: str = '', kind: str | None = None) -> ExceptionPayload:
    """Return what went wrong, by its words."""
    return ExceptionPayload(
        module_name=None,
        function_name=None,
        exception=kind,
        exception_message=message,
        traceback=details,
    )
