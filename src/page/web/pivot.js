// The pivot table: two params against each other, each cell a metric of the trials in it; a press on a cell filters.

const MOST_BANDS = 20;
const SUMMARIES = {
  mean: (list) => list.reduce((a, b) => a + b, 0) / list.length,
  median: (list) => { const s = [...list].sort((a, b) => a - b); return (s[(s.length - 1) >> 1] + s[s.length >> 1]) / 2; },
  min: (list) => Math.min(...list),
  max: (list) => Math.max(...list),
  count: (list) => list.length,
};

view({
  id: 'pivot',
  title: 'Pivot',
  hint: 'Two params against each other. Press a cell to keep its trials, press it again to let go.',
  when: () => data.trials.length > 0,
  make: (body, tools) => pivotView(body, tools),
});

// The bands of a column: its values, or of a number with more than twelve, eight ranges (equal in the logarithm where
// values span more than a hundredfold). {bands: [{label, holds(value)}], said}
function bandsOf(id, trials) {
  const values = trials.map((trial) => value(trial, id)).filter((v) => v !== null && v !== undefined);
  if (isNumber(id) && new Set(values).size > 12) return rangeBands(id, values.filter(Number.isFinite));
  const found = categories(trials, id);
  if (found.length <= MOST_BANDS) {
    return { bands: found.map((key) => ({ label: shortValue(key, id), holds: (v) => categoryKey(v) === key })), said: '' };
  }
  const count = new Map();
  for (const v of values) count.set(categoryKey(v), (count.get(categoryKey(v)) ?? 0) + 1);
  const kept = found.sort((a, b) => count.get(b) - count.get(a)).slice(0, MOST_BANDS - 1);
  const known = new Set(kept);
  const bands = kept.map((key) => ({ label: key, holds: (v) => categoryKey(v) === key }));
  bands.push({ label: 'others', holds: (v) => !known.has(categoryKey(v)) });
  return { bands, said: `Of ${found.length} values of ${columnName(id)} the ${MOST_BANDS - 1} most frequent are shown.` };
}

function shortValue(key, id) {
  return isNumber(id) ? roughText(Number(key), id) : key;
}

function rangeBands(id, values) {
  const log = spansDecades(values);
  const [low, high] = extent(values, log, 0);
  const ends = Array.from({ length: 9 }, (_, i) => (log ? low * (high / low) ** (i / 8) : low + ((high - low) * i) / 8));
  const bands = ends.slice(0, 8).map((from, i) => ({
    label: `${roughText(from, id)} – ${roughText(ends[i + 1], id)}`,
    holds: (v) => (i === 0 || v >= from) && (i === 7 || v < ends[i + 1]),
  }));
  return { bands, said: `${columnName(id)} is cut into 8 ${log ? 'ranges that are equal in its logarithm' : 'equal ranges'}.` };
}

function pivotChoices() {
  const params = comparableParams();
  const main = params.filter((c) => !REPLICATE_NAMES.test(c.name));
  const order = [...main, ...params.filter((c) => !main.includes(c))];
  const get = (name, fallback) => {
    const chosen = store.get(`pivot.${name}`, null);
    return chosen && column(chosen) ? chosen : fallback;
  };
  const down = get('down', order[0]?.id ?? null);
  const across = get('across', order.find((c) => c.id !== down)?.id ?? null);
  const metric = get('metric', mainMetric() ?? (column('elapsed') ? 'elapsed' : null));
  const by = store.get('pivot.by', 'mean');
  return { down, across, metric, by: Object.hasOwn(SUMMARIES, by) ? by : 'mean' };
}

function pivotView(body, tools) {
  const box = el('div', { class: 'pivot-scroll' });
  body.append(box);
  const legends = legendBox(body);
  const note = noteLine(body);
  let pressed = null;

  const pick = (name) => (chosen) => {
    store.set(`pivot.${name}`, chosen);
    if (name === 'down' || name === 'across') setBrush('pivot', '', null);
    draw();
  };

  function draw() {
    const o = pivotChoices();
    const words = !o.down || !o.across ? 'This sets two params against each other: fewer than two have more than one value.'
      : !o.metric ? 'No trial told a metric. It does if it prints lines such as  ::combu metric loss=0.3'
        : !unbrushed('pivot').length ? 'No trial passes the filter.' : null;
    if (emptyLine(body, words, tools)) return;
    const params = columnOptions((c) => c.group === 'param' || c.group === 'tag' || c.id === 'status');
    const metrics = columnOptions((c) => c.type === 'number' && c.group !== 'param');
    setTools(tools, [o, params, metrics], () => [
      choice('rows', params, o.down, pick('down')), choice('columns', params, o.across, pick('across')),
      choice('cell', Object.keys(SUMMARIES), o.by, pick('by')), choice('of', metrics, o.metric, pick('metric')),
    ]);
    if (!brushes.has('pivot')) pressed = null;
    const trials = unbrushed('pivot');
    const [down, across] = [bandsOf(o.down, trials), bandsOf(o.across, trials)];
    const cells = fillCells(trials, o, down.bands, across.bands);
    const table = cellTable(o, down.bands, across.bands, cells, pressed, (at, cell) => {
      const again = pressed === at;
      pressed = again ? null : at;
      const inside = new Set(cell.keys);
      setBrush('pivot', `${columnName(o.down)} ${down.bands[cell.row].label}, ${columnName(o.across)} ${across.bands[cell.col].label}`,
        again ? null : (trial) => inside.has(trial.key));
    });
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
    box.replaceChildren(table);
    if (focused) box.querySelector(`[data-at="${focused}"]`)?.focus();
    const shown = cells.flat().filter((cell) => Number.isFinite(cell.v)).map((cell) => cell.v);
    const [low, high] = extent(shown, false, 0);
    legends(shown.length ? rampLegend(o.by === 'count' ? 'count' : o.metric, low, high, false) : null);
    const none = trials.filter((trial) => typeof value(trial, o.metric) !== 'number' || !isComparable(trial, o.metric)).length;
    note(down.said, across.said, none && o.by !== 'count'
      ? `${counted(none, 'trial')} that did not succeed or told no ${columnName(o.metric)} ${none === 1 ? 'does' : 'do'} not count.` : '');
  }
  return { draw, hover() {} };
}

