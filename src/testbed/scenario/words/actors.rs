//! Words about producers, consumers and what the code around their clients does.

use super::words;
use crate::testbed::plan::{
    AwaitSend, ClientFlavour, EffectKind, LoopStep, OnError, OnSendError, ProducerExit, SpanShape,
};

words! {
    /// The order of these is the heart of delivery semantics.
    LOOP_STEPS: LoopStep {
        Poll "poll"
            "Calls poll(), which returns a batch of records. The first step of every loop."
        Process "process"
            "Handles every record of the batch, one after the other."
        Commit "commit"
            "commitSync() of what the client says is consumed, which is everything poll() returned."
        CommitAsync "commit-async"
            "commitAsync() of the same: the loop goes on while the commit is on its way."
        ProcessThenCommit "process+commit"
            "Inside the loop over the batch: handle a record, then commit() as this client means it. In Java that covers the whole batch, in kafka-python what was handed out so far."
        ProcessThenCommitRecord "process+commit-record"
            "Inside the loop over the batch: handle a record, then commit exactly its offset + 1."
        HandOff "hand-off"
            "Gives the batch to worker tasks and polls on: what is committed may not be done yet."
    }
}

words! {
    EFFECTS: EffectKind {
        Append "append"
            "Every handling adds an entry to the sink: a repetition shows."
        Upsert "upsert"
            "The sink keeps one entry per topic, partition and offset: a repetition overwrites."
        None "none"
            "Handling leaves nothing behind."
    }
}

words! {
    ON_ERRORS: OnError {
        Crash "crash"
            "The process dies without closing its client."
        Close "close"
            "The client is closed, which commits what was delivered if auto-commit is on, and the program ends."
        Skip "skip"
            "Go on with the next record."
        Retry "retry"
            "Try the same again."
        PollAgain "poll-again"
            "Log it and go on with the next poll, as many loops do."
    }
}

words! {
    ON_SEND_ERRORS: OnSendError {
        Ignore "ignore"
            "The outcome of a send is not looked at."
        Stop "stop"
            "The first failed send ends the program's sending."
        Resend "resend"
            "The application sends the record again: a new send, which no idempotence can recognise."
    }
}

words! {
    AWAITS: AwaitSend {
        Each "each"
            "Wait for each send's outcome before the next one."
        None "none"
            "Send on without waiting."
    }
}

words! {
    EXITS: ProducerExit {
        Close "close"
            "close() at the end: everything buffered is sent first."
        Abandon "abandon"
            "The program ends without flush() or close(): what is still in the buffer is never sent."
    }
}

words! {
    /// Whose client's semantics a program has.
    FLAVOURS: ClientFlavour {
        Java "java"
            "The Java client: commit() covers everything poll() returned, auto-commit runs inside poll()."
        KafkaPython "kafka-python"
            "kafka-python: the position moves with each record handed to the loop."
        Librdkafka "librdkafka"
            "librdkafka: offsets are stored when a record is handed over, auto-commit runs on a timer."
    }
}

words! {
    SHAPES: SpanShape {
        Uniform "uniform"
            "Every length between min and max is as likely."
        Exponential "exp"
            "Mostly near min, with a tail that is cut at max."
    }
}

/// Where a reader can begin, beside an offset.
pub(in crate::testbed::scenario) const SEEKS: [&str; 2] = ["beginning", "end"];
