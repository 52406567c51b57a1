// store.js: the runs and trials of the page, which of them are shown, and who is told when that changes.
//
// A change is told once per frame. The reasons are words: 'data', 'filter', 'brush', 'hover', 'theme', 'size', 'choice'.

const data = { at: 0, combu: '', runs: [], trials: [], services: [], curves: new Map(), filtered: [], hovered: null, version: 0 };

// Choices of the viewer, kept in the location's hash: a link to the page keeps them.
const store = {
  choices: readHash(),
  get(key, fallback) {
    return key in store.choices ? store.choices[key] : fallback;
  },
  set(key, chosen) {
    if (chosen === null || chosen === undefined) delete store.choices[key];
    else store.choices[key] = chosen;
    const part = ([name, one]) => `${encodeURIComponent(name)}=${encodeURIComponent(JSON.stringify(one))}`;
    const parts = Object.entries(store.choices).map(part);
    const hash = parts.length ? `#${parts.join('&')}` : location.pathname + location.search;
    try {
      history.replaceState(null, '', hash);
    } catch {
      // A page without a location of its own (a frame, say) forgets its choices.
    }
  },
};

function readHash() {
  const choices = Object.create(null);
  for (const part of location.hash.slice(1).split('&')) {
    const [name, text] = part.split('=');
    if (!name || text === undefined) continue;
    try {
      choices[decodeURIComponent(name)] = JSON.parse(decodeURIComponent(text));
    } catch {
      // A hash that was cut short says nothing.
    }
  }
  return choices;
}

// ---- data

const byKey = new Map();
const byRun = new Map();

// Takes a patch: new runs and trials, those that changed, and what curves went on with.
function applyPatch(patch) {
  data.at = patch.at ?? data.at;
  data.combu = patch.combu ?? data.combu;
  for (const { trials, curves, ...told } of patch.runs ?? []) {
    const run = byRun.get(told.run) ?? {};
    if (!byRun.has(told.run)) {
      byRun.set(told.run, run);
      data.runs.push(run);
    }
    // What a patch says once, it does not say again.
    const { provenance, images, fields } = run;
    for (const key of Object.keys(run)) delete run[key];
    Object.assign(run, { provenance, images, fields: fields ?? {} }, told);
    for (const trial of trials ?? []) applyTrial(run, trial);
    for (const [name, metrics] of Object.entries(curves ?? {})) applyCurves(`${run.run}/${name}`, metrics);
  }
  data.version += 1;
  changed('data');
}

function applyTrial(run, told) {
  const key = `${run.run}/${told.name}`;
  const before = byKey.get(key);
  const trial = before ?? { key };
  for (const name of Object.keys(trial)) if (name !== 'key') delete trial[name];
  Object.assign(trial, told, { key, run, version: data.version + 1 });
  trial.params = bare(told.params);
  trial.metrics = bare(told.metrics);
  trial.tags = bare(told.tags);
  trial.fields = Object.assign(Object.create(null), run.fields, told.fields);
  trial.times ??= [];
  trial.attempts ??= 0;
  if (before) return;
  byKey.set(key, trial);
  trial.place = byKey.size;
  (trial.service ? data.services : data.trials).push(trial);
}

// The object without a prototype: a param may be called `constructor`.
function bare(object) {
  return Object.setPrototypeOf(object ?? {}, null);
}

function applyCurves(key, metrics) {
  const all = data.curves.get(key) ?? bare();
  data.curves.set(key, all);
  for (const [metric, told] of Object.entries(metrics)) {
    const curve = all[metric];
    const from = told.from ?? 0;
    if (!curve || from === 0) {
      const values = told.value ?? [];
      all[metric] = { step: told.step ?? null, at: told.at ?? [], value: values, of: told.of ?? values.length };
      continue;
    }
    for (const part of ['step', 'at', 'value']) {
      if (!curve[part] || !told[part]) continue;
      curve[part].length = Math.min(curve[part].length, from);
      for (const one of told[part]) curve[part].push(one);
    }
    curve.of = told.of ?? curve.value.length;
  }
}

function trialOf(key) {
  return byKey.get(key) ?? null;
}

// ---- which trials are shown

// The filter box's predicate, and a brush of each view: `{label, predicate}` by id.
let filterPredicate = null;
const brushes = new Map();

function setFilter(predicate) {
  filterPredicate = predicate;
  changed('filter');
}

// Adds a view's brush, or with `null` takes it away.
function setBrush(id, label, predicate) {
  if (predicate) brushes.set(id, { label, predicate });
  else if (!brushes.delete(id)) return;
  changed('brush');
}

function refilter() {
  data.filtered = passing(null);
}

// The trials that pass the filter and the brushes, but that one.
function passing(id) {
  const predicates = [...brushes].filter(([other]) => other !== id).map(([, brush]) => brush.predicate);
  if (filterPredicate) predicates.unshift(filterPredicate);
  return data.trials.filter((trial) => predicates.every((holds) => holds(trial)));
}

// The trials that pass the filter and all brushes but that one.
function unbrushed(id) {
  return brushes.has(id) ? passing(id) : data.filtered;
}

function hover(trial) {
  if (data.hovered === trial) return;
  data.hovered = trial;
  changed('hover');
}

// ---- who is told

const listeners = [];
let pending = new Set();
let isPlanned = false;

// Calls `listener(reasons)` after changes, once per frame.
function onChange(listener) {
  listeners.push(listener);
}

function changed(reason) {
  pending.add(reason);
  if (isPlanned) return;
  isPlanned = true;
  requestAnimationFrame(tellChanges);
}

// Tells what changed at once; a hidden page has no frames, and waits.
function tellChanges() {
  isPlanned = false;
  const reasons = pending;
  if (!reasons.size) return;
  pending = new Set();
  if (reasons.has('theme')) themeColours = null;
  if (reasons.has('data') || reasons.has('filter') || reasons.has('brush')) refilter();
  for (const listener of listeners) listener(reasons);
}
