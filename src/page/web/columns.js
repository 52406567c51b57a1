// columns.js: the columns of trials by the names that `combu results` gives them, and the value of a trial in one.

const FIRST_FACTS = ['name'];
const LAST_FACTS = ['status', 'exit', 'attempts', 'elapsed'];
const USAGE_FACTS = ['peak_memory', 'cpu_seconds'];
const MORE_FACTS = ['run', 'experiment', 'started', 'ended', 'message', 'flaky', 'ok', 'read_bytes', 'written_bytes'];
const FACTS = [...FIRST_FACTS, ...LAST_FACTS, ...USAGE_FACTS, ...MORE_FACTS];
const IS_FACT = new Set(FACTS);

// The value of each fact.
const FACT_VALUES = {
  name: (trial) => trial.name,
  status: (trial) => trial.status,
  ok: (trial) => !!trial.ok,
  exit: (trial) => trial.exit,
  attempts: (trial) => trial.attempts,
  elapsed: (trial) => trial.elapsed,
  message: (trial) => trial.message,
  flaky: (trial) => !!trial.flaky,
  cpu_seconds: (trial) => trial.cpu_seconds,
  peak_memory: (trial) => trial.peak_memory,
  read_bytes: (trial) => trial.read_bytes,
  written_bytes: (trial) => trial.written_bytes,
  run: (trial) => trial.reused ?? trial.run.run,
  experiment: (trial) => trial.run.experiment,
  started: (trial) => trial.times.at(-1)?.started,
  ended: (trial) => trial.times.at(-1)?.ended,
};

let columnCache = { version: -1, list: [], byId: new Map() };

// All columns that some trial has a value in: facts, params, metrics, tags, fields.
function columns() {
  return columnsNow().list;
}

function column(id) {
  return columnsNow().byId.get(id) ?? null;
}

function columnsNow() {
  if (columnCache.version === data.version) return columnCache;
  const groups = { params: new Map(), metrics: new Map(), tags: new Map(), fields: new Map() };
  for (const trial of data.trials) {
    for (const name in trial.params) noteKind(groups.params, name, trial.params[name]);
    for (const name in trial.metrics) noteKind(groups.metrics, name, trial.metrics[name].last);
    for (const name in trial.tags) noteKind(groups.tags, name, trial.tags[name]);
    for (const name in trial.fields) noteKind(groups.fields, name, trial.fields[name]);
  }
  const list = [];
  const taken = new Set(FACTS);
  const facts = new Map();
  for (const trial of data.trials) for (const id of FACTS) noteKind(facts, id, FACT_VALUES[id](trial));
  for (const id of FACTS) {
    if (facts.has(id)) list.push(asColumn(id, id, 'fact', facts.get(id), FACT_VALUES[id]));
  }
  const put = (group, word, names, read) => {
    for (const name of names) {
      const id = taken.has(name) ? `${word}.${name}` : name;
      taken.add(name);
      list.push(asColumn(id, name, group, groups[word].get(name), (trial) => read(trial, name)));
    }
  };
  put('param', 'params', groups.params.keys(), (trial, name) => trial.params[name]);
  put('metric', 'metrics', [...groups.metrics.keys()].sort(), (trial, name) => trial.metrics[name]?.last);
  put('tag', 'tags', groups.tags.keys(), (trial, name) => trial.tags[name]);
  for (const name of groups.fields.keys()) {
    if (!taken.has(name) && name !== 'params' && name !== 'metrics') {
      list.push(asColumn(name, name, 'field', groups.fields.get(name), (trial) => trial.fields[name]));
    }
  }
  columnCache = { version: data.version, list, byId: new Map(list.map((one) => [one.id, one])) };
  return columnCache;
}

function noteKind(kinds, name, one) {
  if (one === null || one === undefined) return;
  let kind = kinds.get(name);
  if (!kind) {
    kind = { number: 0, boolean: 0, text: 0, low: Infinity, high: -Infinity, first: one, differs: false };
    kinds.set(name, kind);
  } else if (one !== kind.first && typeof one !== 'object') kind.differs = true;
  if (typeof one === 'number') {
    kind.number += 1;
    if (one < kind.low) kind.low = one;
    if (one > kind.high) kind.high = one;
  } else if (typeof one === 'boolean') kind.boolean += 1;
  else kind.text += 1;
}

