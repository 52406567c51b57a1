// Colours and shapes of marks by a column: a ramp for numbers, colour and shape together for categories; and the legend.

const RAMP_STEPS = 24;
const SHAPES = ['circle', 'square', 'triangle', 'diamond', 'down', 'plus', 'cross', 'bar'];
const STATUS_SHAPES = {
  succeeded: 'circle', failed: 'cross', oom: 'square', 'timed-out': 'triangle', unhealthy: 'plus', pruned: 'diamond',
  stopped: 'down', killed: 'down', lost: 'bar', 'not-started': 'bar', skipped: 'bar',
};

// A number that is the same for the same text, from 0 up to 1: what is spread by it does not move.
function steady(text) {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  h = Math.imul(h ^ (h >>> 15), 2246822507);
  return ((h ^ (h >>> 13)) >>> 0) / 4294967296;
}

// The steady number of a trial, found once.
const spreads = new Map();

function spreadOf(trial) {
  let known = spreads.get(trial.key);
  if (known === undefined) spreads.set(trial.key, known = steady(trial.key) - 0.5);
  return known;
}

// Adds one mark to the path of `ctx`.
function mark(ctx, shape, x, y, r) {
  const s = r * 0.9;
  switch (shape) {
    case 'square': ctx.rect(x - s, y - s, 2 * s, 2 * s); break;
    case 'triangle': polygon(ctx, [x, y - r * 1.2, x + r * 1.1, y + s, x - r * 1.1, y + s]); break;
    case 'down': polygon(ctx, [x, y + r * 1.2, x + r * 1.1, y - s, x - r * 1.1, y - s]); break;
    case 'diamond': polygon(ctx, [x, y - r * 1.3, x + r * 1.3, y, x, y + r * 1.3, x - r * 1.3, y]); break;
    case 'plus': ctx.rect(x - r * 1.2, y - r * 0.35, r * 2.4, r * 0.7); ctx.rect(x - r * 0.35, y - r * 1.2, r * 0.7, r * 2.4); break;
    case 'bar': ctx.rect(x - r * 1.2, y - r * 0.4, r * 2.4, r * 0.8); break;
    case 'cross': {
      const t = r * 0.42;
      const e = r * 1.15;
      polygon(ctx, [x - e, y - e + t, x - e + t, y - e, x, y - t, x + e - t, y - e, x + e, y - e + t, x + t, y,
        x + e, y + e - t, x + e - t, y + e, x, y + t, x - e + t, y + e, x - e, y + e - t, x - t, y]);
      break;
    }
    default: ctx.moveTo(x + r, y); ctx.arc(x, y, r, 0, 7);
  }
}

// A way to draw many marks of one look: `at(x, y)` copies a mark that was drawn once, which is ten times as fast as a path of
// thousands of marks.
function stamp(ctx, ratio, { colour, shape = 'circle', radius, isHollow = false }) {
  const half = Math.ceil(radius * 1.5 + 1.5);
  const tile = document.createElement('canvas');
  tile.width = tile.height = Math.round(2 * half * ratio);
  const pen = tile.getContext('2d');
  pen.scale(ratio, ratio);
  pen.fillStyle = pen.strokeStyle = colour;
  pen.lineWidth = 1.3;
  pen.beginPath();
  mark(pen, shape, half, half, radius);
  if (isHollow) pen.stroke();
  else pen.fill();
  return (x, y) => ctx.drawImage(tile, x - half, y - half, 2 * half, 2 * half);
}

function polygon(ctx, at) {
  ctx.moveTo(at[0], at[1]);
  for (let i = 2; i < at.length; i += 2) ctx.lineTo(at[i], at[i + 1]);
  ctx.closePath();
}

// The name of a column for people.
function columnName(id) {
  return column(id)?.name ?? id;
}

