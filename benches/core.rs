//! What combu itself costs: loading a spec, planning it, and dispatching it on the fake engine. No daemon, no disk.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use combu::engine::Engine;
use combu::engine::fake::Fake;
use combu::model::experiment::Experiment;
use combu::model::name::{EngineName, RunId};
use combu::model::options::{Options, TrialDefaults};
use combu::plan;
use combu::run::connections::Connections;
use combu::run::session::start::Start;
use combu::run::session::{Prepared, Session};
use combu::spec::{LoadOptions, load};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const SIZES: [usize; 2] = [1_000, 100_000];

/// The article's form: one base, refined per trial, and a loader that all depend on.
fn spec(trials: usize) -> String {
    format!(
        r#"local base = {{ image: "solver", env: {{ DATA: "/data" }}, networks: ["simulation"], depends: ["loader"] }};
[{{ name: "loader", image: "loader", networks: ["simulation"] }}] + [
  base + {{ name: "solver-%d" % i, cmd: "solve --id %d" % i, env+: {{ ID: i }}, params: {{ id: i }} }}
  for i in std.range(1, {trials})
]"#
    )
}

fn loaded(path: &Path) -> Experiment {
    load(path, &LoadOptions { id: "abcdefghijkl".to_owned(), ..LoadOptions::default() }).expect("the spec is valid")
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fake = Arc::new(Fake::new(16.0));
    let engines: plan::Engines = [(EngineName::Fake, fake.capabilities().clone())].into();
    let on_fake = || Options {
        defaults: TrialDefaults { engine: Some(EngineName::Fake), ..TrialDefaults::default() },
        ..Options::default()
    };
    let session = Session::new(Connections::with(fake)).expect("a session");
    let mut group = criterion.benchmark_group("combu");
    group.sample_size(10).warm_up_time(Duration::from_millis(500));
    for size in SIZES {
        let path = folder.path().join(format!("{size}.jsonnet"));
        std::fs::write(&path, spec(size)).expect("a spec");
        let experiment = loaded(&path);
        let prepared = session.prepare(experiment.clone(), on_fake()).expect("a plan");
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new("load", size), |bencher| bencher.iter(|| black_box(loaded(&path))));
        group.bench_function(BenchmarkId::new("plan", size), |bencher| {
            bencher.iter_batched(
                || experiment.clone(),
                |experiment| black_box(plan::build(experiment, on_fake(), &engines).expect("a plan")),
                criterion::BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("dispatch", size), |bencher| {
            bencher.iter_batched(
                || prepared.clone(),
                |prepared| run(&session, prepared),
                criterion::BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// Runs a plan to its end, with nobody looking on.
fn run(session: &Session, planned: Prepared) {
    let mut live =
        session.start(planned, Start::unkept(RunId::from("bench"), None)).expect("nothing stands in the way");
    while live.next_to_end().is_some() {}
}

criterion_group!(all, benches);
criterion_main!(all);
