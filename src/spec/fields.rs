//! The keys of a spec: the one list that both the reader and `docs/spec.md` use.

use std::sync::LazyLock;

use crate::model::name::EngineName;
use crate::model::options::{Occasion, Remove, SpecSearch};
use crate::model::retry::On;
use crate::model::trial::{Condition, Pull, Trial};
use crate::spec::shape::Shape::{self, Any, Either, List, Number, Object, Table, Text, Truth, Whole, Word};
use crate::spec::shape::{COMMAND, QUANTITY, SCALAR, TEXT_OR_TEXTS, TEXTS};

/// A key of a spec and what the manual says of it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// How its value is written, as jsonnet; every one of them loads.
    pub forms: &'static [&'static str],
    /// The shape of its value, as far as a schema tells it.
    pub shape: Shape,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

const fn field(name: &'static str, forms: &'static [&'static str], shape: Shape, meaning: &'static str) -> Key {
    Key { name, forms, shape, meaning }
}

/// What can be said of retries.
const RETRY_KEYS: &[(&str, Shape)] = &[
    ("count", Whole),
    ("delay", QUANTITY),
    ("backoff", Word(|| vec!["fixed", "exponential"])),
    ("max_delay", QUANTITY),
    ("jitter", Truth),
    ("on", List(&Either(&[Whole, Word(|| On::WORDS.map(|(word, _)| word).to_vec())]))),
    ("crash_limit", Whole),
    ("memory_factor", Number),
    ("memory_max", QUANTITY),
];

/// A number of retries, or an object that says one of what is repeated, and how often.
const RETRIES: Shape = Either(&[
    Whole,
    Object(RETRY_KEYS, &["count"]),
    Object(RETRY_KEYS, &["crash_limit"]),
    Object(RETRY_KEYS, &["memory_factor"]),
]);

/// One side of a published port.
const SIDE: Shape = Either(&[Whole, Text]);

/// A published port.
const PORT: Shape = Either(&[
    Whole,
    Text,
    Object(
        &[("host", SIDE), ("container", SIDE), ("ip", Text), ("protocol", Word(|| vec!["tcp", "udp", "sctp"]))],
        &["container"],
    ),
]);

/// A mount.
const VOLUME: Shape =
    Either(&[Text, Object(&[("host", Text), ("container", Text), ("readonly", Truth)], &["container"])]);

/// A prerequisite.
const DEPENDENCY: Shape = Either(&[
    Text,
    Object(&[("trial", Text), ("condition", Word(|| Condition::ALL.map(Condition::as_str).to_vec()))], &["trial"]),
]);

/// A healthcheck.
const HEALTHCHECK: Shape = Object(
    &[("test", COMMAND), ("interval", QUANTITY), ("timeout", QUANTITY), ("retries", Whole), ("start_period", QUANTITY)],
    &["test"],
);

/// What is done when a run has ended.
const ON_END: Shape = Either(&[
    Text,
    Object(
        &[
            ("webhook", Text),
            ("command", Text),
            ("mail", Text),
            ("when", Word(|| Occasion::ALL.map(Occasion::as_str).to_vec())),
        ],
        &[],
    ),
]);

/// Resource limits.
const ULIMITS: Shape = Either(&[
    Table(&Either(&[Whole, Object(&[("soft", Whole), ("hard", Whole)], &["soft", "hard"])])),
    List(&Object(&[("name", Text), ("soft", Whole), ("hard", Whole)], &["name", "soft", "hard"])),
]);

/// The names of a trial's fields.
pub(super) fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| FIELDS.iter().map(|field| field.name).collect());
    &NAMES
}

/// The names of everything that may stand at the top level of the object form.
pub(super) fn top_names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&'static str>> =
        LazyLock::new(|| TOP.iter().chain(options()).map(|field| field.name).collect());
    &NAMES
}

/// The names of the run options.
pub(super) fn option_names() -> &'static [&'static str] {
    &top_names()[TOP.len()..]
}

/// All run options.
pub(super) fn options() -> impl Iterator<Item = &'static Key> {
    BUDGET.iter().chain(OPTIONS)
}

/// The key of the object form that holds the trials.
pub(super) const TRIALS: &str = "trials";

