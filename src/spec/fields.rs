//! The keys of a spec: the one list that both the reader and `docs/spec.md` use.

use std::sync::LazyLock;

/// A key of a spec and what the manual says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// How its value is written, as jsonnet; every one of them loads.
    pub forms: &'static [&'static str],
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

const fn field(name: &'static str, forms: &'static [&'static str], meaning: &'static str) -> Field {
    Field { name, forms, meaning }
}

/// The names of a trial's fields.
pub(super) fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| FIELDS.iter().map(|field| field.name).collect());
    &NAMES
}

/// The names of everything that may stand at the top level of the object form.
pub(super) fn top_names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| TOP.iter().chain(OPTIONS).map(|field| field.name).collect());
    &NAMES
}

/// The keys of the object form, run options apart.
pub const TOP: &[Field] = &[
    field("name", &["'irl'"], "The experiment's name. Default: the file's name without its ending."),
    field(
        "defaults",
        &["{image: 'solver', env: {LANG: 'C'}}"],
        "Fields of every trial that does not say them itself. `env`, `labels` and `params` are merged key by key, the others are replaced as a whole; `null` in a trial takes a default away.",
    ),
    field("trials", &["[{name: 'first', image: 'solver'}]"], "The trials. Required."),
];

/// The run options.
pub const OPTIONS: &[Field] = &[
    field(
        "parallel",
        &["4", "'50%'", "-1"],
        "How many trials run at once: that many, a part of the host's CPUs, or all CPUs but one. Default: what fits the host's CPUs and memory.",
    ),
    field("retries", &["2", "{count: 2, delay: '10s'}"], "`retries` of trials that do not say it themselves."),
    field("timeout", &["'2h'"], "`timeout` of trials that do not say it themselves."),
    field("stop_grace", &["'30s'"], "`stop_grace` of trials that do not say it themselves."),
    field(
        "halt",
        &["'now,fail=1'", "'soon,fail=10%'", "'now,success=1'", "'soon,done=50'"],
        "When the run ends early: `now` stops what runs, `soon` lets it end; counted are `fail`, `success` or `done` trials, as a number or a share. Default: never.",
    ),
    field("pull", &["'always'", "'missing'", "'never'"], "`pull` of trials that do not say it themselves."),
    field("engine", &["'docker'", "'local'", "'fake'"], "`engine` of trials that do not say it themselves."),
    field(
        "rm",
        &["'success'", "'always'", "'never'"],
        "Which containers are removed once they ended and their logs are safe. Default: `success`; the others stay until `combu kill`.",
    ),
    field("seed", &["42"], "Seed of the run, from which every trial's `COMBU_SEED` is derived. Default: a random one."),
];

