"""Which database errors pass when the transaction is run again."""

from sqlalchemy import exc

# MySQL: 1205 lock wait timeout, 1213 deadlock, 1020 row changed since the snapshot,
# 1047 and 1158..1161 a Galera node or the network that comes and goes.
MYSQL_CONFLICTS = {1020, 1205, 1213}
MYSQL_LOST = {1040, 1047, 1053, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055}
# PostgreSQL: 40001 serialization failure, 40P01 deadlock, 55P03 lock not available.
POSTGRESQL_CONFLICTS = {'40001', '40P01', '55P03'}
POSTGRESQL_LOST = {'57P01', '57P02', '57P03', '53300', '08000', '08001', '08003', '08006'}
POSTGRESQL_LOST_TEXT = (
    'server closed the connection',
    'connection already closed',
    'could not connect to server',
    'connection refused',
    'terminating connection',
    'connection timed out',
    'ssl connection has been closed',
    'the database system is',
)

SQLITE_LOST = 'SQLITE_CANTOPEN'


def _code(error: exc.DBAPIError) -> object:
    original = error.orig
    code = getattr(original, 'pgcode', None) or getattr(original, 'sqlite_errorname', None)
    if code is None and original is not None and original.args:
        code = original.args[0]
    return code


def is_conflict(error: BaseException) -> bool:
    """Tell whether the transaction lost against another one and was undone."""
    if not isinstance(error, exc.DBAPIError):
        return False
    code = _code(error)
    if isinstance(code, int):
        return code in MYSQL_CONFLICTS
    if isinstance(code, str):
        return code in POSTGRESQL_CONFLICTS or code.startswith(('SQLITE_BUSY', 'SQLITE_LOCKED'))
    return False


def is_lost_connection(error: BaseException) -> bool:
    """Tell whether the database went away; a later try may find it again."""
    if not isinstance(error, exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    code = _code(error)
    if code in MYSQL_LOST or code in POSTGRESQL_LOST or code == SQLITE_LOST:
        return True
    text = str(error.orig).lower()
    return any(part in text for part in POSTGRESQL_LOST_TEXT)


def is_duplicate(error: BaseException) -> bool:
    """Tell a violated unique constraint from other integrity errors."""
    if not isinstance(error, exc.IntegrityError):
        return False
    code = _code(error)
    return code in (1062, '23505', 'SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_PRIMARYKEY')
