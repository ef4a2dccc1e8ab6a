//! What is special to the real world; what it shares with the simulated one is in `tests/conformance`.

use std::sync::Arc;

#[test]
fn a_panic_in_a_task_is_told_to_the_caller_with_its_name() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let dir = tempfile::tempdir().unwrap();
        let on_panic = Arc::new(move |name| sender.send(name).unwrap());
        let env = super::env(dir.path().to_owned(), 1, on_panic).unwrap();
        env.tasks.spawn("faulty", Box::pin(async { panic!("as it should") }));
        assert_eq!(receiver.recv().await, Some("faulty"));
    });
}