// The cells by row and column: {row, col, keys, list, v}.
function fillCells(trials, o, rows, cols) {
  const cells = rows.map((_, row) => cols.map((_, col) => ({ row, col, keys: [], list: [], v: NaN })));
  const placed = (bands) => {
    const known = new Map();
    return (v) => {
      const key = categoryKey(v);
      if (!known.has(key)) known.set(key, bands.findIndex((band) => band.holds(v)));
      return known.get(key);
    };
  };
  const [rowAt, colAt] = [placed(rows), placed(cols)];
  for (const trial of trials) {
    const [down, across] = [value(trial, o.down), value(trial, o.across)];
    if (down === null || across === null) continue;
    const cell = cells[rowAt(down)]?.[colAt(across)];
    if (!cell) continue;
    cell.keys.push(trial.key);
    const v = value(trial, o.metric);
    if (typeof v === 'number' && Number.isFinite(v) && isComparable(trial, o.metric)) cell.list.push(v);
  }
  for (const cell of cells.flat()) {
    if (o.by === 'count') cell.v = cell.keys.length || NaN;
    else if (cell.list.length) cell.v = SUMMARIES[o.by](cell.list);
  }
  return cells;
}

function cellTable(o, rows, cols, cells, pressed, press) {
  const ramp = rampOf(o.by === 'count' ? '' : o.metric);
  const [low, high] = extent(cells.flat().map((cell) => cell.v), false, 0);
  const best = bestCell(o, cells);
  const head = el('tr', {}, el('th', { class: 'pivot-corner', scope: 'col' }, `${columnName(o.down)} \\ ${columnName(o.across)}`),
    ...cols.map((band) => el('th', { scope: 'col' }, band.label)));
  const lines = cells.map((line, i) => el('tr', {}, el('th', { scope: 'row' }, rows[i].label), ...line.map((cell) => {
    if (!cell.keys.length) return el('td', { class: 'pivot-none' }, '·');
    const at = `${cell.row},${cell.col}`;
    const text = Number.isFinite(cell.v) ? (o.by === 'count' ? countText(cell.v) : roughText(cell.v, o.metric)) : 'none';
    const button = el('button', { type: 'button', 'aria-pressed': String(pressed === at), onclick: () => press(at, cell) },
      text, cell === best && el('span', { class: 'pivot-best', title: 'the best cell' }, ' ★'));
    button.dataset.at = at;
    if (Number.isFinite(cell.v)) {
      const share = high > low ? (cell.v - low) / (high - low) : 0.5;
      button.style.background = ramp(share);
      button.style.color = readable(ramp(share));
    }
    const tell = (event) => {
      const box = button.getBoundingClientRect();
      tooltip(event.clientX ?? box.left, event.clientY ?? box.bottom, cellLines(o, rows[cell.row], cols[cell.col], cell));
    };
    button.addEventListener('pointermove', tell);
    button.addEventListener('focus', tell);
    for (const name of ['pointerleave', 'blur']) button.addEventListener(name, () => tooltip(0, 0, null));
    return el('td', {}, button);
  })));
  return el('table', { class: 'pivot' },
    el('caption', { class: 'said' }, `${o.by} of ${columnName(o.metric)} by ${columnName(o.down)} and ${columnName(o.across)}`),
    el('thead', {}, head), el('tbody', {}, ...lines));
}

// The cell that is best by the goal, where the table shows the goal's metric.
function bestCell(o, cells) {
  const goal = goalColumn();
  if (!goal || goal.id !== o.metric || o.by === 'count') return null;
  const all = cells.flat().filter((cell) => Number.isFinite(cell.v));
  if (all.length < 2) return null;
  return all.reduce((a, b) => ((goal.sense === 'max' ? b.v > a.v : b.v < a.v) ? b : a));
}

function cellLines(o, row, col, cell) {
  const lines = [`${columnName(o.down)} ${row.label}, ${columnName(o.across)} ${col.label}`, counted(cell.keys.length, 'trial')];
  if (cell.list.length) {
    for (const name of ['mean', 'median', 'min', 'max']) {
      lines.push([`${name} of ${columnName(o.metric)}`, roughText(SUMMARIES[name](cell.list), o.metric)]);
    }
  }
  const out = cell.keys.length - cell.list.length;
  if (out) lines.push(`${out} did not succeed or told no ${columnName(o.metric)}`);
  return lines;
}

// Black or white, whichever can be read on an `rgb(r, g, b)` or a `#rrggbb`.
function readable(colour) {
  const parts = colour.startsWith('#') ? colour.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16)) : colour.match(/\d+/g).map(Number);
  const [r, g, b] = parts.map((part) => (part / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? '#10151b' : '#ffffff';
}

// Whether what a trial told of a metric can be set beside that of others: it ran to its end. Facts always can.
function isComparable(trial, id) {
  return trial.ok || column(id)?.group !== 'metric';
}