/// The fields of a trial.
pub const FIELDS: &[Field] = &[
    field(
        "name",
        &["'solver-1'"],
        "Name of the trial and of its container: two or more letters, digits, `_`, `.` and `-`, a letter or digit first. Required, and unique in the experiment.",
    ),
    field("image", &["'busybox'", "'lab/solver:2'"], "The image. Required for engines that run images."),
    field(
        "cmd",
        &["'make simulate MODE=hard'", "['python', 'train.py', 3]"],
        "The command. A string is split as a POSIX shell splits it, quotes honoured; nothing is expanded, so write `sh -c '...'` for `$VAR`, `*` or pipes. Absent or empty: the image's own.",
    ),
    field(
        "entrypoint",
        &["'/init'", "['sh', '-c']"],
        "Overrides the image's entrypoint; the forms are those of `cmd`.",
    ),
    field(
        "env",
        &["{LR: 0.1, MODE: 'hard', DEBUG: true}"],
        "Environment variables. Numbers and truth values become strings.",
    ),
    field("workdir", &["'/work'"], "Working folder in the container."),
    field(
        "user",
        &["'host'", "'1000:1000'", "1000"],
        "Who runs the command: a name, `uid` or `uid:gid`; `host` is the caller's own uid and gid, so that files in bind mounts are the caller's. Default: the image's own.",
    ),
    field("hostname", &["'solver'"], "Host name inside the container."),
    field("labels", &["{owner: 'lab', paper: 3}"], "Labels of the container. `combu.` in front is taken."),
    field(
        "ports",
        &[
            "[{host: 8080, container: 80}]",
            "[{host: '2222/tcp', container: '22/tcp', ip: '127.0.0.1'}]",
            "['8080:80', '127.0.0.1:5353:53/udp', 80]",
        ],
        "Published ports. The protocol (`tcp`, `udp`, `sctp`) may stand on either side or as `protocol`. Without a host side the engine chooses a free port.",
    ),
    field(
        "volumes",
        &[
            "[{host: './data', container: '/data', readonly: true}]",
            "['./out:/out', '~/sets:/sets:ro', 'cache:/cache']",
        ],
        "Mounts. A host side that begins with `/`, `.` or `~` is a path, relative to the spec's folder; a bare name is a named volume.",
    ),
    field("networks", &["['irl']"], "Networks to join, created when missing. Trials find each other by name on them."),
    field(
        "depends",
        &["['db']", "[{trial: 'db', condition: 'healthy'}]"],
        "What must be there first: `started`, `healthy` or `completed`. A bare name waits until it is started, and healthy where it has a healthcheck.",
    ),
    field(
        "service",
        &["true", "false"],
        "Whether it is stopped when nothing needs it any more. Default: true for a trial that others depend on as started or healthy and that has no `cmd`.",
    ),
    field(
        "healthcheck",
        &[
            "{test: 'pg_isready', interval: '2s', timeout: '1s', retries: 5, start_period: '10s'}",
            "{test: ['CMD', 'curl', '-f', 'localhost']}",
        ],
        "How the engine finds out that it is ready. A string is a line for the container's shell, a list is `CMD` and words or `CMD-SHELL` and a line.",
    ),
    field(
        "cpus",
        &["2", "0.5", "'1.5'"],
        "CPUs it needs: reserved on the host and enforced. Absent: one is reserved, none enforced.",
    ),
    field("memory", &["'512m'", "'2g'", "'64MiB'", "536870912"], "Memory it needs: reserved on the host and enforced."),
    field(
        "gpus",
        &["1", "'all'", "['0', '1']"],
        "GPUs it needs: a number, all of them, or their ids. A string other than `all` is one id.",
    ),
    field("shm_size", &["'1g'"], "Size of `/dev/shm`."),
    field("pids_limit", &["100", "-1"], "Most processes and threads; -1 is no limit."),
    field("timeout", &["'30m'", "90"], "Longest an attempt may run."),
    field("stop_grace", &["'10s'"], "Time between the stop signal and the kill."),
    field(
        "retries",
        &["2", "{count: 3, delay: '5s', backoff: 'exponential', max_delay: '1m', jitter: true}"],
        "How often a failed attempt is repeated, and after what delay. `backoff` is `fixed` or `exponential`; `jitter` shortens each delay by up to a half.",
    ),
    field(
        "params",
        &["{lr: 0.1, layers: [64, 64]}"],
        "Its point in the parameter space: recorded, and given to it as `COMBU_PARAMS` and `COMBU_PARAM_<NAME>`.",
    ),
    field("outputs", &["['/out/model.pt', '/out/log']"], "Paths in the container to collect after it ended."),
    field("priority", &["10", "-1"], "Higher starts earlier among those that are ready. Default: 0."),
    field(
        "pull",
        &["'always'", "'missing'", "'never'"],
        "When the image is pulled; always means once per run. Default: `missing`.",
    ),
    field("engine", &["'docker'", "'local'", "'fake'"], "What runs it. Default: `docker`."),
    field("init", &["true"], "Whether an init process is PID 1."),
    field("platform", &["'linux/arm64'"], "Platform of the image."),
    field(
        "ulimits",
        &["{nofile: 1024}", "{nofile: {soft: 1024, hard: 4096}}", "[{name: 'core', soft: 0, hard: -1}]"],
        "Resource limits; -1 is no limit.",
    ),
    field(
        "tmpfs",
        &["'/run'", "['/run:size=64m', '/tmp']", "{'/run': 'size=64m'}"],
        "Memory mounts, with mount options.",
    ),
    field("devices", &["['/dev/fuse', '/dev/sda:/dev/xvda:r']"], "Devices of the host."),
    field("cap_add", &["['SYS_PTRACE']"], "Linux capabilities to add."),
    field("extra_hosts", &["['registry:10.0.0.5']", "{registry: '10.0.0.5'}"], "Lines for `/etc/hosts`."),
];

/// The manual of the spec as Markdown: the content of `docs/spec.md`.
pub fn reference() -> String {
    let mut text = String::new();
    for part in [BEGINNING, EXAMPLE, FORMS] {
        text.push_str(part);
    }
    table(&mut text, "key", TOP);
    text.push_str("\n### Run options\n\nEach is also an option of `combu run` and a key of a script's `run()`; those win over the spec.\n\n");
    table(&mut text, "option", OPTIONS);
    text.push_str("\n## A trial\n\nOnly `name` is always required. `null` is as good as absent.\n\n");
    table(&mut text, "field", FIELDS);
    text.push_str(END);
    text
}

