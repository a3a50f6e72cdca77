"""Usage of volumes: sums over starts and over servers."""

from kilonova.common.objects.volume_usage import VolumeCounters, VolumeUsage
from kilonova.db import volume_usage
from kilonova.db.engine import Database

ONE, OTHER = 'b' * 36, 'c' * 36
VOLUME = 'v' * 36


def _add(database: Database, uuid: str, reads: int, ended: bool = False) -> VolumeCounters:
    counters = VolumeCounters(reads=reads, read_bytes=reads * 512, writes=1, write_bytes=512)
    usage = VolumeUsage(
        volume_id=VOLUME, instance_uuid=uuid, project_id='p', user_id='u', counters=counters
    )
    with database.transaction() as session:
        return volume_usage.add(session, [usage], ended)[VOLUME]


def test_counters_that_go_back_begin_anew(cell_db: Database) -> None:
    assert _add(cell_db, ONE, 10).reads == 10
    assert _add(cell_db, ONE, 12).reads == 12
    again = _add(cell_db, ONE, 3)
    assert (again.reads, again.read_bytes, again.writes) == (15, 15 * 512, 2)


def test_a_volume_is_the_sum_of_its_servers(cell_db: Database) -> None:
    assert _add(cell_db, ONE, 10, ended=True).reads == 10
    assert _add(cell_db, OTHER, 1).reads == 11
    # Attached to the first one again, which counts from nought.
    assert _add(cell_db, ONE, 20).reads == 31
    assert _add(cell_db, ONE, 20, ended=True).reads == 31
