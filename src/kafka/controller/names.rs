//! Which names topics may have.

use super::Refusal;
use crate::kafka::{metadata::Image, protocol::ResponseError};

/// `Topic.MAX_NAME_LENGTH`.
const MAX_NAME: usize = 249;

/// `Topic.validate`.
pub fn check_topic_name(name: &str) -> Result<(), Refusal> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if matches!(name, "." | "..") {
        format!("'{name}' is not allowed")
    } else if name.len() > MAX_NAME {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME}")
    } else if !name.chars().all(legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )
    } else {
        return Ok(());
    };
    Err((ResponseError::InvalidTopicException, format!("Topic name is invalid: {problem}")))
}

/// Metrics read `.` and `_` alike, so names may not differ in them alone.
pub(super) fn check_collision(name: &str, image: &Image) -> Result<(), Refusal> {
    if !name.contains(['.', '_']) {
        return Ok(());
    }
    let unified = |name: &str| name.replace('.', "_");
    let wanted = unified(name);
    let mut present = image.topics().map(|topic| topic.name.as_str());
    match present.find(|present| unified(present) == wanted) {
        Some(present) => {
            let message = format!("Topic '{name}' collides with existing topic: {present}");
            Err((ResponseError::InvalidTopicException, message))
        }
        None => Ok(()),
    }
}