fn table(text: &mut String, heading: &str, fields: &[Field]) {
    text.push_str(&format!("| {heading} | written as | meaning |\n|---|---|---|\n"));
    for Field { name, forms, meaning } in fields {
        let forms: Vec<_> = forms.iter().map(|form| format!("`{form}`")).collect();
        text.push_str(&format!("| `{name}` | {} | {meaning} |\n", forms.join("<br>")));
    }
}

const BEGINNING: &str = "\
# The spec

A spec is a jsonnet or JSON file that states an experiment: its trials, each one container, and how they depend on
each other. `combu plan -f FILE` shows what combu makes of it without starting anything.

<!-- Written by `UPDATE_DOCS=1 cargo test` from src/spec/fields.rs; edit that. -->

";

/// The example of the manual; a test loads it.
const EXAMPLE: &str = r#"```jsonnet
local combu = import 'combu.libsonnet';
local uuid = 'UUID';

{
  name: 'maze',
  parallel: '50%',
  retries: 1,
  defaults: { image: 'lab/solver:2', networks: ['maze'], env: { RUN: uuid } },
  trials: [
    { name: 'db', image: 'postgres:16', healthcheck: { test: 'pg_isready', interval: '2s' } },
  ] + [
    {
      name: combu.name('solver', point),
      cmd: 'python solve.py --mode %(mode)s --seed %(seed)d' % point,
      params: point,
      depends: ['db'],
      cpus: 2,
      memory: '4g',
      timeout: '2h',
      volumes: ['./out/%s:/out' % combu.name('solver', point)],
    }
    for point in combu.grid({ mode: ['hard', 'soft'], seed: std.range(1, 50) })
  ],
}
```
"#;

const FORMS: &str = "
## The top level

One of

- a list of trials: `[{ name: 'first', image: 'busybox' }]`;
- an object with the keys below;
- a function of either, whose arguments are given with `--tla-str NAME=TEXT` and `--tla-code NAME=CODE`.

An unknown key is an error, at any level.

";

const END: &str = r#"
Durations are `'30m'`, `'1h 30m'`, `'90s'`, `'500ms'`, or a number of seconds. Sizes are a number of bytes, or have one
of the suffixes `b k m g t p`; as in Docker, every one of them is a power of 1024, and `m`, `mb`, `MiB` are the same.
A `~` is the home folder of whoever calls combu.

What combu records of a trial (`combu plan -o json`, events, a script's trial) is the same trial with everything
resolved: durations in seconds, sizes in bytes, absolute paths, commands as lists. It can be read back as a spec.

## What happens when

A trial starts when each of its prerequisites meets its condition: `started` (its process runs, or it ended well),
`healthy` (its healthcheck passed) or `completed` (it ended well, with exit code 0). A trial whose prerequisite ended
badly before that is skipped, with the reason. Nothing else makes a trial wait but room: as many run at once as fit the
CPUs and the memory of the engine's host, a trial without `cpus` counting one; `-j` caps their number instead. The first
that does not fit holds back those behind it; `priority` changes the order.

A service is started when trials next in line need it, and stopped when all its dependants have ended. It takes no place
among the trials that run at once. The run's `timeout` is not applied to it. When its healthcheck fails for good and
others wait for it, it is stopped and ends as `unhealthy`. A service without dependants runs until all trials but services
have ended; an experiment of services only runs until they end by themselves, or are interrupted or killed.

A trial that ran out of memory is not retried: the same limit would end it again. Neither is one that the engine refused
to start.

A bind mount's folder that is missing is made, owned by the caller, where the Docker daemon is on the same machine.
Containers of trials that succeeded are removed, unless their logs could not be written; the others stay until `kill`.
Networks stay while others use them; volumes are never removed.

## What a trial finds

| variable | holds |
|---|---|
| `COMBU` | `1` |
| `COMBU_RUN_ID`, `COMBU_EXPERIMENT`, `COMBU_TRIAL`, `COMBU_ATTEMPT` | the run's id, the experiment's and the trial's name, the attempt's number from 1 |
| `COMBU_PARAMS` | the parameters as JSON |
| `COMBU_PARAM_<NAME>` | each of them as text; the name in upper case, `_` for every character but letters and digits |
| `COMBU_SEED` | a number below 2^32, made from the run's seed (`--seed`) and the trial's name |
| `COMBU_CPUS`, `OMP_NUM_THREADS` | where `cpus` is set: that number, and its whole part, at least 1 |

The trial's own `env` wins over these. Containers and networks carry the labels `combu.run`, `combu.experiment`,
`combu.trial`, `combu.attempt`, `combu.spec` (the absolute path of the spec) and `combu.version`.

What is left of a run lies in `.combu/runs/<run>/`: `<trial>/<attempt>/stdout.log` and `stderr.log`, `events.jsonl` and
`run.json`. The nearest `.combu` above the spec is used; without one it is made in the working folder where that is above
the spec, else beside the spec. `COMBU_DIR` names another one.

## The UUID

`local NAME = "UUID"`, with any name and either quote, in the spec or in a file it imports, gets twelve random characters
`[a-z0-9]` instead. They are new for each run, the same everywhere in it, and recorded with it.
`std.extVar('combu.id')` and `(import 'combu.libsonnet').id` are the same value.

## Imports and external variables

`import 'FILE'` looks beside the importing file, then in the folders given with `-J`, then for the built-in
`combu.libsonnet`. `--ext-str NAME=TEXT` and `--ext-code NAME=CODE` are what `std.extVar('NAME')` gives.

`combu.libsonnet` has

| function | gives |
|---|---|
| `grid({lr: [0.1, 0.01], seed: [1, 2]})` | every combination, as objects; keys in alphabetical order, the first one slowest |
| `zip({lr: [0.1, 0.01], seed: [1, 2]})` | the first values together, then the second, .. |
| `name('solver', {mode: 'a', seed: 1})` | `'solver-a-1'`, a legal name for a trial |
| `range(0, 1, 0.25)` | numbers from, to, with a step, both ends included |
| `linspace(0, 1, 5)` | five numbers, evenly spaced |
| `logspace(-3, -1, 3)` | `[0.001, 0.01, 0.1]` |
| `sample(20, {lr: [0.001, 0.1]}, seed=1)` | random points of ranges, the same for the same seed |
| `random(seed)` | one number in 0..1, the same for the same seed |
| `id` | the UUID |

## Specs of the first combu

They load as they are: a list of trials with `name image ports volumes networks depends cmd`. What is different:

- `cmd` is split as a shell splits it, so quotes hold words together; it was split at every single blank. A `#` that would
  begin a comment has to be quoted.
