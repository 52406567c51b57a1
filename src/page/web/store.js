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
    const parts = Object.entries(store.choices).map(([name, one]) => `${encodeURIComponent(name)}=${encodeURIComponent(JSON.stringify(one))}`);
    const hash = parts.length ? `#${parts.join('&')}` : location.pathname + location.search;
    try {
      history.replaceState(null, '', hash);
    } catch {
      // A page without a location of its own (a frame, say) forgets its choices.
    }
  },
};

function readHash() {
  const choices = {};
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
    for (const key of Object.keys(run)) delete run[key];
    Object.assign(run, told);
    run.fields ??= {};
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
  Object.assign(trial, told, { key, run });
  trial.params ??= {};
  trial.metrics ??= {};
  trial.times ??= [];
  trial.attempts ??= 0;
  trial.fields = { ...run.fields, ...told.fields };
  if (before) return;
  byKey.set(key, trial);
  trial.place = byKey.size;
  (trial.service ? data.services : data.trials).push(trial);
}

function applyCurves(key, metrics) {
  const all = data.curves.get(key) ?? {};
  data.curves.set(key, all);
  for (const [metric, told] of Object.entries(metrics)) {
    const curve = all[metric];
    const from = told.from ?? 0;
    if (!curve || from === 0) {
      all[metric] = { step: told.step ?? null, at: told.at ?? [], value: told.value ?? [], of: told.of ?? (told.value ?? []).length };
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
  const predicates = [...brushes.values()].map((brush) => brush.predicate);
  if (filterPredicate) predicates.unshift(filterPredicate);
  data.filtered = predicates.length ? data.trials.filter((trial) => predicates.every((holds) => holds(trial))) : data.trials.slice();
}

// The trials that pass the filter and all brushes but that one.
function unbrushed(id) {
  if (!brushes.has(id)) return data.filtered;
  const predicates = [...brushes].filter(([other]) => other !== id).map(([, brush]) => brush.predicate);
  if (filterPredicate) predicates.unshift(filterPredicate);
  return data.trials.filter((trial) => predicates.every((holds) => holds(trial)));
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
