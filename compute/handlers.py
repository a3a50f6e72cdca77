"""Which function of this room does which kind of work."""

from kilonova.common.objects import work
from kilonova.compute import (
    moving,
    power,
    rebuild,
    rescue,
    shares,
    shelve,
    snapshot,
    suspending,
)
from kilonova.compute.work import Handler

HANDLERS: dict[type, Handler] = {
    work.Start: power.start,
    work.Stop: power.stop,
    work.Reboot: power.reboot,
    work.Pause: suspending.pause,
    work.Unpause: suspending.unpause,
    work.Suspend: suspending.suspend,
    work.Resume: suspending.resume,
    work.Rescue: rescue.rescue,
    work.Unrescue: rescue.unrescue,
    work.SetPassword: rescue.set_password,
    work.CrashDump: rescue.crash_dump,
    work.SoftDelete: power.soft_delete,
    work.Restore: power.restore,
    work.Snapshot: snapshot.snapshot,
    work.Shelve: shelve.shelve,
    work.Offload: shelve.offload,
    work.Unshelve: shelve.unshelve,
    work.Rebuild: rebuild.rebuild,
    work.AllowShare: shares.attach,
    work.DenyShare: shares.detach,
    work.PrepareMove: moving.prepare,
    work.LeaveHost: moving.leave,
    work.FinishMove: moving.finish,
    work.AbandonMove: moving.abandon,
    work.RevertMove: moving.revert,
    work.ConfirmMove: moving.confirm,
}
