"""Flavors with their extra specs and projects."""

import sqlalchemy as sa
from sqlalchemy.orm import Session, selectinload

from kilonova.common import exception
from kilonova.common.objects.flavor import Flavor
from kilonova.db import paging
from kilonova.db.models.api import FlavorProject, FlavorRow

SORT_KEYS = {
    name: getattr(FlavorRow, name)
    for name in (
        'created_at description disabled ephemeral_gb flavorid id is_public memory_mb name '
        'root_gb rxtx_factor swap updated_at vcpu_weight vcpus'
    ).split()
}
COMPLETE = (selectinload(FlavorRow.specs), selectinload(FlavorRow.access))


def to_flavor(row: FlavorRow) -> Flavor:
    """Return the value for a row that was loaded completely."""
    return Flavor(
        id=row.id,
        flavorid=row.flavorid,
        name=row.name,
        memory_mb=row.memory_mb,
        vcpus=row.vcpus,
        root_gb=row.root_gb,
        ephemeral_gb=row.ephemeral_gb,
        swap=row.swap,
        rxtx_factor=row.rxtx_factor,
        disabled=row.disabled,
        is_public=row.is_public,
        description=row.description,
        extra_specs={spec.key: spec.value or '' for spec in row.specs},
        projects=sorted(access.project_id for access in row.access),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def visible_to(project_id: str | None) -> sa.ColumnElement[bool]:
    """Return the condition: public, or open to the project."""
    mine = sa.select(FlavorProject.flavor_id).where(FlavorProject.project_id == project_id)
    return sa.or_(FlavorRow.is_public.is_(True), FlavorRow.id.in_(mine))


def get(session: Session, flavorid: str, visible: str | None = None) -> Flavor:
    """Return one flavor; ``visible``: only if this project may see it.  Raises FlavorNotFound."""
    query = sa.select(FlavorRow).options(*COMPLETE).where(FlavorRow.flavorid == flavorid)
    if visible is not None:
        query = query.where(visible_to(visible))
    row = session.scalars(query).one_or_none()
    if row is None:
        raise exception.FlavorNotFound(flavor_id=flavorid)
    return to_flavor(row)


def lock(session: Session, flavorid: str) -> FlavorRow:
    """Return a flavor's row, complete and locked.  Raises FlavorNotFound."""
    query = (
        sa.select(FlavorRow)
        .options(*COMPLETE)
        .where(FlavorRow.flavorid == flavorid)
        .with_for_update()
    )
    row = session.scalars(query).one_or_none()
    if row is None:
        raise exception.FlavorNotFound(flavor_id=flavorid)
    return row


def find(
    session: Session,
    conditions: list[sa.ColumnElement[bool]],
    sort_key: str,
    sort_dir: str,
    limit: int | None,
    marker: str | None,
) -> list[Flavor]:
    """Return a sorted page.  Raises InvalidInput, MarkerNotFound."""
    if sort_key not in SORT_KEYS:
        raise exception.InvalidInput(reason=f'Sort key {sort_key} is not valid')
    direction = paging.check_direction(sort_dir)
    keys = [(SORT_KEYS[sort_key], direction), (FlavorRow.id, direction)]
    values = None
    if marker is not None:
        columns = [column for column, _ in keys]
        values = session.execute(
            sa.select(*columns).where(FlavorRow.flavorid == marker)
        ).one_or_none()
        if values is None:
            raise exception.MarkerNotFound(marker=marker)
    query = sa.select(FlavorRow).options(*COMPLETE).where(*conditions)
    return [to_flavor(row) for row in session.scalars(paging.page(query, keys, values, limit))]
