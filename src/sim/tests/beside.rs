//! For tests: a client's machine beside those it talks to, in a world that ends with the client.

use crate::{
    env::Env,
    sim::{Digest, World, WorldOptions},
};

/// Runs `body` on the machine `client` once `setup` has added all machines and started the others. The digest of
/// what happened.
///
/// A thread per world, as the order of hash maps depends on a thread's history.
pub fn run_beside<F>(
    seed: u64,
    client: &'static str,
    setup: impl FnOnce(&World) + Send + 'static,
    body: impl FnOnce(World, Env) -> F + Send + 'static,
) -> Digest
where
    F: Future<Output = ()> + Send + 'static,
{
    let run = move || {
        World::run(seed, WorldOptions::default(), |world| async move {
            setup(&world);
            let handle = world.clone();
            world.start(client, move |env| Box::pin(body(handle, env)));
            world.ended(client).await;
            world.trace().digest()
        })
        .unwrap()
    };
    #[allow(clippy::disallowed_methods, reason = "the thread that the world runs on")]
    let thread = std::thread::spawn(run);
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