- `"UUID"` is replaced where it is the value of a `local`, and no longer anywhere in the file. It has twelve characters.
- A host side of a volume that begins with `/`, `.` or `~` is a path; every one was a named volume.
- `networks` may be absent, and all of them are joined, not only the first.
- An unknown key, two trials of one name, an unknown or circular `depends` are errors; they were ignored.
"#;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{EXAMPLE, FIELDS, OPTIONS, TOP, reference};
    use crate::spec::{LoadOptions, load};

    fn loaded(text: &str) -> crate::model::experiment::Experiment {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spec.jsonnet");
        std::fs::write(&path, text).unwrap();
        load(&path, &LoadOptions { id: "abcdefghijkl".to_owned(), ..LoadOptions::default() }).unwrap()
    }

    #[test]
    fn every_form_in_the_manual_loads_and_says_something() {
        for field in FIELDS {
            for form in field.forms {
                let name = if field.name == "name" { "" } else { "name: 'some', " };
                let read = &loaded(&format!("[{{ {name}{}: {form} }}]", field.name)).trials[0];
                assert!(read.to_json().contains_key(field.name), "{}: {form}", field.name);
            }
        }
        for option in OPTIONS {
            for form in option.forms {
                let read = loaded(&format!("{{ trials: [], {}: {form} }}", option.name)).options;
                let Value::Object(map) = json!(read) else { panic!("options are an object") };
                assert!(map.contains_key(option.name), "{}: {form}", option.name);
            }
        }
        for key in TOP {
            for form in key.forms {
                let trials = if key.name == "trials" { "" } else { "trials: [], " };
                loaded(&format!("{{ {trials}{}: {form} }}", key.name));
            }
        }
    }

    #[test]
    fn every_field_of_a_trial_is_in_the_manual() {
        let known: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
        for key in crate::spec::trial::tests::full().to_json().keys() {
            assert!(known.contains(&key.as_str()), "{key} is not in FIELDS");
        }
        assert_eq!(known.len(), crate::spec::trial::tests::full().to_json().len());
    }

    #[test]
    fn the_example_of_the_manual_loads() {
        let text = EXAMPLE.trim_start_matches("```jsonnet\n").trim_end().trim_end_matches("```");
        let experiment = loaded(text);
        assert_eq!(experiment.trials.len(), 101);
        assert_eq!(experiment.trials[51].name.as_str(), "solver-soft-1");
        assert_eq!(experiment.trials[51].env["RUN"], "abcdefghijkl");
    }

    #[test]
    fn docs_spec_md_is_the_reference() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/spec.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, reference()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(written == reference(), "docs/spec.md is out of date: run `UPDATE_DOCS=1 cargo test` and commit it");
    }
}
