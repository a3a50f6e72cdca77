"""Key pairs: the public part is all that is ever stored."""

import sqlalchemy as sa
from oslo_config import cfg

from kilonova.common import exception
from kilonova.common.context import RequestContext as Ctx
from kilonova.common.objects.server import Keypair
from kilonova.db import errors, keypairs, locks, quotas
from kilonova.db.engine import Database, affected, retry
from kilonova.db.models.api import KeypairRow

TOO_MANY = 'Quota exceeded, too many key pairs.'


class Keypairs:
    """Endpoint.  ``api_db`` is the API database."""

    def __init__(self, conf: cfg.ConfigOpts, api_db: Database) -> None:
        self._conf, self._db = conf, api_db

    @retry
    def create_keypair(self, context: Ctx, keypair: Keypair, generated: bool = False) -> Keypair:
        row = KeypairRow(
            name=keypair.name,
            user_id=keypair.user_id,
            type=keypair.type,
            fingerprint=keypair.fingerprint,
            public_key=keypair.public_key,
        )
        try:
            with self._db.transaction() as session:
                _, limits = quotas.limits(
                    session, self._conf, context.project_id or '', keypair.user_id
                )
                if limits['key_pairs'] >= 0:
                    locks.take(session, f'user {keypair.user_id}'[:255])
                    used = keypairs.count(session, keypair.user_id)
                    quotas.check_one(self._conf, limits, 'key_pairs', 1, TOO_MANY, used)
                session.add(row)
                session.flush()
                return keypairs.to_keypair(row)
        except sa.exc.IntegrityError as error:
            if not errors.is_duplicate(error):
                raise
            raise exception.KeyPairExists(key_name=keypair.name) from error

    @retry
    def get_keypair(self, context: Ctx, user_id: str, name: str) -> Keypair:
        with self._db.reader() as session:
            return keypairs.get(session, user_id, name)

    @retry
    def list_keypairs(
        self, context: Ctx, user_id: str, limit: int | None = None, marker: str | None = None
    ) -> list[Keypair]:
        with self._db.reader() as session:
            return keypairs.find(session, user_id, limit, marker)

    @retry
    def delete_keypair(self, context: Ctx, user_id: str, name: str) -> None:
        gone = sa.delete(KeypairRow).where(KeypairRow.user_id == user_id, KeypairRow.name == name)
        with self._db.transaction() as session:
            if not affected(session, gone):
                raise exception.KeypairNotFound(user_id=user_id, name=name)
