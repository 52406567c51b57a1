// The library of combu's specs: local combu = import 'combu.libsonnet';
{
  local combu = self,

  // The 12 characters [a-z0-9] that are new for each run; the same as local NAME = "UUID".
  id: std.extVar('combu.id'),

  // Every combination of the values: grid({ lr: [0.1, 0.01], seed: [1, 2] }) has four objects { lr, seed }.
  // Keys are taken in alphabetical order, and the first one changes slowest.
  grid(space):
    local extend(points, key) = [
      point { [key]: value }
      for point in points
      for value in space[key]
    ];
    std.foldl(extend, std.objectFields(space), [{}]),

  // The first value of each key together, then the second: zip({ lr: [0.1, 0.01], seed: [1, 2] }) has two objects.
  zip(space):
    local keys = std.objectFields(space);
    local lengths = std.set([std.length(space[key]) for key in keys]);
    assert std.length(lengths) <= 1 : 'zip: the lists differ in length: %s' % [
      std.join(', ', ['%s has %d' % [key, std.length(space[key])] for key in keys]),
    ];
    if keys == [] then [] else [
      { [key]: space[key][index] for key in keys }
      for index in std.range(0, lengths[0] - 1)
    ],

  // A trial's name from its parameters: name('solver', { mode: 'a', seed: 1 }) is 'solver-a-1'.
  // What Docker does not allow in a name becomes '_', or is left out at its beginning; at most 63 characters, as host names
  // have. Six characters of a hash keep names apart that were changed so.
  name(prefix, params={}):
    local text(value) = if std.isString(value) then value else std.manifestJsonMinified(value);
    local values = [text(params[key]) for key in std.objectFields(params)];
    local wanted = std.join('-', [prefix] + values);
    local legal(c) =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    local clean = std.join('', [if legal(c) then c else '_' for c in std.stringChars(wanted)]);
    local name = std.substr(std.lstripChars(clean, '_.-'), 0, 63);
    local hash = std.substr(std.md5(wanted), 0, 6);
    if name == wanted then name else std.lstripChars(std.substr(name, 0, 56) + '-' + hash, '-'),

  // from, from + step, .. up to and with to: range(0, 1, 0.25) is [0, 0.25, 0.5, 0.75, 1].
  range(from, to, step=1):
    assert step != 0 : 'range: a step of 0 never arrives';
    // A thousandth of a step makes up for what floating point loses on the way.
    local count = std.floor((to - from) / step + 0.001);
    [combu.tidy(from + index * step) for index in std.range(0, count)],

  // count values from from to to, both included, evenly spaced.
  linspace(from, to, count):
    if count == 1 then [from] else [
      combu.tidy(from + (to - from) * index / (count - 1))
      for index in std.range(0, count - 1)
    ],

  // count powers of ten from 10^from to 10^to: logspace(-3, -1, 3) is [0.001, 0.01, 0.1].
  logspace(from, to, count): [combu.tidy(std.pow(10, exponent)) for exponent in combu.linspace(from, to, count)],

  // Takes away what binary fractions leave behind: 0.30000000000000004 is 0.3.
  tidy(number):: std.parseJson('%.14e' % number),

  // A number in [0, 1) that depends on nothing but the seed, which may be any value.
  random(seed): std.parseHex(std.substr(std.md5(std.manifestJsonMinified(seed)), 0, 12)) / std.pow(2, 48),

  // count random points of a space of ranges: sample(20, { lr: [0.001, 0.1] }, seed=1).
  sample(count, space, seed=0): [
    {
      [key]: space[key][0] + (space[key][1] - space[key][0]) * combu.random([seed, index, key])
      for key in std.objectFields(space)
    }
    for index in std.range(0, count - 1)
  ],
}