/// The key of the object form that holds a search.
pub(super) const SEARCH: &str = "search";

/// The keys of the object form, run options apart.
pub const TOP: &[Key] = &[
    field("name", &["'irl'"], Text, "The experiment's name. Default: the file's name without its ending."),
    field(
        "defaults",
        &["{image: 'solver', env: {LANG: 'C'}}"],
        Any,
        "Fields of every trial that does not say them itself. `env`, `labels`, `metrics` and `params` are merged key by key, `env` and `pass_env` together; the others are replaced as a whole; `null` in a trial takes a default away.",
    ),
    field(
        "$schema",
        &["'spec.schema.json'"],
        Text,
        "The schema that an editor checks the file with, as `combu help schema` prints it. combu does not read it.",
    ),
    field(TRIALS, &["[{name: 'first', image: 'solver'}]"], Any, "The trials. Required, unless `search` makes them."),
    field(
        SEARCH,
        &[
            "{space: {lr: {from: 1e-5, to: 1, log: true}}, base: {name: 'train', image: 'solver', cmd: 'train --lr {lr}'}, trials: 100}",
        ],
        Object(
            &[
                ("space", Table(&Any)),
                ("base", Table(&Any)),
                ("trials", Whole),
                ("method", Word(|| SpecSearch::METHODS.to_vec())),
                ("startup", Whole),
                ("enough", Text),
                ("seed", Whole),
            ],
            &["space", "base", "trials"],
        ),
        "A search for the best `goal`: `trials` so many are made one after the other, each of what those before came to. `space` has the values of each param ([spaces](scripting.md#spaces)); `base` the fields of a trial, in which `{lr}` stands for a param; `method` is `tpe` (default), `cma`, `random` or `sobol`; `startup` (10) how many are made before anything is known; `enough: 'loss < 0.1'` ends it early; `seed` (0) is that of its points. `combu resume` goes on with it.",
    ),
];

/// The run options that can be changed while a run is live.
pub const BUDGET: &[Key] = &[
    field(
        "parallel",
        &["4", "'50%'", "-1"],
        Either(&[Whole, Text]),
        "How many trials run at once: that many, a part of the host's CPUs, or all CPUs but one. Default: what fits the host's CPUs and memory.",
    ),
    field("cpus", &["8", "1.5"], QUANTITY, "CPUs for all trials together. Default: those of the engine's host."),
    field("memory", &["'16g'"], QUANTITY, "Memory for all trials together. Default: that of the engine's host."),
    field(
        "gpus",
        &["['0', '1']", "'0,1'", "'nvidia.com/gpu=0'"],
        COMMAND,
        "GPUs for all trials together, by id; they are used even if somebody else uses them. Default: those found on the engine's host that nobody else uses.",
    ),
    field(
        "limits",
        &["{license: 2}"],
        Table(&Whole),
        "Named limits: how much the trials that run may take of each together. A trial counts against them with its own `limits`.",
    ),
    field(
        "load",
        &["'80%'", "3"],
        QUANTITY,
        "Nothing new is started while more processes run, or want to run: a share of the host's CPUs, or a number.",
    ),
    field("memfree", &["'4g'"], QUANTITY, "Nothing new is started while less memory is free."),
    field(
        "pressure",
        &["20", "'20%'"],
        QUANTITY,
        "Nothing new is started while the kernel's pressure-stall information (the share of the last 10 s in which something waited for CPU, memory or disk, in percent) is above.",
    ),
];

