//! What both worlds promise of time.

super::both_worlds! {
    a_sleep_ends_at_its_deadline_and_not_before
    a_passed_deadline_is_ready_at_once
    the_far_future_never_comes
}

mod bodies {
    use std::{future::poll_fn, task::Poll, time::Duration};

    use retrial::env::{Env, Instant};

    pub async fn a_sleep_ends_at_its_deadline_and_not_before(env: Env) {
        let deadline = env.clock.now() + Duration::from_millis(5);
        env.clock.sleep_until(deadline).await;
        assert!(env.clock.now() >= deadline);
    }

    pub async fn a_passed_deadline_is_ready_at_once(env: Env) {
        let passed = env.clock.now();
        env.clock.sleep_until(passed).await;
        env.clock.sleep_until(Instant::default()).await;
    }

    pub async fn the_far_future_never_comes(env: Env) {
        let mut never = env.clock.sleep_until(Instant::FAR_FUTURE);
        let mut also_never = env.clock.sleep_until(env.clock.now() + Duration::MAX);
        let pending = poll_fn(|context| {
            let polls = [never.as_mut().poll(context), also_never.as_mut().poll(context)];
            Poll::Ready(polls.iter().all(Poll::is_pending))
        });
        assert!(pending.await);
    }
}
