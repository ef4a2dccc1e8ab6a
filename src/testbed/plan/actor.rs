//! Who uses the cluster: producers, consumer groups and readers, and what the code around their client does.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{ConfigMap, EventName, Span, SpanRange};
use crate::kafka::types::TopicPartition;

/// Text made per record: `{i}` is the record's number, `{i%4}` its remainder.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextTemplate(pub String);

impl TextTemplate {
    /// The text of record `i`.
    pub fn render(&self, i: u64) -> String {
        let mut text = String::with_capacity(self.0.len() + 8);
        let mut rest = self.0.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            match after.split_once('}').and_then(|(inside, tail)| Some((number(inside, i)?, tail)))
            {
                Some((number, tail)) => {
                    text.push_str(&number.to_string());
                    rest = tail;
                }
                None => {
                    text.push('{');
                    rest = after;
                }
            }
        }
        text + rest
    }
}

/// What `i` or `i%N` stands for; `None` for anything else, which stays as it is written.
fn number(inside: &str, i: u64) -> Option<u64> {
    match inside.split_once('%') {
        None => (inside == "i").then_some(i),
        Some(("i", modulus)) => i.checked_rem(modulus.parse().ok()?),
        Some(_) => None,
    }
}

/// When an actor starts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Start {
    At(Span),
    /// On the `count`-th event of that name of that actor: `{ when = "done", of = "shop" }`.
    When {
        event: EventName,
        of: String,
        count: u64,
    },
    /// Only when a step starts it: `start = "by-step"`.
    ByStep,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ProducerPlan {
    pub topic: String,
    pub records: u64,
    pub every: SpanRange,
    pub key: Option<TextTemplate>,
    pub value: TextTemplate,
    pub partition: Option<i32>,
    pub client: ClientFlavour,
    pub start: Start,
    pub app: ProducerApp,
    pub config: ConfigMap,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProducerApp {
    /// Call `flush()` before the exit.
    pub flush: bool,
    pub await_send: AwaitSend,
    pub on_error: OnSendError,
    pub exit: ProducerExit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AwaitSend {
    /// Wait for the outcome before the next send.
    Each,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnSendError {
    Ignore,
    Stop,
    /// Send the same record again: a new attempt, which no idempotence can see.
    Resend,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProducerExit {
    Close,
    /// The program ends without `flush()` or `close()`.
    Abandon,
}

/// Whose client semantics: they differ in what `commit()` covers and when auto-commit fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientFlavour {
    #[default]
    Java,
    KafkaPython,
    Librdkafka,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct GroupPlan {
    pub topics: Vec<String>,
    /// Machine names of the members: `billing/1`, `billing/2`.
    pub members: Vec<String>,
    pub client: ClientFlavour,
    pub start: Start,
    pub app: App,
    pub config: ConfigMap,
}

/// A consumer outside any group's membership: `assign()` and `seek()`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ReaderPlan {
    pub assign: Vec<TopicPartition>,
    pub seek: IndexMap<TopicPartition, SeekTo>,
    /// Commits go to this group, if any are made.
    pub group_id: Option<String>,
    pub client: ClientFlavour,
    pub start: Start,
    pub app: App,
    pub config: ConfigMap,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeekTo {
    Beginning,
    End,
    Offset(i64),
}

/// What the code around a consumer does.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct App {
    /// The order of calls, repeated; the heart of delivery semantics.
    pub steps: Vec<LoopStep>,
    /// Time the handler takes per record.
    pub process: SpanRange,
    /// Handlers beside the polling loop, for [`LoopStep::HandOff`].
    pub workers: u32,
    pub effect: EffectKind,
    pub on_error: OnError,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoopStep {
    Poll,
    /// Handle every record of the batch.
    Process,
    /// `commitSync()` of what the client says is consumed.
    Commit,
    /// `commitAsync()` of the same.
    CommitAsync,
    /// Inside the loop over the batch: handle a record, then `commit()` as this client means it.
    #[serde(rename = "process+commit")]
    ProcessThenCommit,
    /// Inside the loop over the batch: handle a record, then commit exactly its offset + 1.
    #[serde(rename = "process+commit-record")]
    ProcessThenCommitRecord,
    /// Give the batch to the workers and go on.
    HandOff,
}

/// What a processed record leaves behind in the sink.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// One entry per handling: a repetition shows.
    Append,
    /// One entry per topic-partition-offset: a repetition overwrites.
    Upsert,
    None,
}

/// What the loop does when the client's call or the handler fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The process dies without closing the client.
    Crash,
    /// `close()` the client (which commits, with auto-commit on) and end.
    Close,
    /// Go on with the next record.
    Skip,
    /// Try the same again.
    Retry,
    /// Log it and go on with the next poll.
    PollAgain,
}

#[cfg(test)]
mod tests {
    use super::TextTemplate;

    #[test]
    fn a_template_knows_the_record_number_and_its_remainder() {
        let text = |template: &str| TextTemplate(template.into()).render(9);
        assert_eq!(text("user-{i%4}-{i}"), "user-1-9");
        assert_eq!(text("{j} {i%0} {"), "{j} {i%0} {");
    }
}
