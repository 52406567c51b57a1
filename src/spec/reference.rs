//! The manual of the spec: `docs/spec.md`, made from the list of the keys.

use crate::spec::fields::{FIELDS, Key, TOP, options};

/// The manual of the spec as Markdown: the content of `docs/spec.md`.
pub fn reference() -> String {
    let mut text = String::new();
    for part in [BEGINNING, EXAMPLE, FORMS] {
        text.push_str(part);
    }
    list(&mut text, TOP.iter());
    text.push_str(OPTIONS);
    list(&mut text, options());
    text.push_str("\n## A trial\n\nOnly `name` is always required. `null` is as good as absent.\n\n");
    list(&mut text, FIELDS.iter());
    text.push_str(END);
    text
}

/// The keys as a list, with how each is written; a line is at most 120 columns wide.
fn list(text: &mut String, keys: impl Iterator<Item = &'static Key>) {
    for Key { name, forms, meaning, .. } in keys {
        let forms: Vec<_> = forms.iter().map(|form| format!("`{form}`")).collect();
        let mut column = 0;
        for word in format!("- **`{name}`** ({}): {meaning}", forms.join(" · ")).split(' ') {
            let width = word.chars().count();
            let gap = match column {
                0 => "",
                column if column + 1 + width <= 120 => " ",
                _ => "\n  ",
            };
            column = if gap == "\n  " { 2 } else { column + gap.len() } + width;
            text.push_str(gap);
            text.push_str(word);
        }
        text.push('\n');
    }
}

const BEGINNING: &str = "\
# The spec

A spec is a jsonnet or JSON file that states an experiment: its trials, each one container, and how they depend on
each other. `combu plan -f FILE` shows what combu makes of it without starting anything.

<!-- Written by `UPDATE_DOCS=1 cargo test` from src/spec/fields.rs; edit that. -->

";

/// The example of the manual; a test loads it.
pub(super) const EXAMPLE: &str = r#"```jsonnet
local combu = import 'combu.libsonnet';
local uuid = 'UUID';

