"""Which function of this room does which kind of work."""

from kilonova.common.objects import work
from kilonova.compute import live_migration, moving, power, rescue, suspending
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
    work.PrepareMove: moving.prepare,
    work.LeaveHost: moving.leave,
    work.FinishMove: moving.finish,
    work.AbandonMove: moving.abandon,
    work.RevertMove: moving.revert,
    work.ConfirmMove: moving.confirm,
    work.CheckLive: live_migration.check,
    work.CheckLiveSource: live_migration.check_source,
    work.ReceiveLive: live_migration.receive,
    work.MigrateLive: live_migration.migrate,
    work.ArriveLive: live_migration.arrive,
    work.RollbackLive: live_migration.rollback,
    work.CleanLive: live_migration.clean,
}