/// The other run options.
pub const OPTIONS: &[Key] = &[
    field("retries", &["2", "{count: 2, delay: '10s'}"], RETRIES, "`retries` of trials that do not say it themselves."),
    field("timeout", &["'2h'", "'300%'"], QUANTITY, "`timeout` of trials that do not say it themselves."),
    field(
        "slow",
        &["'10m'", "'200%'"],
        QUANTITY,
        "When a trial that still runs is announced as slow. Default: after three quarters of its `timeout`.",
    ),
    field(
        "time_budget",
        &["'8h'"],
        QUANTITY,
        "Longest the whole run may take; then it is halted, and what runs is stopped.",
    ),
    field("stop_grace", &["'30s'"], QUANTITY, "`stop_grace` of trials that do not say it themselves."),
    field(
        "delay",
        &["'5s'"],
        QUANTITY,
        "Shortest time between two starts, so that trials do not all load data or ask a server at once. Default: none.",
    ),
    field(
        "halt",
        &["'now,fail=1'", "'soon,fail=10%'", "'now,success=1'", "'soon,done=50'"],
        Text,
        "When the run ends early: `now` stops what runs, `soon` lets it end; counted are `fail`, `success` or `done` trials, as a number or a share. Default: never.",
    ),
    field(
        "pull",
        &["'always'", "'missing'", "'never'"],
        Word(|| Pull::ALL.map(Pull::as_str).to_vec()),
        "`pull` of trials that do not say it themselves.",
    ),
    field(
        "engine",
        &["'docker'", "'local'", "'fake'"],
        Word(|| EngineName::ALL.map(EngineName::as_str).to_vec()),
        "`engine` of trials that do not say it themselves.",
    ),
    field(
        "goal",
        &["'min loss'", "'max acc'", "'min best(loss)'"],
        Text,
        "What the run is to find: the trial with the least or the greatest value of a metric, its last one or the best over all steps. The summary names it, and tables have it first. Default: none.",
    ),
    field(
        "prune",
        &["'asha(from=1, keep=3)'", "'loss > 10'", "['loss > 10', 'median']"],
        TEXT_OR_TEXTS,
        "Rules by which trials end early that are not worth going on with; their outcome is `pruned`, which is no failure. `asha(from, keep, most)`: at the steps `from`, `from * keep`, `from * keep^2` .. (before `most`) the best of `keep` trials goes on; with `pause=true` the others are paused and go on when they are among the best of the more that came, and `hold=8g` bounds the memory that they keep. `median(grace, least)`: a trial ends whose best value is worse than the median of the means of at least `least` others until the same step, not before step `grace`. `plateau(steps, by)`: one ends whose best value did not become better by more than `by` in so many values. A bound such as `loss > 10`. All but bounds go by `goal`. Default: none.",
    ),
    field(
        "rm",
        &["'success'", "'always'", "'never'"],
        Word(|| Remove::ALL.map(Remove::as_str).to_vec()),
        "Which containers are removed once they ended and their logs are safe. Default: `success` (those of trials that succeeded or were pruned); the others stay until `combu kill`.",
    ),
    field(
        "seed",
        &["42"],
        Whole,
        "Seed of the run, from which every trial's `COMBU_SEED` is derived. Default: a random one.",
    ),
    field(
        "reserve",
        &["{cpus: 1, memory: '2g'}", "'cpus=1,memory=2g'"],
        Either(&[Text, Object(&[("cpus", QUANTITY), ("memory", QUANTITY)], &[])]),
        "What of the host is left to the people at the machine: taken off `cpus` and `memory`.",
    ),
    field("nice", &["10", "true"], Either(&[Truth, Whole]), "`nice` of trials that do not say it themselves."),
    field(
        "prefix",
        &["'experiment'", "'user'", "'lab-'", "true"],
        Either(&[Text, Truth]),
        "What the names of containers begin with, so that several people or experiments can use the same names of trials on one daemon: the name of the experiment (as `true`), of the user, or a text; a `-` is put in between where the text ends in a letter or digit. Trials, folders, results and names on networks stay as they are. Default: nothing.",
    ),
    field(
        "outputs_to",
        &["'s3://bucket/prefix'", "'file:///folder'"],
        Text,
        "Where the outputs of trials are sent when they have ended, below `<experiment>/<run>/<trial>/`: [outputs.md](outputs.md). Default: nowhere; they are kept in the run's folder either way.",
    ),
    field(
        "on_end",
        &[
            "'https://hooks.slack.com/..'",
            "'notify-send \"$COMBU_SUMMARY\"'",
            "'mailto:hana@lab'",
            "{webhook: '$SLACK_HOOK', when: 'failed'}",
            "['none']",
        ],
        Either(&[ON_END, List(&ON_END)]),
        "What is done when the run has ended: `webhook` takes a message (Slack, Discord, Mattermost), `command` runs with `sh`, `mail` is sent with `sendmail`; a text is one of them by how it begins. `when: 'failed'`: unless all went well. A list says several, `none` nothing. Never fails a run: [notifications.md](notifications.md). Default: nothing.",
    ),
];

