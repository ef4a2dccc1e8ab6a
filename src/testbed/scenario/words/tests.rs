//! The words against the names under which plans are saved.

use serde::Serialize;

use super::{
    AWAITS, CAUSES, EFFECTS, ELECTIONS, EVENTS, EXITS, FACTS, FLAVOURS, GUARANTEES, LOOP_STEPS,
    Named, ON_ERRORS, ON_SEND_ERRORS, VERDICTS, Word,
};

fn agree<T: Serialize + Named>(words: &[Word<T>]) {
    for word in words {
        let name = serde_json::to_value(&word.value).unwrap();
        assert_eq!(name.as_str(), Some(word.name));
        assert_eq!(word.value.name(), word.name);
    }
}

#[test]
fn a_words_name_is_the_one_that_saved_plans_use() {
    agree(EVENTS);
    agree(GUARANTEES);
    agree(CAUSES);
    agree(FACTS);
    agree(VERDICTS);
    agree(LOOP_STEPS);
    agree(EFFECTS);
    agree(ELECTIONS);
    agree(ON_ERRORS);
    agree(ON_SEND_ERRORS);
    agree(AWAITS);
    agree(EXITS);
    agree(FLAVOURS);
}
