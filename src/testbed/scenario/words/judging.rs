//! Words about what is expected: guarantees, facts and causes.

use super::words;
use crate::testbed::plan::{Cause, ExpectedVerdict, FactKind, Guarantee};

words! {
    VERDICTS: ExpectedVerdict {
        Holds "holds" "The guarantee holds, and there was something to judge."
        Violated "violated" "The guarantee is broken, for the stated cause."
    }
}

words! {
    GUARANTEES: Guarantee {
        ProcessedAtMostOnce "processed-at-most-once"
            "The group's handlers finish no record twice."
        ProcessedAtLeastOnce "processed-at-least-once"
            "After the drain the group's handlers have finished every acknowledged record."
        ProcessedExactlyOnce "processed-exactly-once"
            "Every acknowledged record is processed, none twice."
        EffectAtMostOnce "effect-at-most-once"
            "No record has two effects in the group's sink."
        EffectAtLeastOnce "effect-at-least-once"
            "After the drain every acknowledged record has an effect in the group's sink."
        EffectExactlyOnce "effect-exactly-once"
            "Every acknowledged record has one effect in the group's sink, and no more."
        PartitionOrder "partition-order"
            "In each partition one producer's records appear in the order they were sent."
        KeyOrder "key-order"
            "Records of one key appear in one partition, in the order they were sent."
        TopicOrder "topic-order"
            "A group gets a topic's records in the order they were sent, whatever their partition. Kafka does not promise it."
        NoDuplicateAppend "no-duplicate-append"
            "One send is one record in the log."
        AckedRecordsSurvive "acked-records-survive"
            "Every acknowledged record is in the log at the end, at its offset."
        NoCommitPassesUnprocessed "no-commit-passes-unprocessed"
            "No commit of the group covers a record that its handlers had not finished."
        OffsetsAgree "offsets-agree"
            "One offset never shows two different records to anybody."
        MonotonePolls "monotone-polls"
            "Between assignments and seeks the offsets a consumer sees rise."
        OneOwner "one-owner"
            "In each generation of the group a partition has one owner."
        NoSkip "no-skip"
            "The group's positions pass over no record."
        LagDrains "lag-drains"
            "After everything is healed the group catches up with its topics."
        GroupSettles "group-settles"
            "After everything is healed the group becomes stable."
    }
}

words! {
    FACTS: FactKind {
        Partitions "partitions" "Partitions of a topic: of = \"orders\"."
        LogStart "log-start" "The first offset of a partition's log: of = \"orders-0\"."
        LogEnd "log-end" "The offset the next record of a partition will get: of = \"orders-0\"."
        Committed "committed" "A group's committed offset of a partition: of = \"billing orders-0\"."
        Lag "lag" "Records between a group's committed offset and the end: of = \"billing orders-0\"."
        Generation "generation" "The generation of a group: of = \"billing\"."
        Rebalances "rebalances" "Completed rebalances of a group: of = \"billing\"."
        Error "error" "Errors with that `name` at an actor or machine: of = \"billing/1\"."
        Records "records" "Records in the log of a topic or partition: of = \"orders\"."
        Acked "acked" "Records acknowledged to a producer: of = \"shop\"."
        Delivered "delivered" "Records poll() returned to a group, member or reader: of = \"billing\"."
        Processed "processed" "Records that the handlers of a group, member or reader finished."
        IdleMembers "idle-members" "Members of a group that own no partition in its last generation."
        Batches "batches" "Batches appended to a topic or partition: of = \"orders-0\"."
        Deduplicated "deduplicated" "Repeated batches that the leader recognised, of a topic or partition."
        Retries "retries" "Times a producer sent a batch again: of = \"shop\"."
    }
}

words! {
    /// Found by the checkers from the history, never told by a file's author.
    CAUSES: Cause {
        CommittedBeforeProcessing "committed-before-processing"
            "A commit covered records that were not processed yet, and the member was lost."
        ReprocessedAfterRestart "reprocessed-after-restart"
            "Records were processed but not committed when their member died; its replacement did them again."
        ReprocessedAfterRebalance "reprocessed-after-rebalance"
            "Records were processed but not committed when their partition moved; the next owner did them again."
        ClosedAfterError "closed-after-error"
            "close() after an error committed what was delivered and not processed."
        HandedOff "handed-off"
            "Work given to another task was lost after its offsets had been committed."
        SkippedAfterError "skipped-after-error"
            "The handler failed on the record and the loop went on."
        UnflushedPowerLoss "unflushed-power-loss"
            "The record was acknowledged from the page cache, and power was lost before it was synced."
        LyingDisk "lying-disk"
            "The disk had claimed a sync that it did not do."
        NeverSent "never-sent"
            "The record was still in the producer's buffer when the program ended."
        RetryDuplicate "retry-duplicate"
            "A batch was appended, its answer was lost, and the retry was appended too."
        RetryReorder "retry-reorder"
            "A batch's retry was appended after a later batch."
        Resent "resent"
            "The application sent the record again after an unknown outcome."
        ResetToLatest "reset-to-latest"
            "Without a committed offset the consumer began at the end and passed over what was there."
        ResetToEarliest "reset-to-earliest"
            "Without a committed offset the consumer began at the start and repeated what had been done."
        KeyMoved "key-moved"
            "Records of one key went to several partitions."
        SeveralPartitions "several-partitions"
            "Partitions are read independently of each other."
        Unexplained "unexplained"
            "The history does not name a single cause."
    }
}