/// The fields of a trial.
pub static FIELDS: [Key; Trial::FIELDS] = [
    field(
        "name",
        &["'solver-1'"],
        Text,
        "Name of the trial and of its container: two or more letters (a-z, A-Z), digits, `_`, `.` and `-`, a letter or digit first. Required, and unique in the experiment.",
    ),
    field(
        "image",
        &["'busybox'", "'lab/solver:2'"],
        Text,
        "The image. Required for engines that run images. A run uses one content of it, though the name may move meanwhile.",
    ),
    field(
        "cmd",
        &["'make simulate MODE=hard'", "['python', 'train.py', 3]"],
        COMMAND,
        "The command. A string is split as a POSIX shell splits it, quotes honoured, and a backslash at the end of a line continues it; nothing is expanded, so write `sh -c '...'` for `$VAR`, `*` or pipes. Absent or empty: the image's own.",
    ),
    field(
        "entrypoint",
        &["'/init'", "['sh', '-c']"],
        COMMAND,
        "Overrides the image's entrypoint; the forms are those of `cmd`.",
    ),
    field(
        "env",
        &["{LR: 0.1, MODE: 'hard', DEBUG: true}", "['TOKEN', 'LR=0.1']"],
        Either(&[Table(&SCALAR), TEXTS]),
        "Environment variables. Numbers and truth values become strings. In a list, a name without a value is one of `pass_env`. What is written here is recorded with the run: passwords belong into `pass_env` or `env_file`.",
    ),
    field(
        "pass_env",
        &["['TOKEN']"],
        TEXTS,
        "Variables that are passed on from the environment of combu, by name: [values that are not recorded](#values-that-are-not-recorded). `env` wins over them.",
    ),
    field(
        "env_file",
        &["'.env'", "['base.env', 'secret.env']"],
        TEXT_OR_TEXTS,
        "Files of variables, relative to the spec's folder, in the format of `docker run --env-file`: `A=1` on a line, `#` for comments, a bare `NAME` passes the caller's variable on. A later file wins; `pass_env` and `env` win over them: [values that are not recorded](#values-that-are-not-recorded).",
    ),
    field("workdir", &["'/work'"], Text, "Working folder in the container."),
    field(
        "user",
        &["'host'", "'1000:1000'", "1000"],
        Either(&[Whole, Text]),
        "Who runs the command: a name, `uid` or `uid:gid`; `host` is the caller's own uid and gid, so that files in bind mounts are the caller's. Default: the image's own.",
    ),
    field("hostname", &["'solver'"], Text, "Host name inside the container, at most 63 letters."),
    field(
        "labels",
        &["{owner: 'lab', paper: 3}", "['owner=lab', 'paper=3']"],
        Either(&[Table(&SCALAR), TEXTS]),
        "Labels of the container. `combu.` in front is taken.",
    ),
    field(
        "ports",
        &[
            "[{host: 8080, container: 80}]",
            "[{host: '2222/tcp', container: '22/tcp', ip: '127.0.0.1'}]",
            "['8080:80', '127.0.0.1:5353:53/udp', 80]",
        ],
        List(&PORT),
        "Published ports. The protocol (`tcp`, `udp`, `sctp`) may stand on either side or as `protocol`. Without a host side the engine chooses a free port. Trials that publish the same port of the host run one after the other.",
    ),
    field(
        "volumes",
        &[
            "[{host: './data', container: '/data', readonly: true}]",
            "['./out:/out', '~/sets:/sets:ro', 'cache:/cache', '/scratch']",
        ],
        List(&VOLUME),
        "Mounts. A host side that begins with `/`, `.` or `~` is a path, relative to the spec's folder; a bare name is a named volume. Without a host side it is a volume of this container alone, which is removed with it.",
    ),
    field(
        "networks",
        &["['irl']"],
        TEXTS,
        "Networks to join, created when missing. Trials find each other by name on them.",
    ),
    field(
        "depends",
        &["['db']", "[{trial: 'db', condition: 'healthy'}]", "[{trial: 'train', condition: 'ended'}]"],
        List(&DEPENDENCY),
        "What must be there first: `started`, `healthy`, `completed` (it succeeded) or `ended` (whether it succeeded or not). A bare name waits until it is started, and healthy where it has a healthcheck.",
    ),
    field(
        "service",
        &["true", "false"],
        Truth,
        "Whether it is stopped when nothing needs it any more. Default: true for a trial that others wait for until it is healthy, and for one without `cmd` that others depend on, unless some wait for its end.",
    ),
    field(
        "healthcheck",
        &[
            "{test: 'pg_isready', interval: '2s', timeout: '1s', retries: 5, start_period: '10s'}",
            "{test: ['CMD', 'curl', '-f', 'localhost']}",
        ],
        HEALTHCHECK,
        "How the engine finds out that it is ready. A string is a line for the container's shell, a list is `CMD` and words or `CMD-SHELL` and a line.",
    ),
    field(
        "cpus",
        &["2", "0.5", "'1.5'"],
        QUANTITY,
        "CPUs it needs: reserved on the host and enforced. Default: one CPU is reserved; no limit is set.",
    ),
    field(
        "memory",
        &["'512m'", "'2g'", "'64MiB'", "536870912"],
        QUANTITY,
        "Memory it needs: reserved on the host and enforced.",
    ),
    field(
        "gpus",
        &["1", "'all'", "['0', '1']"],
        Either(&[Whole, Text, List(&SCALAR)]),
        "GPUs it needs: a number, all of them, or their ids. A string other than `all` is one id.",
    ),
    field(
        "pin",
        &["true"],
        Truth,
        "Whether it gets whole cores of its own, as many as its `cpus`, which then is a whole number. Trials that are not pinned may still run there.",
    ),
    field(
        "limits",
        &["{license: 1}"],
        Table(&Whole),
        "How much it takes, while it runs, of limits that the run names: `--limit license=2` or `limits` at the top level.",
    ),
    field(
        "nice",
        &["10", "true"],
        Either(&[Truth, Whole]),
        "How much it gives way to other work of the machine, 0 to 19 as in nice(1): low CPU shares and disk weight. `true` is 10. Default: 0.",
    ),
    field("shm_size", &["'1g'"], QUANTITY, "Size of `/dev/shm`."),
    field("pids_limit", &["100", "-1"], Whole, "Most processes and threads; -1 is no limit."),
    field(
        "timeout",
        &["'30m'", "90", "'300%'"],
        QUANTITY,
        "Longest an attempt may run; `'300%'` is three times the median of the run's successes so far, once there are three.",
    ),
    field(
        "stop_signal",
        &["'SIGINT'", "10"],
        SCALAR,
        "The signal that asks it to end, by name or number. Default: the image's own, or SIGTERM.",
    ),
    field("stop_grace", &["'10s'"], QUANTITY, "Time between the stop signal and the kill."),
    field(
        "retries",
        &[
            "2",
            "{count: 3, delay: '5s', backoff: 'exponential', max_delay: '1m', jitter: true}",
            "{count: 2, on: ['failed', 'timeout', 3]}",
            "{memory_factor: 2, memory_max: '32g', crash_limit: 5}",
        ],
        RETRIES,
        "How often a failed attempt is repeated, and after what delay. `backoff` is `fixed` or `exponential`; `jitter` shortens each delay by up to a half. `on` lists the ends that are followed by another attempt: `failed`, `oom`, `timeout`, `lost` and exit codes. An attempt that its engine lost is repeated up to `crash_limit` times (default 5), which are not counted in `count`. With `memory_factor`, a trial that ran out of its `memory` is started again with so many times as much, up to `memory_max`; that is not counted either.",
    ),
    field(
        "params",
        &["{lr: 0.1, layers: [64, 64]}"],
        Table(&Any),
        "Its point in the parameter space: recorded, and given to it as `COMBU_PARAMS` and `COMBU_PARAM_<NAME>`; what does not fit there is in the file that `COMBU_PARAMS_FILE` names.",
    ),
    field(
        "metrics",
        &["{loss: 'loss: ([0-9.]+)', acc: 'acc=(\\\\S+)'}"],
        Table(&Text),
        "Metrics that it prints: the name of each and a regular expression with one group, the value, which is looked for in every line of its standard output. There are two other ways, which need nothing here: [metrics.md](metrics.md).",
    ),
    field(
        "outputs",
        &["['/out/model.pt', '/out/log']"],
        TEXTS,
        "Files and folders that are copied out when it has ended, however it did, into `.combu/runs/<run>/<trial>/outputs/`: [outputs.md](outputs.md). Relative ones start where its command ran.",
    ),
    field("priority", &["10", "-1"], Whole, "Higher starts earlier among those that are ready. Default: 0."),
    field(
        "pull",
        &["'always'", "'missing'", "'never'"],
        Word(|| Pull::ALL.map(Pull::as_str).to_vec()),
        "When the image is pulled; always means once per run. Default: `missing`.",
    ),
    field(
        "engine",
        &["'docker'", "'local'", "'fake'"],
        Word(|| EngineName::ALL.map(EngineName::as_str).to_vec()),
        "What runs it. Default: `docker`.",
    ),
    field("init", &["true"], Truth, "Whether an init process is PID 1."),
    field("platform", &["'linux/arm64'"], Text, "Platform of the image."),
    field(
        "ulimits",
        &["{nofile: 1024}", "{nofile: {soft: 1024, hard: 4096}}", "[{name: 'core', soft: 0, hard: -1}]"],
        ULIMITS,
        "Resource limits; -1 is no limit.",
    ),
    field(
        "tmpfs",
        &["'/run'", "['/run:size=64m', '/tmp']", "{'/run': 'size=64m'}"],
        Either(&[TEXT_OR_TEXTS, Table(&Text)]),
        "Memory mounts, with mount options.",
    ),
    field("devices", &["['/dev/fuse', '/dev/sda:/dev/xvda:r']"], TEXTS, "Devices of the host."),
    field("cap_add", &["['SYS_PTRACE']"], TEXTS, "Linux capabilities to add."),
    field(
        "extra_hosts",
        &["['registry:10.0.0.5']", "{registry: '10.0.0.5'}"],
        Either(&[TEXTS, Table(&Text)]),
        "Lines for `/etc/hosts`.",
    ),
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::{FIELDS, TOP, options};
    use crate::model::suggest::misspelt;
    use crate::spec::reader::is_of_compose;
    use crate::spec::reference::{EXAMPLE, reference};
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
        for option in options() {
            for form in option.forms {
                let read = loaded(&format!("{{ trials: [], {}: {form} }}", option.name)).options;
                let Value::Object(map) = json!(read) else { panic!("options are an object") };
                assert!(map.contains_key(option.name), "{}: {form}", option.name);
            }
        }
        for key in TOP {
            for form in key.forms {
                let trials = if key.name == "trials" { "" } else { "trials: [], " };
                loaded(&format!("{{ {trials}'{}': {form} }}", key.name));
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
    fn every_misspelt_key_is_recognized() {
        let hint = |object: Value| crate::spec::trial(&object, Path::new("/lab")).unwrap_err().to_string();
        let known: Vec<&str> = super::names().to_vec();
        let mut count = 0;
        for name in &known {
            for slip in misspelt(name, &known).iter().filter(|slip| !is_of_compose(slip)) {
                let told = hint(json!({"name": "one", slip.as_str(): 1}));
                assert!(told.contains(&format!("unknown key `{slip}`; did you mean `{name}`?")), "{told}");
                count += 1;
            }
        }
        let known = super::option_names();
        for name in known {
            for slip in misspelt(name, known).iter().filter(|slip| !is_of_compose(slip)) {
                let Value::Object(map) = json!({slip.as_str(): 1}) else { unreachable!() };
                let told = crate::spec::options(&map).unwrap_err().to_string();
                assert!(told.contains(&format!("unknown key `{slip}`; did you mean `{name}`?")), "{told}");
                count += 1;
            }
        }
        assert!(count > 500, "{count}");
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