{
  name: 'maze',
  parallel: '50%',
  retries: 1,
  defaults: { image: 'lab/solver:2', networks: ['maze'], env: { RUN: uuid } },
  trials: [
    {
      name: 'db',
      image: 'postgres:16',
      env: { POSTGRES_PASSWORD: 'maze' },
      healthcheck: { test: 'pg_isready', interval: '2s' },
    },
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

const OPTIONS: &str = "
### Run options

Each is also an option of `combu run` and a key of a script's `run()`; those win over the spec. What none of them says
is taken from `~/.config/combu/config.toml` (or `$XDG_CONFIG_HOME/combu/config.toml`), then from
`/etc/combu/config.toml`, files in TOML with the same keys:

```toml
parallel = \"50%\"
stop_grace = \"30s\"

[reserve]
cpus = 1
memory = \"4g\"
```

`combu config` shows each option with what says it, `combu config FILE` those of a run of that spec. `combu resume` and
`combu rerun` go on with the options of the run.

";

const END: &str = r#"
Durations are `'30m'`, `'1h 30m'`, `'90s'`, `'500ms'`, or a number of seconds. Sizes are a number of bytes, or have one
of the suffixes `b k m g t p`; as in Docker, every one of them is a power of 1024, and `m`, `mb`, `MiB` are the same.
A `~` is the home folder of whoever calls combu.

What combu records of a trial (`combu plan -o json`, events, a script's trial) is the same trial with everything
resolved: durations in seconds, sizes in bytes, absolute paths, commands as lists. It can be read back as a spec.

## Values that are not recorded

Everything that a spec says is recorded with its run: in `.combu/combu.db`, in `combu show`, in `combu plan -o json`. A
password does not belong there. Two keys say where a value comes from, and only that is recorded:

- `pass_env: ['TOKEN']`, or a name without a value in the list form of `env`, passes on the variable that combu itself
  was started with: `TOKEN=.. combu run sweep.jsonnet`.
- `env_file: '.env'` reads a file, as `docker run --env-file` does: one `NAME=VALUE` on a line, the value as it stands,
  quotes too; empty lines and lines that begin with `#` are passed over; a bare `NAME` passes on the caller's variable.

The values are read once, when a run begins, and again when `combu resume`, `combu rerun` or `combu run --resume` goes
on with it. One that cannot be had (a variable that is not set, a file that is not there) ends combu with exit code 2
before anything starts; `combu plan` says so, too. They are in no file of combu, no event, no report and no message.

For `combu run --resume`, trials are the same when they name the same variables and files. What the values are makes
no difference, nor what stands in a file: nothing of it is kept that it could be compared with.

A variable that several sides give a value has that of the first of these: `env`, `pass_env`, the last file of
`env_file`, combu itself (`COMBU_SEED`), the image.

What others can see is not for combu to decide: whoever may use Docker on a machine reads the variables of its
containers with `docker inspect`, as long as a container is there; the same user and root read those of a process in
`/proc/PID/environ`. And what a trial prints is in its logs.

For values that a spec itself needs, write the name alone: `combu run sweep.jsonnet --ext-str TOKEN` takes the value
from the environment. The command line is recorded, and `--ext-str TOKEN=..` with it; so is whatever the spec makes of
the value.

## What happens when

A trial starts when each of its prerequisites meets its condition: `started` (its process runs, or it ended well),
`healthy` (its healthcheck passed), `completed` (it ended well, with exit code 0) or `ended` (it will not run any more,
whether it succeeded, failed or was skipped). A trial whose prerequisite ended badly before that is skipped, with the
reason. Nothing else makes a trial wait but room: as many run at once as fit
the CPUs, the memory, the GPUs and the named limits of the run, a trial without `cpus` counting one; `-j` caps their
number besides. Room is kept for the first that does not fit, and those behind it take what is left; `priority`
changes the order. `docs/guest.md` has more of that.

A service is started when trials next in line need it, and stopped when all its dependants have ended. It takes no
place among the trials that run at once. The run's `timeout` is not applied to it. When its healthcheck fails for good
and others wait for it, it is stopped and ends as `unhealthy`. A service that ends while trials need it, with 0 or
because something stopped or killed it, is `lost` and started again, up to `crash_limit` times; those that have not
begun wait for it. One that fails is not, unless its `retries` say so. A trial that is a service only because it has no
command, and that nobody awaits as healthy, may do its work and end with 0: that meets `started`. A service without
dependants runs until all trials but services have ended; an experiment of services only runs until they end by
themselves, or are interrupted or killed.

## When an attempt does not succeed

`retries: 2` repeats an attempt that failed, was unhealthy, took too long or could not be started, at most twice. What
the engine refuses to start is refused again and not repeated. A trial that ran out of memory would run out of the
same again: it is repeated only where `on` names `oom`, or with more memory by `memory_factor`, until it has
`memory_max` (or what the run, or else the engine's host, has). Each attempt reserves and gets the memory it then has.
Of a signal, `on` takes the code that a shell shows: 137 is SIGKILL.

A trial that its engine lost (its machine went down, somebody removed its container, or stopped it and it ended with 0,
which is no success) is started again up to five times,
also without `retries`; `crash_limit` is another number, and an `on` without `lost` means never. One that may still run,
because the engine is out of reach for ten minutes and longer, is not started again: it ends as `lost`.

A trial that lacks what others use now waits for it, and a warning says for what: a host port, room on the daemon's
disk, a name that a container of another live run has; for local trials also processes and open files. `combu kill`
gives it up.

A trial that succeeded after an attempt that failed is called flaky.

`timeout: '300%'` is three times the median of the run's successes so far, services left out, once there are three.
The limit moves with the median, for running trials too. `slow` only announces, once for each attempt: without it,
that is at three quarters of the timeout.

When the run is paused (Ctrl-Z, or SIGTSTP by hand), its trials are paused by their engine before combu stops, and go on
with it. Timeouts, delays, the time budget and all times that are reported stand still meanwhile. A trial that is being
stopped already is not paused.

A bind mount's folder that is missing is made, owned by the caller, where the Docker daemon is on the same machine.
Containers of trials that succeeded are removed, unless their logs could not be written; the others stay until `kill`.
Networks stay while others use them; volumes are never removed.

## What a trial finds

- `COMBU`: `1`
- `COMBU_RUN_ID`, `COMBU_EXPERIMENT`, `COMBU_TRIAL`, `COMBU_ATTEMPT`: the run's id, the experiment's and the trial's
  name, the attempt's number from 1
- `COMBU_PARAMS`: the parameters as JSON
- `COMBU_PARAM_<NAME>`: each of them as text; the name in upper case, `_` for every character but letters and digits.
  Shells pass no variable on whose name has letters outside of A-Z: read such a parameter from `COMBU_PARAMS`
- `COMBU_PARAMS_FILE`: only where some of these do not fit, as Linux gives a program no variable of more than 128 KiB,
  some 1.5 MiB of them together, and none with a NUL byte. Then those are left out, the longest first, and this names a
  file with all parameters as JSON. A daemon that does not see this machine's files gives no such file
- `COMBU_SEED`: a number below 2^32, made from the run's seed (`--seed`) and the trial's name
- `COMBU_METRICS`: the path of a file to which it may write its metrics, a line of JSON each: [metrics.md](metrics.md)
- `COMBU_CPUS`, `OMP_NUM_THREADS`: where `cpus` is set: that number, and its whole part, at least 1

The trial's own `env` wins over these. Containers and networks carry the labels `combu.run`, `combu.experiment`,
`combu.trial`, `combu.attempt`, `combu.spec` (the absolute path of the spec) and `combu.version`.

What is left of a run lies in `.combu/runs/<run>/`: `<trial>/<attempt>/stdout.log` and `stderr.log` (each once
something was written to it), `<trial>/<attempt>/metrics/` or `.metrics/` (what `COMBU_METRICS` names), `params.json`
in one of these (what `COMBU_PARAMS_FILE` names) and `run.json`; while it is live also `control.sock`, through which
`combu set` and `combu why` reach it. The nearest `.combu` above the spec is used, up to the root of the repository
(the folder with `.git`); that of the home folder serves only specs that lie there. Without one it is made in the
working folder where that is above the spec, else beside the spec, for its owner alone; a lab that shares one makes it
first: `install -d -m 2770 .combu`. `COMBU_DIR` names another one.

A project that is moved keeps its history: `.combu` knows where it lay. The `.combu` of a copy, while the original is
there, can be looked at; verbs that start, stop or write name the original and do nothing.

## The UUID

`local NAME = "UUID"`, with any name and either quote, in the spec or in a file it imports, gets twelve random
characters `[a-z0-9]` instead. They are new for each run, the same everywhere in it, and recorded with it.
`std.extVar('combu.id')` and `(import 'combu.libsonnet').id` are the same value.

## Imports and external variables

`import 'FILE'` looks beside the importing file, then in the folders given with `-J`, then for the built-in
`combu.libsonnet`. `--ext-str NAME=TEXT` and `--ext-code NAME=CODE` are what `std.extVar('NAME')` gives.

`combu.libsonnet` has

- `grid({lr: [0.1, 0.01], seed: [1, 2]})`: every combination, as objects; keys in alphabetical order, the first one
  slowest
- `zip({lr: [0.1, 0.01], seed: [1, 2]})`: the first values together, then the second, ..
- `sample(space, 20, {seed: 1, how: 'latin'})`: points of a space, the same for the same seed; `how` is `'random'`,
  `'latin'` or `'sobol'`. Another param in the space changes no numbers of the others
- `uniform(0, 1)`, `loguniform(0.001, 1)`, `{from: 1, to: 8}` (whole numbers), `{from: 0, to: 1, step: 0.25}`, a list,
  or one value: what a param of a space may have
- `trials(base, points)`: a trial for each point. In the base's `name`, `cmd`, `entrypoint`, `env`, `workdir`, `volumes`
  and `outputs`, `{lr}` is the point's `lr`; `{{lr}}` stays as `{lr}`, and `${lr}` is the shell's
- `name('solver', {mode: 'a', seed: 1})`: `'solver-a-1'`, a legal name for a trial
- `range(0, 1, 0.25)`: numbers from, to, with a step, both ends included; also as `range_step`, its name in scripts
- `linspace(0, 1, 5)`: five numbers, evenly spaced
- `logspace(-3, -1, 3)`: `[0.001, 0.01, 0.1]`, by exponents; `geomspace(0.001, 0.1, 3)`: the same, by values
- `random(seed)`: one number in 0..1, the same for the same seed
- `id`: the UUID

```jsonnet
local combu = import 'combu.libsonnet';
combu.trials(
  { name: 'train', image: 'lab:dev', cmd: 'python train.py --lr {lr} --act {act}' },
  combu.grid({ lr: [0.1, 0.01], act: ['relu', 'tanh'] }),
)
```

## Specs of the first combu

They load as they are: a list of trials with `name image ports volumes networks depends cmd`. What is different:

- `cmd` is split as a shell splits it, so quotes hold words together; it was split at every single blank. A `#` that
  would begin a comment has to be quoted.
- `"UUID"` is replaced where it is the value of a `local`, and no longer anywhere in the file. It has twelve characters.
- A host side of a volume that begins with `/`, `.` or `~` is a path; every one was a named volume.
- `networks` may be absent, and all of them are joined, not only the first.
- An unknown key, two trials of one name, an unknown or circular `depends` are errors; they were ignored.
"#;
