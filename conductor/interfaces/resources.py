"""Flavors, key pairs, server groups, quotas, usage."""

import datetime

from kilonova.common import rpc
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.flavor import Flavor
from kilonova.common.objects.quota import QuotaSet
from kilonova.common.objects.server import (
    Keypair,
)
from kilonova.common.objects.server_group import ServerGroup
from kilonova.common.objects.usage import UsageAudit, UsagePage


class ResourcesInterface(rpc.Interface):
    """Flavors, key pairs, server groups, quotas, usage."""

    @rpc.call()
    def create_flavor(self, context: Ctx, flavor: Flavor) -> Flavor:
        """Create; an empty ``flavorid`` gets a UUID.  Raises FlavorExists, FlavorIdExists."""

    @rpc.call()
    def get_flavor(self, context: Ctx, flavorid: str, any_project: bool = True) -> Flavor:
        """Return one, with its projects.  ``any_project`` false: public ones or those of the caller.

        Raises FlavorNotFound.
        """

    @rpc.call()
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
        """Return flavors; ``is_public`` None: all; ``project_id``: public ones and that project's."""

    @rpc.call()
    def update_flavor(self, context: Ctx, flavorid: str, description: str | None) -> Flavor:
        """Set the description."""

    @rpc.call()
    def delete_flavor(self, context: Ctx, flavorid: str) -> None:
        """Delete a flavor with its specs and access."""

    @rpc.call()
    def set_flavor_extra_specs(self, context: Ctx, flavorid: str, specs: dict[str, str]) -> None:
        """Add or change extra specs."""

    @rpc.call()
    def delete_flavor_extra_spec(self, context: Ctx, flavorid: str, key: str) -> None:
        """Remove one.  Raises FlavorExtraSpecsNotFound."""

    @rpc.call()
    def add_flavor_access(self, context: Ctx, flavorid: str, project_id: str) -> list[str]:
        """Return the projects afterwards.  Raises FlavorAccessExists, Conflict for a public flavor."""

    @rpc.call()
    def remove_flavor_access(self, context: Ctx, flavorid: str, project_id: str) -> list[str]:
        """Return the projects afterwards.  Raises FlavorAccessNotFound."""

    @rpc.call()
    def create_keypair(self, context: Ctx, keypair: Keypair, generated: bool = False) -> Keypair:
        """Store a key pair (public part).  Raises KeyPairExists, LimitExceeded.

        ``generated``: the API has made it; it was not imported.
        """

    @rpc.call()
    def get_keypair(self, context: Ctx, user_id: str, name: str) -> Keypair:
        """Raises KeypairNotFound."""

    @rpc.call()
    def list_keypairs(
        self, context: Ctx, user_id: str, limit: int | None = None, marker: str | None = None
    ) -> list[Keypair]:
        """Return a user's key pairs by name.  Raises MarkerNotFound."""

    @rpc.call()
    def delete_keypair(self, context: Ctx, user_id: str, name: str) -> None:
        """Raises KeypairNotFound."""

    @rpc.call()
    def create_server_group(self, context: Ctx, group: ServerGroup) -> ServerGroup:
        """Create a group for its project and user.  Raises LimitExceeded."""

    @rpc.call()
    def get_server_group(
        self, context: Ctx, uuid: str, project_id: str | None = None
    ) -> ServerGroup:
        """Return one with its members.  Raises InstanceGroupNotFound."""

    @rpc.call()
    def list_server_groups(
        self,
        context: Ctx,
        project_id: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[ServerGroup]:
        """Return groups with their members, oldest first."""

    @rpc.call()
    def delete_server_group(self, context: Ctx, uuid: str, project_id: str | None = None) -> None:
        """Delete a group, not its servers.  Raises InstanceGroupNotFound."""

    @rpc.call()
    def get_quotas(
        self,
        context: Ctx,
        project_id: str,
        user_id: str | None = None,
        usage: bool = False,
        defaults: bool = False,
    ) -> QuotaSet:
        """Return limits (and usage); ``defaults``: the class's alone."""

    @rpc.call()
    def update_quotas(
        self,
        context: Ctx,
        project_id: str,
        user_id: str | None,
        limits: dict[str, int],
        force: bool = False,
    ) -> QuotaSet:
        """Set limits.  Raises Invalid when one is below what is in use and not ``force``."""

    @rpc.call()
    def delete_quotas(self, context: Ctx, project_id: str, user_id: str | None = None) -> None:
        """Back to the defaults."""

    @rpc.call()
    def get_quota_class(self, context: Ctx, class_name: str) -> QuotaSet:
        """Return the limits of a class ('default')."""

    @rpc.call()
    def update_quota_class(self, context: Ctx, class_name: str, limits: dict[str, int]) -> QuotaSet:
        """Set limits of a class."""

    @rpc.call()
    def get_usage(
        self,
        context: Ctx,
        start: datetime.datetime,
        end: datetime.datetime,
        project_id: str | None = None,
        detailed: bool = False,
        limit: int | None = None,
        marker: str | None = None,
    ) -> UsagePage:
        """Return what servers, deleted ones too, have used between two times, by project.

        ``limit`` counts servers, ``marker`` is one's uuid.  Raises MarkerNotFound.
        """

    @rpc.call()
    def get_usage_audit(self, context: Ctx, before: datetime.datetime | None) -> UsageAudit:
        """Return the logs of the newest audit period that was over at a time (None: now)."""
