// The scatter plot: a mark for each trial, by two columns and the colour of a third; a rectangle drawn on it filters.

view({
  id: 'scatter',
  title: 'Scatter',
  hint: 'Drag a rectangle to keep the trials in it; a click takes it away. Left and Right step along the trials.',
  when: () => data.trials.length > 0,
  make: (body, tools) => scatterView(body, tools),
});

// What a column is on an axis: a spec for `scale`, and the place of each trial on it (NaN: no value).
function axisOf(id, trials, log) {
  const c = column(id);
  const label = log ? `${c.name} (log)` : c.name;
  if (c.type !== 'number') {
    const found = categories(trials, id);
    const of = (trial) => { const v = value(trial, id); return v === null ? null : categoryKey(v); };
    return { spec: { type: 'category', domain: found, label: c.name }, of, id };
  }
  const of = (trial) => {
    const v = value(trial, id);
    return typeof v === 'number' && Number.isFinite(v) && !(log && v <= 0) ? v : null;
  };
  const moment = id === 'started' || id === 'ended';
  const numbers = trials.map(of);
  const spec = { type: log ? 'log' : moment ? 'time' : 'linear', domain: extent(numbers, log), label, unit: unitOf(id) };
  if (moment && Math.min(...spec.domain) < 0.99 * Math.max(...spec.domain)) spec.domain = [numbers[0] - 30000, numbers[0] + 30000];
  return { spec, of, id, isFew: new Set(numbers).size <= 12 };
}

// The columns that can be an axis: numbers, and texts or booleans with few values.
let axisOptionCache = { version: -1, list: [] };

function axisOptions() {
  if (axisOptionCache.version === data.version) return axisOptionCache.list;
  const list = columnOptions((c) => c.type === 'number' || (c.id !== 'name' && c.id !== 'message' && hasFewValues(c)));
  axisOptionCache = { version: data.version, list };
  return list;
}

function hasFewValues(c) {
  const seen = new Set();
  for (const trial of data.trials) {
    seen.add(plainText(c.read(trial)));
    if (seen.size > 40) return false;
  }
  return true;
}

function scatterChoices() {
  const params = comparableParams();
  const numeric = params.filter((c) => c.type === 'number' && !REPLICATE_NAMES.test(c.name));
  const get = (name, fallback) => {
    const chosen = store.get(`scatter.${name}`, null);
    return chosen === '' || column(chosen ?? '') ? chosen : fallback;
  };
  const x = get('x', numeric[0]?.id ?? params[0]?.id ?? (column('started') ? 'started' : null));
  const y = get('y', mainMetric() ?? (column('elapsed') ? 'elapsed' : null));
  const rest = params.filter((c) => c.id !== x && c.id !== y && !REPLICATE_NAMES.test(c.name));
  const colour = get('colour', rest[0]?.id ?? 'status');
  const log = (name, id) => Boolean(id && column(id)?.type === 'number' && store.get(`scatter.log${name}.${id}`, column(id).log));
  return { x, y, colour, logX: log('x', x), logY: log('y', y) };
}

