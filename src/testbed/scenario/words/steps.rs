//! Words about what happens and what is done.

use super::words;
use crate::testbed::plan::{ElectionType, EventName};

/// The verb of a step, without its objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::testbed::scenario) enum Verb {
    Crash,
    PowerLoss,
    Restart,
    Pause,
    Resume,
    Stall,
    Throw,
    Start,
    Stop,
    Sever,
    Hold,
    Delay,
    Reset,
    Heal,
    SlowDisk,
    FullDisk,
    LyingDisk,
    WipeDisk,
    HealDisk,
    Skew,
    CreateTopic,
    DeleteTopic,
    AddPartitions,
    AlterConfig,
    Reassign,
    CancelReassignment,
    Elect,
    AddBroker,
    Note,
}

words! {
    EVENTS: EventName {
        Sent "sent"
            "A producer's send() was called."
        Appended "appended"
            "A leader appended a batch to a topic's partition."
        Acked "acked"
            "A producer learnt that its record is appended."
        Failed "failed"
            "A producer learnt that its send failed, or that it will never know."
        Done "done"
            "A producer has sent everything, knows every outcome and is closed."
        Polled "polled"
            "A consumer's poll() returned records."
        Processing "processing"
            "A handler has a record in hand."
        Processed "processed"
            "A handler finished a record."
        Committed "committed"
            "A consumer's commit was accepted."
        CommitFailed "commit-failed"
            "A consumer's commit failed."
        Joined "joined"
            "A member got its assignment in a new generation of its group."
        Positioned "positioned"
            "A consumer knows where it begins to read a partition."
        Left "left"
            "A member left its group by itself: closed, or max.poll.interval.ms passed."
        Rebalanced "rebalanced"
            "A group completed a rebalance: a new generation has its assignment."
        Started "started"
            "A machine's program is up."
        Truncated "truncated"
            "A log was cut: recovery found a torn tail, or a follower had what its leader has not."
        Elected "elected"
            "The controller made another replica the leader of a partition; `of` may be that replica's broker."
        Leads "leads"
            "A broker learnt that it leads a partition."
        Replicated "replicated"
            "A follower took a batch from its leader."
        Diverged "diverged"
            "A follower was told that its log parts from its leader's, and has not cut it yet."
        IsrChangeAsked "isr-change-asked"
            "A leader asked the controller for another ISR, and the answer is not there yet."
        IsrShrunk "isr-shrunk"
            "The controller took replicas out of a partition's ISR; `of` may be a broker that left it."
        IsrGrown "isr-grown"
            "The controller took replicas into a partition's ISR; `of` may be a broker that joined it."
        ControllerElected "controller-elected"
            "A controller became the active one."
        Fenced "fenced"
            "The controller took a broker out of service: its session ended, or it shut down."
        Unfenced "unfenced"
            "The controller took a broker into service."
        Error "error"
            "An application's or client's call failed, or a handler did."
    }
}

words! {
    ELECTIONS: ElectionType {
        Preferred "preferred"
            "The first of the partition's replicas becomes its leader, if it is in sync."
        Unclean "unclean"
            "Any live replica becomes the leader where none in sync is alive: what it lacks is lost."
    }
}

words! {
    VERBS: Verb {
        Crash "crash"
            "Kills the process. The machine's page cache survives, so what was written is still there after a restart."
        PowerLoss "power-loss"
            "Takes the machine's power: pages that were not synced survive one by one or not, and may be torn."
        Restart "restart"
            "Starts the machine's program again."
        Pause "pause"
            "The whole process stands still, its own timers included, `for` a while or until `resume`."
        Resume "resume"
            "Ends a pause."
        Stall "stall"
            "A member's handler hangs `for` a while; the client's own tasks, such as heartbeats, go on."
        Throw "throw"
            "A member's handler fails on the record in hand; `app.on-error` says what its loop does then."
        Start "start"
            "Starts an actor, or one member of a group."
        Stop "stop"
            "Closes an actor in an orderly way, or shuts a broker or controller down: its leaderships go elsewhere first."
        Sever "sever"
            "Nothing passes the links, and nobody is told, `for` a while or until `heal`."
        Hold "hold"
            "Packets wait on the links and arrive when the hold ends."
        Delay "delay"
            "Packets take longer, `by` so much."
        Reset "reset"
            "Open connections over the links break; both ends are told."
        Heal "heal"
            "Ends what sever, hold and delay did to the links."
        SlowDisk "slow-disk"
            "Syncs take longer, `by` so much."
        FullDisk "full-disk"
            "The disk has no space left."
        LyingDisk "lying-disk"
            "Syncs claim success and persist nothing."
        WipeDisk "wipe-disk"
            "The disk is emptied. The machine must be down."
        HealDisk "heal-disk"
            "Ends what slow-disk, full-disk and lying-disk did."
        Skew "skew"
            "Moves the machine's wall clock `by` so much; `-2s` goes back."
        CreateTopic "create-topic"
            "An operator creates a topic."
        DeleteTopic "delete-topic"
            "An operator deletes a topic."
        AddPartitions "add-partitions"
            "An operator makes a topic have so many `partitions` in all."
        AlterConfig "alter-config"
            "An operator sets topic settings while the cluster runs."
        Reassign "reassign"
            "An operator moves a partition to other `replicas`, the preferred leader first."
        CancelReassignment "cancel-reassignment"
            "An operator takes back the move of a partition that is under way."
        Elect "elect"
            "An operator asks for an `election`, preferred or unclean, of the leader of one partition or of all."
        AddBroker "add-broker"
            "A broker with an empty disk joins the cluster: b4 where there were three."
        Note "note"
            "Says something and does nothing."
    }
}
