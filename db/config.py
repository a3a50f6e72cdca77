"""Options of the two databases: [api_database] and the cell's [database]."""

from oslo_config import cfg

from kilonova.common.config import Opts

GROUPS = ('database', 'api_database')


def _options() -> list[cfg.Opt]:
    return [
        cfg.StrOpt(
            'connection',
            secret=True,
            help='SQLAlchemy URL of the database: mysql+pymysql://, postgresql:// or sqlite:///.',
        ),
        cfg.StrOpt(
            'slave_connection',
            secret=True,
            help='URL of a replica for reads that may be a little behind.',
        ),
        cfg.BoolOpt(
            'synchronous_reader',
            default=True,
            help='Every read must see what was committed before it. When false, all plain reads '
            'go to slave_connection.',
        ),
        cfg.StrOpt(
            'connection_parameters',
            default='',
            help='Parameters appended to the URL: param1=value1&param2=value2.',
        ),
        cfg.BoolOpt(
            'sqlite_synchronous',
            default=True,
            help='SQLite waits for the disk at each commit.',
        ),
        cfg.StrOpt(
            'mysql_sql_mode',
            default='TRADITIONAL',
            help="SQL mode of every MySQL session; empty: the server's own.",
        ),
        cfg.IntOpt(
            'mysql_wsrep_sync_wait',
            help='Galera: causality checks of a session (wsrep_sync_wait); unset: the server decides.',
        ),
        cfg.IntOpt(
            'connection_recycle_time',
            default=3600,
            help='Seconds after which a pooled connection is replaced.',
        ),
        cfg.IntOpt('max_pool_size', default=5, help='Connections kept open; 0: no limit.'),
        cfg.IntOpt('max_overflow', default=50, help='Connections beyond max_pool_size under load.'),
        cfg.IntOpt('pool_timeout', help='Seconds to wait for a connection from the pool.'),
        cfg.IntOpt(
            'max_retries',
            default=10,
            help='How often the first connection is tried at start; -1: for ever.',
        ),
        cfg.IntOpt('retry_interval', default=10, help='Seconds between two such tries.'),
        cfg.IntOpt(
            'connection_debug',
            default=0,
            min=0,
            max=100,
            help='Log SQL: 50 and above statements, 100 also the rows.',
        ),
        cfg.IntOpt(
            'db_max_retries',
            default=20,
            help='How often a transaction is run again after a lost connection; -1: for ever.',
        ),
        cfg.IntOpt(
            'db_retry_interval', default=1, help='Seconds before such a transaction runs again.'
        ),
        cfg.BoolOpt(
            'db_inc_retry_interval',
            default=True,
            help='Double that time at each retry, up to db_max_retry_interval.',
        ),
        cfg.IntOpt('db_max_retry_interval', default=10, help='Longest time between two retries.'),
    ]


def list_opts() -> Opts:
    """Return [(group, options)]."""
    return [(group, _options()) for group in GROUPS]