function scatterView(body, tools) {
  const p = plot(body, { height: (width) => (width < 600 ? 320 : 400), redraw: () => draw() });
  const legends = legendBox(body);
  const note = noteLine(body);
  let shown = { trials: [], xs: [], ys: [], index: null };
  let brush = null;

  const pick = (name) => (chosen) => {
    store.set(`scatter.${name}`, chosen);
    if (name !== 'colour') setBrush('scatter', '', null);
    draw();
  };
  const controls = (o) => {
    const options = axisOptions();
    setTools(tools, [o, options], () => [
      choice('x', options, o.x, pick('x')),
      choice('y', options, o.y, pick('y')),
      choice('colour', [['', 'one colour'], ...options], o.colour, pick('colour')),
      column(o.x).type === 'number' && toggle('log x', o.logX, pick(`logx.${o.x}`)),
      column(o.y).type === 'number' && toggle('log y', o.logY, pick(`logy.${o.y}`)),
    ]);
  };

  function draw() {
    const o = scatterChoices();
    if (emptyLine(body, emptyScatter(o), tools)) return;
    controls(o);
    if (!brushes.has('scatter')) brush = null;
    const all = unbrushed('scatter');
    const x = axisOf(o.x, all, o.logX);
    const y = axisOf(o.y, all, o.logY);
    if (!p.begin(x.spec, y.spec)) return;
    const tint = colouring(o.colour, all);
    p.axes();
    const inside = new Set(data.filtered);
    const radius = all.length > 4000 ? 1.9 : all.length > 1000 ? 2.6 : 4;
    shown = scatterPlaces(p, all, x, y);
    shown.o = { ...o, axisX: p.x, axisY: p.y };
    const hasHollow = drawPoints(p, shown, inside, tint, radius);
    const best = bestTrial(data.filtered);
    const bestAt = shown.trials.indexOf(best);
    if (best && bestAt >= 0) drawBest(p, shown.xs[bestAt], shown.ys[bestAt], `best ${roughText(best.value)}`);
    legends(tint.legend(), hasHollow && el('div', { class: 'legend' },
      el('span', { class: 'legend-item' }, swatch(p.look.text, 'circle', true), 'did not succeed')));
    const missing = all.length - shown.trials.length;
    note(missing ? `${counted(missing, 'trial')} without ${missingNames(all, x, y)} ${missing === 1 ? 'is' : 'are'} not shown.` : '');
    const coloured = o.colour ? `, coloured by ${columnName(o.colour)}` : '';
    p.label(`Scatter plot: ${counted(shown.trials.length, 'trial')}, ${columnName(o.y)} by ${columnName(o.x)}${coloured}.`
      + (best ? ` The best is ${best.name} with ${format(best.value)}.` : ''));
    over();
  }

  function over() {
    p.clearOver();
    if (brush) brushBox(p.over, p.look, edge(p.x, brush.x0), edge(p.y, brush.y0), edge(p.x, brush.x1), edge(p.y, brush.y1));
    const at = data.hovered ? shown.trials.indexOf(data.hovered) : -1;
    if (at >= 0) ring(p, shown.xs[at], shown.ys[at]);
  }

  const setRange = (x0, y0, x1, y1) => {
    const { area } = p;
    const inX = [x0, x1].map((v) => Math.max(area.left - 4, Math.min(area.right + 4, v)));
    const inY = [y0, y1].map((v) => Math.max(area.top - 4, Math.min(area.bottom + 4, v)));
    brush = {
      x0: held(p.x, Math.min(...inX)), x1: held(p.x, Math.max(...inX)),
      y0: held(p.y, Math.max(...inY)), y1: held(p.y, Math.min(...inY)),
    };
  };
  const near = (x, y) => (shown.index ??= pointIndex(shown.xs, shown.ys)).near(x, y, 18);
  const show = (at, event) => {
    const trial = at >= 0 ? shown.trials[at] : null;
    hover(trial);
    tooltip(event?.clientX ?? 0, event?.clientY ?? 0, trial ? trialLines(trial, shown.o.x, shown.o.y, shown.o.colour) : null);
  };
  p.on({
    move: (x, y, event) => show(near(x, y), event),
    leave: () => show(-1),
    start: (x, y) => Boolean(p.area) && y < p.area.bottom + 10 && x > p.area.left - 10,
    drag: (x0, y0, x, y) => {
      setRange(x0, y0, x, y);
      over();
    },
    end: () => applyRange(brush, shown.o),
    click: () => setBrush('scatter', '', null),
    key: (event) => {
      if (event.key === 'Escape' && brush) {
        event.preventDefault();
        setBrush('scatter', '', null);
        return;
      }
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !shown.trials.length) return;
      event.preventDefault();
      const order = shown.order ??= shown.xs.map((_, i) => i).sort((a, b) => shown.xs[a] - shown.xs[b] || shown.ys[a] - shown.ys[b]);
      const at = order.indexOf(shown.trials.indexOf(data.hovered));
      const next = order[(at + step + order.length) % order.length];
      hover(shown.trials[next]);
      p.say(trialLines(shown.trials[next], shown.o.x, shown.o.y).join(', '));
    },
  });
  return { draw, hover: over };
}

// An end of a brush on a scale: the number, or the place among the categories.
function held(axis, pixel) {
  return axis.type === 'category' ? (pixel - axis.from) / (axis.to - axis.from) * axis.domain.length : axis.invert(pixel);
}

function edge(axis, end) {
  return axis.type === 'category' ? axis.from + (end / axis.domain.length) * (axis.to - axis.from) : axis.px(end);
}

