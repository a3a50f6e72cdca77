"""A statement that takes long must not stop the other greenthreads."""

import subprocess
import sys

PROGRAM = """
import sys
from kilonova.common import concurrency
concurrency.choose('eventlet')
import threading, time
import sqlalchemy as sa
from kilonova.db import engine
from kilonova.db.models.api import ApiBase, ProjectLock

database = engine.Database(sys.argv[1])
if sys.argv[2] == 'sqlite':
    ApiBase.metadata.create_all(database.engine)

def slow(name):
    # Holds the project's lock (SQLite: the only one) and lets others run meanwhile.
    with database.transaction() as session:
        session.add(ProjectLock(project_id=name, version=0))
        session.flush()
        if sys.argv[2] == 'sqlite':
            time.sleep(0.5)
        else:
            sleep = 'pg_sleep' if sys.argv[2] == 'postgresql' else 'sleep'
            session.execute(sa.text(f'SELECT {sleep}(0.5)'))

ticks = 0
def tick():
    global ticks
    while working:
        ticks += 1
        time.sleep(0.01)

working = True
ticking = threading.Thread(target=tick)
threads = [threading.Thread(target=slow, args=(name,)) for name in 'ab']
for thread in [*threads, ticking]:
    thread.start()
for thread in threads:
    thread.join()
working = False
ticking.join()
with database.reader() as session:
    assert session.scalar(sa.select(sa.func.count()).select_from(ProjectLock)) == 2
print(ticks)
"""


def test_others_run_while_the_database_works(database_urls, database_server):
    url = database_urls['api'] + ('.green' if database_server.kind == 'sqlite' else '')
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', PROGRAM, url, database_server.kind],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    # Half a second or more of work; statements that block would leave room for two or three.
    assert int(done.stdout.split()[-1]) >= 10
