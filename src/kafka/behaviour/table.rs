//! The list: each behaviour's key, its choices, the versions of Kafka that had them, and what comes of it.

use serde::de::{DeserializeOwned, IntoDeserializer, value::Error};

use super::list::{Choice, Switch};

/// The policy's value of that name.
fn value<T: DeserializeOwned>(name: &str) -> T {
    T::deserialize(IntoDeserializer::<Error>::into_deserializer(name))
        .expect("the list has the policies' own names")
}

/// A key, the field it sets, what it decides, and its choices, the present one first.
macro_rules! switches {
    ($($key:literal => $part:ident.$field:ident: $meaning:literal {
        $($name:literal ($versions:literal) $effect:literal)+
    })+) => {
        &[$(Switch {
            key: $key,
            meaning: $meaning,
            choices: &[$(Choice { name: $name, versions: $versions, effect: $effect }),+],
            is: |behaviour, name| behaviour.$part.$field == value(name),
            set: |behaviour, name| behaviour.$part.$field = value(name),
        }),+]
    };
}

pub(super) const SWITCHES: &[Switch] = switches! {
    "truncation" => replica.truncation:
        "What a follower cuts off its log before it follows a new leader epoch." {
        "on-fetch" ("since 2.7")
            "It fetches at once, naming its last epoch, and the leader answers where their logs part (KIP-595)."
        "leader-epoch-kip279" ("2.0 to 2.6")
            "It asks for the largest epoch the leader knows up to its own, until both know it (KIP-279)."
        "leader-epoch-kip101" ("0.11 to 1.1")
            "It asks where its last epoch ended and believes the offset alone (KIP-101): after leaders changed \
             quickly it may keep records that its leader has not, and the logs differ (KAFKA-6361)."
        "high-watermark" ("before 0.11")
            "It cuts off all above its own high watermark, which it learns one fetch late: acknowledged \
             records are lost, or replicas come to differ (KAFKA-1211)."
    }
    "fetch-epoch-check" => replica.fetch_epoch_check:
        "Whether a follower's requests name the leader epoch it knows, so that a leader of another one refuses." {
        "kip-320" ("since 2.1") "They do (KIP-320)."
        "off" ("before 2.1")
            "They do not: a follower that slept through two changes of leader keeps records that are no longer \
             its leader's (KAFKA-6880). Shows with a `truncation` of its time; `on-fetch` tells it as well."
    }
    "isr-join-gate" => replica.isr_join_gate:
        "How far a follower must have come before its leader asks for it to join the ISR." {
        "epoch-start" ("since 2.1")
            "To the high watermark and to where the leader's epoch begins (KAFKA-7128)."
        "high-watermark" ("before 2.1")
            "To the high watermark alone, which a new leader inherits too low: a member of the ISR may lack \
             acknowledged records and be elected."
    }
    "high-watermark-over" => replica.high_watermark_over:
        "Over whom the high watermark is taken while a change of the ISR is pending." {
        "maximal-isr" ("since 2.7")
            "The ISR and whoever was proposed to join (KIP-497)."
        "committed-isr" ("never shipped")
            "The ISR that the controller last confirmed: a new member of it may lack acknowledged records. \
             KIP-497 rules it out."
    }
    "alter-response-match" => replica.alter_response_match:
        "Whether an answer to AlterPartition surely belongs to what is pending." {
        "sent-state" ("since 3.0") "A leader asks again only after the answer."
        "loose" ("2.7 and 2.8")
            "A leader may take a late answer for that of another request, and commit over an ISR that is not \
             the controller's: acknowledged records are lost (KAFKA-12686)."
    }
    "diverging-fetch" => replica.diverging_fetch:
        "Whether a fetch that diverges from the leader's log says how far its follower has come." {
        "ignored" ("since 2.8.1") "It does not (KAFKA-13141)."
        "counts-as-progress" ("2.7.0 and 2.8.0")
            "It does: the high watermark passes over records that the follower has not, and they are lost if \
             it is elected (KAFKA-13141)."
    }
    "fetch-broker-epoch" => replica.fetch_broker_epoch:
        "Whether a leader knows its followers by incarnations or by broker ids." {
        "kip-903" ("since 3.7") "By incarnations, each with its broker epoch (KIP-903, KAFKA-15221)."
        "off" ("before 3.7")
            "By broker ids: a broker that came back with an empty disk inherits what the former one had \
             fetched, joins the ISR and may be elected."
    }
    "follower-applies" => replica.follower_applies:
        "In which order a follower takes a diverging answer that also carries a high watermark." {
        "truncate-then-high-watermark" ("since 3.5")
            "It truncates; the high watermark comes with the next answer (KAFKA-14704)."
        "high-watermark-then-truncate" ("2.7 to 3.4")
            "The high watermark first: records that it is about to cut off look committed, and a consumer that \
             fetches from the follower reads them (KAFKA-14704)."
    }
    "under-min-isr" => replica.under_min_isr:
        "What the high watermark does while the ISR is smaller than `min.insync.replicas`." {
        "holds" ("since 3.7") "It stays: what is committed is on that many brokers (KIP-966)."
        "advances" ("before 3.7")
            "It moves on: a record read by consumers may be on one broker alone, and be lost with it."
    }
    "missed-epochs" => replica.missed_epochs:
        "What a leader believes of its followers' ends when metadata names it again in a later epoch and it \
         has heard of none in between." {
        "forgotten" ("never shipped")
            "Nothing, unless the epoch is the very next: stricter than Kafka."
        "trusted" ("4.0 and 4.1")
            "All that it knew, though another may have led in between: a follower may yet truncate what counts \
             as replicated (`Replica.resetReplicaState`)."
    }
    "quorum-flush" => quorum.quorum_flush:
        "What of a voter's metadata log counts towards a majority." {
        "before-acknowledging" ("since 2.8") "What it has synced to its disk (KAFKA-10533)."
        "never" ("before 2.8")
            "What it has appended: after a power loss a committed change of metadata may be in no majority's \
             log, and another leader is elected without it (KAFKA-10533)."
    }
    "commit-rule" => quorum.commit_rule:
        "When a new leader of the quorum may call a record committed." {
        "own-epoch-record" ("since 3.0")
            "When a majority has a record of the leader's own epoch (KAFKA-12619)."
        "epoch-start" ("2.8")
            "When a majority has reached where its epoch begins, one record too early: what was committed may \
             be overwritten (KAFKA-12619)."
        "any-epoch" ("never shipped")
            "When a majority has it, whatever epoch wrote it: a leader of an epoch in between may still \
             overwrite it, as figure 8 of the Raft paper shows."
    }
    "pre-vote" => quorum.pre_vote:
        "Whether a replica of the quorum asks if it would win before it raises the epoch." {
        "on" ("since 4.0") "It does (KIP-996)."
        "off" ("before 4.0")
            "It does not: a replica that was cut off deposes a healthy leader when it comes back."
    }
    "eligible-leaders" => controller.eligible_leaders:
        "Whether replicas that left the ISR when it fell below `min.insync.replicas` may still be elected." {
        "kip-966" ("since 4.1, from 4.0 as an option") "They may (KIP-966)."
        "off" ("before 4.0")
            "The last replica stays in the ISR even when it fails, and is elected again whatever a power loss \
             took from it."
    }
    "alter-partition-broker-epoch" => controller.alter_partition_broker_epoch:
        "Whether the controller asks that a replica joins the ISR in its broker's present incarnation." {
        "kip-903" ("since 3.5") "It does (KIP-903)."
        "off" ("before 3.5")
            "It does not: a late request brings a broker into the ISR that has lost its disk meanwhile, and \
             may be elected (KAFKA-14139)."
    }
    "directory-check" => controller.directory_check:
        "Whether the controller elects a replica only where its broker has the directory that holds it." {
        "kip-858" ("since 3.7") "It does (KIP-858)."
        "off" ("before 3.7")
            "It does not know of directories: a broker that came back with an empty disk may lead at once."
    }
    "broker-epoch-check" => controller.broker_epoch_check:
        "Whether a broker's requests must carry the epoch of its present registration." {
        "on" ("since 2.2") "They must (KIP-380)."
        "off" ("before 2.2")
            "A request of a broker's former life still counts."
    }
    "stale-broker-epoch" => controller.stale_broker_epoch:
        "What a broker does when the controller knows a later registration under its id." {
        "registers-again" ("no release")
            "It registers again once it has read of the other. While a broker is unfenced under that id the controller \
             refuses any other."
        "asks-on" ("every release")
            "It goes on with heartbeats under the epoch it has: when a slow controller takes a request of its former \
             life after those of its present one, it stays fenced until somebody starts it again."
    }
    "epoch-checkpoint-fsync" => log.epoch_checkpoint_fsync:
        "Whether the file of leader epochs is synced when entries are cut off it." {
        "on" ("before 3.7 and since 3.9") "It is, as for every other change of it (KAFKA-16541)."
        "off" ("3.7.0, undone later")
            "It is not: after a power loss the file may be empty or stale, the broker no longer knows which epochs \
             wrote its log, and replicas that differ do not notice (KAFKA-15046)."
    }
    "segment-dir-fsync" => log.segment_dir_fsync:
        "Whether a flush makes the name of a new segment durable along with its contents." {
        "on" ("since 3.0") "It does (KAFKA-3968)."
        "off" ("before 3.0")
            "It does not: a power loss may take a whole segment that was synced, and leave a hole in the log."
    }
    "truncation-fsync" => log.truncation_fsync:
        "Whether a cut of a log, a follower's or recovery's, is durable before anything is written over it." {
        "on" ("no release")
            "It is: what was cut off stays away, whatever power does."
        "off" ("every release")
            "It is not: a power loss may undo a part of the cut, and leave old records in the middle of new ones. \
             By its last epoch the log is the leader's, and nobody sees where they part."
    }
    "first-sequence-on-empty-state" => log.first_sequence_on_empty_state:
        "Which sequence a log takes from an idempotent producer it does not know." {
        "any" ("2.5 to 4.4")
            "Any (KIP-360): when two batches are in flight to a new partition and the first is refused, the second \
             is taken, the first never fits again, and its records are missing before acknowledged ones."
        "zero-in-empty-log" ("since 4.5")
            "0 if the log never held a record, so that the first batch is the first in the log (KAFKA-15591). Among \
             other producers' records any is taken still."
        "zero" ("never shipped")
            "0, whatever others wrote (proposed as KAFKA-19880; 4.2 has it for transactions, KAFKA-18202). Who was \
             forgotten along with its records begins a new epoch."
    }
    "high-watermark-checkpoint" => log.high_watermark_checkpoint:
        "What a replica's high watermark is after its broker starts." {
        "kept" ("since 0.8.2") "What the broker's checkpoint says."
        "reset-at-start" ("before 0.8 always, before 0.8.2 if the leader was down")
            "The start of the log (KAFKA-769, KAFKA-1647): with `truncation = \"high-watermark\"` a follower then \
             throws its whole log away, and if it is elected, so do the others."
    }
    "in-flight-limit" => producer.in_flight_limit:
        "What `max.in.flight.requests.per.connection=1` limits in a producer." {
        "per-partition" ("since 0.10")
            "A partition's requests too: one batch at a time, whichever broker leads."
        "per-connection" ("before 0.10")
            "A connection's requests: after the leader moved, a batch overtakes the one before it, which still waits \
             for the former leader (KAFKA-3197)."
    }
};