// The brush of one axis as words and a predicate: a range of numbers, or the categories whose middle lies in it.
function rangeBrush(id, axis, low, high) {
  if (axis.type === 'category') {
    const kept = new Set(axis.domain.filter((_, i) => i + 0.5 >= low && i + 0.5 <= high));
    return {
      label: `${columnName(id)}: ${[...kept].join(', ') || 'none'}`,
      holds: (trial) => { const v = value(trial, id); return v !== null && kept.has(categoryKey(v)); },
    };
  }
  return {
    label: `${columnName(id)} ${roughText(low, id)} … ${roughText(high, id)}`,
    holds: (trial) => { const v = value(trial, id); return typeof v === 'number' && v >= low && v <= high; },
  };
}

function applyRange(brush, o) {
  const x = rangeBrush(o.x, o.axisX, brush.x0, brush.x1);
  const y = rangeBrush(o.y, o.axisY, brush.y0, brush.y1);
  setBrush('scatter', `${x.label}, ${y.label}`, (trial) => x.holds(trial) && y.holds(trial));
}

// Where each trial lies. Where an axis has few values, marks are spread a little, always alike, so that none hides the others.
function scatterPlaces(p, all, x, y) {
  const [trials, xs, ys] = [[], [], []];
  const spread = (axis, band) => (band ? Math.min(0.6 * band, 120) : axis.isFew && all.length > 30 ? 9 : 0);
  const [wide, high] = [spread(x, p.x.band), spread(y, p.y.band)];
  for (const trial of all) {
    const [vx, vy] = [x.of(trial), y.of(trial)];
    if (vx === null || vy === null) continue;
    trials.push(trial);
    xs.push(p.px(vx) + (wide && spreadOf(trial) * wide));
    ys.push(p.py(vy) + (high && (wide ? steady(`${trial.key} `) - 0.5 : spreadOf(trial)) * high));
  }
  return { trials, xs, ys };
}

// Draws the marks: those filtered out faintly, those of trials that did not succeed hollow (unless the colour says that).
// It is true where a mark is hollow.
function drawPoints(p, shown, inside, tint, radius) {
  const { ctx } = p;
  const { trials, xs, ys } = shown;
  const faint = stamp(ctx, p.ratio, { colour: p.look.line, radius: radius * 0.8 });
  ctx.globalAlpha = 0.8;
  trials.forEach((trial, i) => { if (!inside.has(trial)) faint(xs[i], ys[i]); });
  const stamps = [new Map(), new Map()];
  let hasHollow = false;
  const draw = (trial, i, at) => {
    const isHollow = !trial.ok && tint.id !== 'status';
    hasHollow ||= isHollow;
    const known = stamps[Number(isHollow)];
    if (!known.has(at)) known.set(at, stamp(ctx, p.ratio, { colour: tint.colours[at], shape: tint.shapes[at], radius, isHollow }));
    known.get(at)(xs[i], ys[i]);
  };
  ctx.globalAlpha = trials.length > 2000 ? 0.6 : 0.82;
  trials.forEach((trial, i) => { if (inside.has(trial)) draw(trial, i, tint.of(trial)); });
  ctx.globalAlpha = 1;
  return hasHollow;
}

function ring(p, x, y) {
  const ctx = p.over;
  for (const [colour, width] of [[p.look.surface, 5], [p.look.text, 2]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.arc(x, y, 7, 0, 7);
    ctx.stroke();
  }
}

function drawBest(p, x, y, words) {
  const { ctx, look, area } = p;
  ctx.save();
  ctx.strokeStyle = look.text;
  ctx.lineWidth = 1.6;
  ctx.beginPath();
  ctx.arc(x, y, 8, 0, 7);
  ctx.stroke();
  const width = ctx.measureText(words).width;
  const left = x + 14 + width > area.right ? x - 14 - width : x + 14;
  ctx.textBaseline = 'middle';
  ctx.lineWidth = 4;
  ctx.strokeStyle = look.surface;
  ctx.strokeText(words, left, y);
  ctx.fillStyle = look.text;
  ctx.fillText(words, left, y);
  ctx.restore();
}

function missingNames(all, x, y) {
  const names = [];
  for (const axis of [x, y]) if (all.some((trial) => axis.of(trial) === null)) names.push(columnName(axis.id));
  return [...new Set(names)].join(' or ');
}

function emptyScatter(o) {
  if (!o.x || !o.y) {
    return 'This needs a param that varies, and a metric that trials print, such as  ::combu metric loss=0.3';
  }
  if (!unbrushed('scatter').length) return 'No trial passes the filter.';
  return null;
}
