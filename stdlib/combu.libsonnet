// The library of combu's specs: local combu = import 'combu.libsonnet';
// Scripts have the same functions under the same names.
{
  // The 12 characters [a-z0-9] that are new for each run; the same as local NAME = "UUID".
  id: std.extVar('combu.id'),

  // A space is an object; the values of each param are a list, a range ({ from: 1, to: 8 } has whole numbers, with a step
  // { from: 0, to: 1, step: 0.25 }), uniform(..) or loguniform(..), or one value.

  // All numbers between two, both included.
  uniform(from, to): { from: from, to: to, whole: false },

  // The same on a scale of powers: as many between 0.001 and 0.01 as between 0.01 and 0.1.
  loguniform(from, to): { from: from, to: to, log: true, whole: false },

  // Every combination of the values: grid({ lr: [0.1, 0.01], seed: [1, 2] }) has four objects { lr, seed }.
  // Keys are taken in alphabetical order, and the first one changes slowest.
  grid(space): std.native('combu.grid')(space),

  // The first value of each key together, then the second: zip({ lr: [0.1, 0.01], seed: [1, 2] }) has two objects.
  zip(space): std.native('combu.zip')(space),

  // n points of a space: sample({ lr: loguniform(0.0001, 1) }, 20, { seed: 1 }); how: 'random', 'latin' or 'sobol'.
  sample(space, n, options={}): std.native('combu.sample')(space, n, options),

  // A trial for each point: the base with the point as its params. In the base's name, cmd, env, workdir, volumes and outputs,
  // {lr} is the point's lr.
  trials(base, points): std.native('combu.trials')(base, points),

  // A trial's name from its parameters: name('solver', { mode: 'a', seed: 1 }) is 'solver-a-1'.
  // What Docker does not allow in a name becomes '_'; at most 60 characters. Six characters of a hash keep names apart that
  // were changed so.
  name(prefix, params={}): std.native('combu.name')(prefix, params),

  // from, from + step, .. up to and with to: range(0, 1, 0.25) is [0, 0.25, 0.5, 0.75, 1].
  range(from, to, step=1): std.native('combu.range')(from, to, step),
  range_step: self.range,

  // count values from from to to, both included, evenly spaced.
  linspace(from, to, count): std.native('combu.linspace')(from, to, count),

  // count powers of ten from 10^from to 10^to: logspace(-3, -1, 3) is [0.001, 0.01, 0.1].
  logspace(from, to, count): std.native('combu.logspace')(from, to, count),

  // count values from from to to, each the same multiple of the one before: geomspace(0.001, 0.1, 3) is [0.001, 0.01, 0.1].
  geomspace(from, to, count): std.native('combu.geomspace')(from, to, count),

  // A number in [0, 1) that depends on nothing but the seed, which may be any value.
  random(seed): std.parseHex(std.substr(std.md5(std.manifestJsonMinified(seed)), 0, 12)) / std.pow(2, 48),
}