function asColumn(id, name, group, kind, read) {
  const type = kind.text ? 'text' : kind.number && !kind.boolean ? 'number' : kind.boolean && !kind.number ? 'boolean' : 'text';
  const isWide = type === 'number' && kind.low > 0 && kind.high / kind.low >= 50;
  return { id, name, group, type, low: kind.low, high: kind.high, differs: kind.differs, log: isWide && group !== 'fact', read };
}

// The value of a trial in a column, as `combu results` reads it; `null` where it has none.
function value(trial, id) {
  const known = columnsNow().byId.get(id);
  if (known) return known.read(trial) ?? null;
  return valueByName(trial, id);
}

// Longer names: `params.NAME`, `metrics.NAME`, `tags.NAME`, and of a metric `.min`, `.max`, `.count`, `.step`.
function valueByName(trial, id) {
  if (IS_FACT.has(id)) return FACT_VALUES[id](trial) ?? null;
  const dot = id.indexOf('.');
  const group = ['params', 'metrics', 'tags'].includes(id.slice(0, dot)) ? id.slice(0, dot) : '';
  const name = group ? id.slice(dot + 1) : id;
  const is = (one) => group === '' || group === one;
  if (is('params') && Object.hasOwn(trial.params, name)) return trial.params[name];
  if (is('metrics')) {
    if (Object.hasOwn(trial.metrics, name)) return trial.metrics[name].last ?? null;
    const last = name.lastIndexOf('.');
    const what = name.slice(last + 1);
    const metric = last > 0 ? trial.metrics[name.slice(0, last)] : null;
    if (metric && ['min', 'max', 'count', 'step'].includes(what)) return metric[what] ?? null;
  }
  if (is('tags') && Object.hasOwn(trial.tags, name)) return trial.tags[name];
  return group === '' ? trial.fields[name] ?? null : null;
}

// The params that more than one value was given among the trials shown.
let varyingCache = { trials: null, list: [] };

function varying() {
  if (varyingCache.trials === data.filtered) return varyingCache.list;
  const list = columns().filter((one) => {
    if (one.group !== 'param') return false;
    let first;
    for (const trial of data.filtered) {
      const found = plainText(one.read(trial));
      if (first === undefined) first = found;
      else if (found !== first) return true;
    }
    return false;
  });
  varyingCache = { trials: data.filtered, list };
  return list;
}

// A value as CSV and sorting have it: texts without quotes, nothing for null.
function plainText(one) {
  if (one === null || one === undefined) return '';
  return typeof one === 'object' ? JSON.stringify(one) : String(one);
}

// The order of `combu results --sort`: numbers before texts, and last those that have nothing.
function compareValues(one, other, isDown) {
  const [noOne, noOther] = [one === null || one === undefined, other === null || other === undefined];
  if (noOne || noOther) return noOne - noOther;
  const turn = isDown ? -1 : 1;
  const [isNumber, isOtherNumber] = [typeof one === 'number', typeof other === 'number'];
  if (isNumber && isOtherNumber) return turn * (one - other);
  if (isNumber !== isOtherNumber) return isNumber ? -1 : 1;
  return turn * compareTexts(plainText(one), plainText(other));
}

// Texts in the order of their code points, as Rust sorts them.
function compareTexts(one, other) {
  const end = Math.min(one.length, other.length);
  for (let place = 0; place < end; place += 1) {
    const [a, b] = [one.charCodeAt(place), other.charCodeAt(place)];
    if (a === b) continue;
    const [isHalf, isOtherHalf] = [(a & 0xf800) === 0xd800, (b & 0xf800) === 0xd800];
    return isHalf !== isOtherHalf ? (isHalf ? 1 : -1) : a - b;
  }
  return one.length - other.length;
}

// The best first: the order that a goal gives trials with a value.
function compareGoal(goal) {
  const turn = goal.sense === 'max' ? -1 : 1;
  return (one, other) => {
    const [a, b] = [one.value ?? null, other.value ?? null];
    if (a === null || b === null) return (a === null) - (b === null);
    return turn * (a - b);
  };
}
