//! Traces of services that end before their time.

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::options::{Budget, Options, Parallel};
use crate::model::outcome::Exit;
use crate::model::retry::Retries;
use crate::model::trial::{Condition, Healthcheck, Trial};
use crate::run::traces::{after, seconds, trace, trial};

/// A service that ends so after three seconds.
fn ends(exit: Exit) -> Scene {
    Scene { run_for: seconds(3.0), exit, ..Scene::default() }
}

/// Three trials, one after the other, that need the service.
async fn served(service: Trial, condition: Condition, scenes: impl Into<Vec<Scene>>) -> String {
    let engine = Fake::new(4.0).scene("srv", scenes);
    let user = |name| after(trial(name, "sleep 4"), "srv", Some(condition));
    let budget = Budget { parallel: Some(Parallel::Count(1)), ..Budget::default() };
    let options = Options { budget, ..Options::default() };
    trace(engine, vec![service, user("a1"), user("b1"), user("c1")], options).await
}

fn said() -> Trial {
    let test = vec!["CMD".to_owned(), "true".to_owned()];
    let healthcheck = Healthcheck { test, interval: None, timeout: None, retries: None, start_period: None };
    Trial { service: Some(true), healthcheck: Some(Box::new(healthcheck)), ..trial("srv", "") }
}

fn for_ever() -> Scene {
    Scene { run_for: seconds(1e6), healthy_after: Some(seconds(2.0)), ..Scene::default() }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_while_trials_need_it_comes_back_for_them() {
    assert_snapshot!(served(said(), Condition::Healthy, [ends(Exit::Code(0)), for_ever()]).await, @"
      0.00  srv started
      0.00  srv healthy
      0.00  a1 started
      3.00  srv will be retried in 0s
      3.00  srv started, attempt 2
      4.00  a1 succeeded
      5.00  srv healthy
      5.00  b1 started
      9.00  b1 succeeded
      9.00  c1 started
     13.00  c1 succeeded
     13.00  srv stopping: nothing needs it any more
     13.00  srv stopped, nothing needs it any more
     13.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_again_and_again_is_given_up() {
    let once = Trial { retries: Some(Retries { crash_limit: Some(1), ..Retries::count(0) }.into()), ..said() };
    assert_snapshot!(served(once, Condition::Healthy, [ends(Exit::Code(0))]).await, @"
     0.00  srv started
     0.00  srv healthy
     0.00  a1 started
     3.00  srv will be retried in 0s
     3.00  srv started, attempt 2
     3.00  srv healthy
     4.00  a1 succeeded
     4.00  b1 started
     6.00  srv was lost: it ended while trials need it
     6.00  c1 skipped because `srv` was lost
     8.00  b1 succeeded
     8.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_by_default_may_do_its_work_and_end() {
    assert_snapshot!(served(trial("srv", ""), Condition::Started, [ends(Exit::Code(0))]).await, @"
      0.00  srv started
      0.00  a1 started
      3.00  srv succeeded
      4.00  a1 succeeded
      4.00  b1 started
      8.00  b1 succeeded
      8.00  c1 started
     12.00  c1 succeeded
     12.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_is_not_started_again_unless_it_says_so() {
    assert_snapshot!(served(said(), Condition::Healthy, [ends(Exit::Code(1)), for_ever()]).await, @"
     0.00  srv started
     0.00  srv healthy
     0.00  a1 started
     3.00  srv failed (exit code 1)
     3.00  b1 skipped because `srv` failed (exit code 1)
     3.00  c1 skipped because `srv` failed (exit code 1)
     4.00  a1 succeeded
     4.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_lost_when_nothing_needs_it_any_more_has_ended_well() {
    let lost = Scene { run_for: seconds(12.5), lost: true, stubborn: true, ..Scene::default() };
    assert_snapshot!(served(said(), Condition::Healthy, [lost]).await, @"
      0.00  srv started
      0.00  srv healthy
      0.00  a1 started
      4.00  a1 succeeded
      4.00  b1 started
      8.00  b1 succeeded
      8.00  c1 started
     12.00  c1 succeeded
     12.00  srv stopping: nothing needs it any more
     12.50  srv stopped, nothing needs it any more
     12.50  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_fails_after_its_service_was_lost_is_lost_too() {
    let failing = [Scene { run_for: seconds(4.0), exit: Exit::Code(9), ..Scene::default() }, Scene::default()];
    let engine = Fake::new(4.0).scene("srv", [ends(Exit::Code(0)), for_ever()]).scene("a1", failing);
    let user = after(trial("a1", "sleep 4"), "srv", Some(Condition::Healthy));
    assert_snapshot!(trace(engine, vec![said(), user], Options::default()).await, @"
     0.00  srv started
     0.00  srv healthy
     0.00  a1 started
     3.00  srv will be retried in 0s
     3.00  srv started, attempt 2
     4.00  a1 will be retried in 0s
     5.00  srv healthy
     5.00  a1 started, attempt 2
     5.00  a1 succeeded
     5.00  srv stopping: nothing needs it any more
     5.00  srv stopped, nothing needs it any more
     5.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_failed_before_its_service_was_lost_has_failed() {
    let failing = [Scene { run_for: seconds(2.0), exit: Exit::Code(9), ..Scene::default() }];
    let engine = Fake::new(4.0).scene("srv", [ends(Exit::Code(0)), for_ever()]).scene("a1", failing);
    let user = |name| after(trial(name, "sleep 4"), "srv", Some(Condition::Healthy));
    assert_snapshot!(trace(engine, vec![said(), user("a1"), user("b1")], Options::default()).await, @"
     0.00  srv started
     0.00  srv healthy
     0.00  a1 started
     0.00  b1 started
     2.00  a1 failed (exit code 9)
     3.00  srv will be retried in 0s
     3.00  srv started, attempt 2
     4.00  b1 succeeded
     4.00  srv stopping: nothing needs it any more
     4.00  srv stopped, nothing needs it any more
     4.00  end
    ");
}
