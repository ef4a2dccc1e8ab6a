//! The log against a list of records, under random use.

use proptest::{collection::vec, prelude::*};

use super::fixture::{Fixture, batch, config};
use crate::{
    env::WallTime,
    kafka::{
        config::TopicConfig,
        log::MinOneMessage,
        types::{Offset, Timestamp},
    },
};

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<u8>),
    Roll,
    Flush,
    Truncate(prop::sample::Index),
    DeleteRecords(prop::sample::Index),
    Retention,
    Restart,
    RestartClean,
    Read(prop::sample::Index, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => vec(any::<u8>(), 1..6).prop_map(Step::Append),
        1 => Just(Step::Roll),
        1 => Just(Step::Flush),
        1 => any::<prop::sample::Index>().prop_map(Step::Truncate),
        1 => any::<prop::sample::Index>().prop_map(Step::DeleteRecords),
        1 => Just(Step::Retention),
        1 => Just(Step::Restart),
        1 => Just(Step::RestartClean),
        4 => (any::<prop::sample::Index>(), 0..2_000_usize).prop_map(|(at, max)| Step::Read(at, max)),
    ]
}

/// What the log should hold: values by offset, and how they lie in batches.
#[derive(Default)]
struct Model {
    start: i64,
    values: Vec<u8>,
    /// Base offsets of batches.
    batches: Vec<i64>,
}

impl Model {
    fn end(&self) -> i64 {
        self.values.len() as i64
    }

    fn contents(&self) -> Vec<(i64, Vec<u8>)> {
        let all = self.values.iter().enumerate().map(|(at, &value)| (at as i64, vec![value]));
        all.skip(self.start as usize).collect()
    }
}

fn apply(log: &mut Fixture, model: &mut Model, step: &Step) {
    match step {
        Step::Append(values) => {
            let values: Vec<&[u8]> = values.chunks(1).collect();
            let info = log.append(&batch(&values)).unwrap();
            assert_eq!(info.first_offset.0, model.end());
            model.batches.push(model.end());
            model.values.extend(values.concat());
        }
        Step::Roll => log.roll(WallTime(1_000)).unwrap(),
        Step::Flush => log.flush(),
        Step::Truncate(at) => {
            let at = at.index(model.values.len() + 1) as i64;
            let base = match model.batches.partition_point(|&base| base <= at) {
                // An offset between batches is a batch's base.
                0 => 0,
                after if at < model.end() => model.batches[after - 1],
                _ => at,
            };
            if base < model.start {
                return;
            }
            log.truncate_to(Offset(at), WallTime(1_000)).unwrap();
            model.values.truncate(base as usize);
            model.batches.retain(|&batch| batch < base);
        }
        Step::DeleteRecords(at) => {
            let at = at.index(model.values.len() + 1) as i64;
            log.set_high_watermark(Offset(model.end()));
            log.advance_start_offset(Offset(at)).unwrap();
            model.start = model.start.max(at);
        }
        Step::Retention => drop(log.retain(WallTime(1_000)).unwrap()),
        Step::Restart | Step::RestartClean => unreachable!("they replace the log"),
        Step::Read(at, max) => {
            let span = (model.end() - model.start) as usize;
            let from = model.start + at.index(span + 1) as i64;
            let read = log.read(Offset(from), *max, Offset(model.end()), MinOneMessage::Yes);
            let read = read.unwrap();
            assert!(read.next_offset.0 > from || from == model.end());
            let records = super::fixture::records(&read.records);
            for (offset, value) in records {
                assert_eq!(value, [model.values[offset as usize]]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_log_is_a_list_of_records(
        steps in vec(step(), 1..60), segment in 150..2_000_u32, interval in 0..500_u32,
    ) {
        let config =
            TopicConfig { segment_bytes: segment, index_interval_bytes: interval, ..config() };
        let mut log = Fixture::with(config);
        let mut model = Model::default();
        for step in &steps {
            log = match step {
                Step::Restart | Step::RestartClean => {
                    let start = log.start_offset();
                    let mut again = match step {
                        Step::Restart => log.reopen(),
                        _ => log.reopen_clean(),
                    };
                    prop_assert_eq!(again.recovery.cut, None);
                    // The broker would know this from its checkpoint.
                    again.set_high_watermark(Offset(model.end()));
                    again.advance_start_offset(start).unwrap();
                    again
                }
                step => {
                    apply(&mut log, &mut model, step);
                    log
                }
            };
            prop_assert_eq!(log.end_offset().0, model.end());
            prop_assert_eq!(log.start_offset().0, model.start);
            prop_assert_eq!(log.contents(), model.contents());
        }
        let found = log.offset_for_timestamp(Timestamp(500)).unwrap();
        let first = (model.start < model.end()).then_some(model.start);
        prop_assert_eq!(found.map(|found| found.offset.0), first);
    }
}