// The values of a column among the trials as categories, in their natural order.
function categories(trials, id) {
  const seen = new Map();
  for (const trial of trials) {
    const v = value(trial, id);
    if (v !== null && v !== undefined) seen.set(categoryKey(v), v);
  }
  if (isNumber(id)) return [...seen.keys()].sort((a, b) => Number(a) - Number(b));
  return [...seen.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

// A value as a category: text that is equal where the values are.
function categoryKey(v) {
  return typeof v === 'object' ? JSON.stringify(v) : String(v);
}

// Whether the column is to be read as numbers.
function isNumber(id) {
  return column(id)?.type === 'number';
}

// Colours by a column ('' or null: one colour). `of(trial)` is the place in `colours` and `shapes`; the last place is of
// trials that have no value. `legend()` is its DOM.
function colouring(id, trials) {
  const look = theme();
  if (!id) return { id: '', of: () => 0, colours: [look.accent, look.muted], shapes: ['circle', 'circle'], none: 1, legend: () => null };
  if (id === 'status') return byCategory(id, categories(trials, id), (v) => statusColour(v), (v) => STATUS_SHAPES[v] ?? 'circle');
  if (isNumber(id)) return byNumber(id, trials, look);
  const found = categories(trials, id);
  const own = found.length <= 8 ? 8 : 7;
  return byCategory(id, found, (_, i) => (i < own ? look.series[i] : look.muted), (_, i) => SHAPES[Math.min(i, own)]);
}

function byCategory(id, found, colour, shape) {
  const look = theme();
  const place = new Map(found.map((v, i) => [v, i]));
  const colours = [...found.map(colour), look.muted];
  const shapes = [...found.map(shape), 'circle'];
  const of = (trial) => {
    const v = value(trial, id);
    return v === null || v === undefined ? found.length : place.get(categoryKey(v)) ?? found.length;
  };
  return { id, of, colours, shapes, none: found.length, legend: () => categoryLegend(id, found, colours, shapes) };
}

function byNumber(id, trials, look) {
  const numbers = trials.map((trial) => value(trial, id)).filter((v) => typeof v === 'number' && Number.isFinite(v));
  const log = spansDecades(numbers);
  let [low, high] = extent(numbers, log, 0);
  const to = log ? Math.log : (v) => v;
  const span = to(high) - to(low) || 1;
  const ramp = rampOf(id);
  const colours = Array.from({ length: RAMP_STEPS }, (_, i) => ramp(i / (RAMP_STEPS - 1)));
  colours.push(look.muted);
  const of = (trial) => {
    const v = value(trial, id);
    if (typeof v !== 'number' || !Number.isFinite(v) || (log && v <= 0)) return RAMP_STEPS;
    return Math.max(0, Math.min(RAMP_STEPS - 1, Math.floor(((to(v) - to(low)) / span) * RAMP_STEPS)));
  };
  const legend = () => (numbers.length ? rampLegend(id, low, high, log) : null);
  return { id, of, colours, shapes: colours.map(() => 'circle'), none: RAMP_STEPS, legend, low, high, log };
}

// The ramp of a column; that of the goal's metric is turned so that the best stands out most from the page.
function rampOf(id) {
  const { dark, ramp } = theme();
  const goal = goalColumn();
  const isTurned = goal?.id === id && (goal.sense === 'min') === dark;
  return isTurned ? (share) => ramp(1 - share) : ramp;
}

// Whether positive numbers span more than a hundredfold: then a log axis shows them better.
function spansDecades(numbers) {
  let low = Infinity;
  let high = 0;
  for (const v of numbers) {
    if (!(v > 0)) return false;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return high / low > 100;
}

// A legend of a ramp from `low` to `high`.
function rampLegend(id, low, high, log) {
  const ramp = rampOf(id);
  const bar = el('span', { class: 'legend-ramp' });
  const stops = Array.from({ length: 9 }, (_, i) => ramp(i / 8)).join(', ');
  bar.style.background = `linear-gradient(to right, ${stops})`;
  return el('div', { class: 'legend' }, el('b', {}, columnName(id)), el('span', { class: 'legend-item' },
    roughText(low, id), bar, roughText(high, id)), log ? el('span', { class: 'legend-note' }, 'log') : '');
}

// A legend of categories; those that share the last look stand together.
function categoryLegend(id, found, colours, shapes) {
  const items = [];
  for (let i = 0; i < found.length; i++) {
    let end = i + 1;
    while (id !== 'status' && end < found.length && colours[end] === colours[i]) end++;
    const names = found.slice(i, end);
    const words = names.length <= 4 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} others`;
    items.push(el('span', { class: 'legend-item' }, swatch(colours[i], shapes[i]), words));
    i = end - 1;
  }
  return el('div', { class: 'legend' }, el('b', {}, columnName(id)), ...items);
}

// A small picture of a mark for a legend.
function swatch(colour, shape, isHollow) {
  const canvas = el('canvas', { class: 'swatch', 'aria-hidden': 'true' });
  canvas.width = canvas.height = 28;
  const ctx = canvas.getContext('2d');
  ctx.fillStyle = ctx.strokeStyle = colour;
  ctx.lineWidth = 2.4;
  ctx.beginPath();
  mark(ctx, shape, 14, 14, 9);
  if (isHollow) ctx.stroke();
  else ctx.fill();
  return canvas;
}

// What the goal of the latest run that has one counts: {id, name, metric, sense, text}, or null.
function goalColumn() {
  const run = [...data.runs].reverse().find((r) => r.goal);
  if (!run) return null;
  const found = columns().find((c) => c.group === 'metric' && c.name === run.goal.metric);
  return found ? { id: found.id, name: found.name, metric: run.goal.metric, sense: run.goal.sense, text: run.goal.text } : null;
}

// The column that matters most: the goal's metric, else the first metric, or null.
function mainMetric() {
  return goalColumn()?.id ?? columns().find((c) => c.group === 'metric')?.id ?? null;
}

// The best of the trials by the goal, or null.
function bestTrial(trials) {
  const goal = goalColumn();
  if (!goal) return null;
  let best = null;
  for (const trial of trials) {
    const v = trial.value;
    if (typeof v !== 'number' || !Number.isFinite(v) || trial.run.goal?.metric !== goal.metric) continue;
    if (!best || (goal.sense === 'max' ? v > best.value : v < best.value)) best = trial;
  }
  return best;
}

// Lines that say what a trial is: its name, its end, its params, and what the columns of `ids` hold.
function trialLines(trial, ...ids) {
  const lines = [trial.name, trial.message ? `${trial.status}: ${trial.message}` : trial.status];
  const params = comparableParams().slice(0, 10);
  for (const c of params) {
    const v = value(trial, c.id);
    if (v !== null && v !== undefined) lines.push(`${c.name} = ${format(v, c.id)}`);
  }
  for (const id of new Set(ids)) {
    if (!id || id === 'status' || params.some((c) => c.id === id)) continue;
    const v = value(trial, id);
    lines.push(`${columnName(id)} = ${v === null || v === undefined ? 'none' : format(v, id)}`);
  }
  return lines;
}

// The params that more than one value was given among all trials that have the main metric (among all, where none has it). They
// are what views begin with, so they do not change with what is filtered.
let comparableCache = { version: -1, list: [] };

function comparableParams() {
  if (comparableCache.version === data.version) return comparableCache.list;
  const main = mainMetric();
  const has = main ? data.trials.filter((trial) => value(trial, main) !== null) : [];
  const list = columns().filter((c) => c.group === 'param' && isVarying(c, has.length ? has : data.trials));
  comparableCache = { version: data.version, list };
  return list;
}

function isVarying(c, trials) {
  let first;
  for (const trial of trials) {
    const found = plainText(c.read(trial));
    first ??= found;
    if (found !== first) return true;
  }
  return false;
}
