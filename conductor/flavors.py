"""Flavors, their extra specs, and the projects that may use a private one."""

import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.flavor import Flavor
from kilonova.db import errors, flavors
from kilonova.db.engine import Database, affected, retry
from kilonova.db.models.api import FlavorProject, FlavorRow, FlavorSpec


class Flavors:
    """Endpoint.  ``api_db`` is the API database."""

    def __init__(self, api_db: Database) -> None:
        self._db = api_db

    @retry
    def create_flavor(self, context: Ctx, flavor: Flavor) -> Flavor:
        flavorid = flavor.flavorid or str(uuid.uuid4())
        row = FlavorRow(
            flavorid=flavorid,
            name=flavor.name,
            memory_mb=flavor.memory_mb,
            vcpus=flavor.vcpus,
            root_gb=flavor.root_gb,
            ephemeral_gb=flavor.ephemeral_gb,
            swap=flavor.swap,
            rxtx_factor=flavor.rxtx_factor,
            disabled=flavor.disabled,
            is_public=flavor.is_public,
            description=flavor.description,
            specs=[FlavorSpec(key=k, value=v) for k, v in flavor.extra_specs.items()],
            access=[FlavorProject(project_id=p) for p in sorted(set(flavor.projects))],
        )
        try:
            with self._db.transaction() as session:
                self._check_free(session, flavorid, flavor.name)
                session.add(row)
                session.flush()
                return flavors.to_flavor(row)
        except sa.exc.IntegrityError as error:
            if not errors.is_duplicate(error):
                raise
            # Somebody created the like in between; say which of the two names it took.
            with self._db.reader() as session:
                self._check_free(session, flavorid, flavor.name)
            raise

    @staticmethod
    def _check_free(session: Session, flavorid: str, name: str) -> None:
        query = sa.select(FlavorRow.flavorid).where(
            sa.or_(FlavorRow.flavorid == flavorid, FlavorRow.name == name)
        )
        taken = session.scalars(query).all()
        if flavorid in taken:
            raise exception.FlavorIdExists(flavor_id=flavorid)
        if taken:
            raise exception.FlavorExists(name=name)

    @retry
    def get_flavor(self, context: Ctx, flavorid: str, any_project: bool = True) -> Flavor:
        with self._db.reader() as session:
            return flavors.get(
                session, flavorid, None if any_project else (context.project_id or '')
            )

    @retry
    def list_flavors(
        self,
        context: Ctx,
        is_public: bool | None,
        project_id: str | None = None,
        min_disk: int | None = None,
        min_ram: int | None = None,
        sort_key: str = 'flavorid',
        sort_dir: str = 'asc',
        limit: int | None = None,
        marker: str | None = None,
        name: str | None = None,
    ) -> list[Flavor]:
        conditions: list[sa.ColumnElement[bool]] = []
        if project_id is not None:
            conditions.append(flavors.visible_to(project_id))
        # "Public ones" of a project include the private ones that are open to it.
        if is_public is not None and not (is_public and project_id is not None):
            conditions.append(FlavorRow.is_public.is_(is_public))
        if min_disk is not None:
            conditions.append(FlavorRow.root_gb >= min_disk)
        if min_ram is not None:
            conditions.append(FlavorRow.memory_mb >= min_ram)
        if name is not None:
            conditions.append(FlavorRow.name == name)
        with self._db.reader() as session:
            return flavors.find(session, conditions, sort_key, sort_dir, limit, marker)

    @retry
    def update_flavor(self, context: Ctx, flavorid: str, description: str | None) -> Flavor:
        with self._db.transaction() as session:
            row = flavors.lock(session, flavorid)
            row.description = description
            session.flush()
            return flavors.to_flavor(row)

    @retry
    def delete_flavor(self, context: Ctx, flavorid: str) -> None:
        with self._db.transaction() as session:
            if not affected(session, sa.delete(FlavorRow).where(FlavorRow.flavorid == flavorid)):
                raise exception.FlavorNotFound(flavor_id=flavorid)

    @retry
    def set_flavor_extra_specs(self, context: Ctx, flavorid: str, specs: dict[str, str]) -> None:
        with self._db.transaction() as session:
            row = flavors.lock(session, flavorid)
            known = {spec.key: spec for spec in row.specs}
            for key, value in specs.items():
                if key in known:
                    known[key].value = value
                else:
                    row.specs.append(FlavorSpec(key=key, value=value))

    @retry
    def delete_flavor_extra_spec(self, context: Ctx, flavorid: str, key: str) -> None:
        with self._db.transaction() as session:
            row = flavors.lock(session, flavorid)
            found = [spec for spec in row.specs if spec.key == key]
            if not found:
                raise exception.FlavorExtraSpecsNotFound(flavor_id=flavorid, extra_specs_key=key)
            row.specs.remove(found[0])

    @retry
    def add_flavor_access(self, context: Ctx, flavorid: str, project_id: str) -> list[str]:
        with self._db.transaction() as session:
            row = flavors.lock(session, flavorid)
            if row.is_public:
                raise exception.Conflict('Can not add access to a public flavor.')
            if project_id in {access.project_id for access in row.access}:
                raise exception.FlavorAccessExists(flavor_id=flavorid, project_id=project_id)
            row.access.append(FlavorProject(project_id=project_id))
            return sorted(access.project_id for access in row.access)

    @retry
    def remove_flavor_access(self, context: Ctx, flavorid: str, project_id: str) -> list[str]:
        with self._db.transaction() as session:
            row = flavors.lock(session, flavorid)
            found = [access for access in row.access if access.project_id == project_id]
            if not found:
                raise exception.FlavorAccessNotFound(flavor_id=flavorid, project_id=project_id)
            row.access.remove(found[0])
            return sorted(access.project_id for access in row.access)
