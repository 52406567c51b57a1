// Parallel coordinates: an axis for each param that varies and for the goal's metric, a line for each trial. A range drawn
// on an axis filters; axes are moved by dragging their heads, or from the menu under them.

const AXIS_ROOM = 66;
const AXIS_LEFT = 30;
const AXIS_RIGHT = 62;
const MOST_FAINT = 1500;

view({
  id: 'parallel',
  title: 'Parallel coordinates',
  hint: 'A line is a trial. Drag along an axis to keep a range; press the name of an axis to move it or to type a range.',
  when: () => data.trials.length > 0,
  make: (body, tools) => parallelView(body, tools),
});

// The ids of the axes: those chosen, else the params that vary (of many the first nine) and the main metric.
function parallelAxes() {
  const chosen = store.get('parallel.axes', null);
  if (Array.isArray(chosen)) {
    const known = chosen.filter((id) => column(id));
    if (known.length) return known;
  }
  const ids = comparableParams().slice(0, 9).map((c) => c.id);
  const main = mainMetric();
  if (main && !ids.includes(main)) ids.push(main);
  return ids;
}

// An axis over the span of all trials: `of(trial)` is the pixel at which a trial lies on it. Numbers with up to eight values
// are spaced evenly, as categories are; on both, lines are spread a little so that they do not hide each other.
function parallelAxis(p, id, trials, top, bottom) {
  const c = column(id);
  const number = c.type === 'number';
  const numbers = number ? trials.map((trial) => value(trial, id)).filter((v) => typeof v === 'number') : [];
  const few = !number || (new Set(numbers.slice(0, 200)).size <= 8 && new Set(numbers).size <= 8);
  const log = !few && store.get(`parallel.log.${id}`, spansDecades(numbers));
  const spec = few ? { type: 'category', domain: categories(trials, id) }
    : { type: log ? 'log' : 'linear', domain: extent(numbers, log, 0), unit: unitOf(id) };
  const made = scale(spec, bottom, top);
  const none = p.height - 14;
  const spread = few ? Math.min(14, (made.band ?? 0) * 0.25) : 0;
  let hasNone = false;
  const of = (trial) => {
    const v = value(trial, id);
    const known = few ? v !== null && v !== undefined : typeof v === 'number' && Number.isFinite(v) && !(log && v <= 0);
    if (!known) {
      hasNone = true;
      return none;
    }
    return few ? made.px(categoryKey(v)) + spreadOf(trial) * spread : made.px(v);
  };
  return { id, name: c.name, number, few, log, scale: made, of, none, top, bottom, hasNone: () => hasNone };
}

function parallelView(body, tools) {
  const scroll = el('div', { class: 'parallel-scroll' });
  const inner = el('div', { class: 'parallel-inner' });
  scroll.append(inner);
  body.append(scroll);
  const p = plot(inner, { height: () => 380, redraw: () => draw(), label: 'Parallel coordinates' });
  const legends = legendBox(body);
  const note = noteLine(body);
  const ranges = new Map();
  let shown = { axes: [], trials: [], ys: [] };
  let drawing = 0;
  const grips = el('div', { class: 'parallel-grips', 'aria-hidden': 'true' });
  p.box.append(grips);
  const heads = axisHeads(body, inner, {
    shown: () => shown,
    range: (id) => ranges.get(id) ?? null,
    setRange: (id, range) => setRange(id, range),
    setAxes: (ids) => setAxes(ids),
    turnLog: (axis) => {
      store.set(`parallel.log.${axis.id}`, !axis.log);
      setRange(axis.id, null);
      draw();
    },
  });

  const setAxes = (ids) => {
    store.set('parallel.axes', ids);
    draw();
  };
  const setRange = (id, range) => {
    if (range) ranges.set(id, range);
    else ranges.delete(id);
    const axis = shown.axes.find((a) => a.id === id);
    const brush = range && rangeBrush(id, axis.scale, ...range);
    setBrush(`parallel.${id}`, brush?.label ?? '', brush?.holds ?? null);
  };

  function draw() {
    const ids = parallelAxes();
    const words = !data.filtered.length && !brushes.size ? 'No trial passes the filter.'
      : ids.length < 2 ? 'There are not two params that vary, nor a metric: this needs at least two columns.' : null;
    if (emptyLine(body, words, tools)) {
      heads.close();
      return;
    }
    inner.style.minWidth = `${ids.length * AXIS_ROOM}px`;
    if (!p.begin()) return;
    for (const id of [...ranges.keys()]) if (!brushes.has(`parallel.${id}`)) ranges.delete(id);
    const [left, gap] = [AXIS_LEFT, (p.width - AXIS_LEFT - AXIS_RIGHT) / (ids.length - 1)];
    const [top, bottom] = [12, p.height - 34];
    const axes = ids.map((id, i) => ({ ...parallelAxis(p, id, data.trials, top, bottom), x: Math.round(left + gap * i) }));
    const goal = goalColumn();
    const colour = store.get('parallel.colour', goal?.id ?? mainMetric() ?? 'status');
    controls(ids, colour);
    const tint = colouring(colour, data.filtered);
    shown = { axes, trials: data.filtered, ys: axes.map((axis) => Float32Array.from(data.filtered, axis.of)), gap, colour };
    heads.fill(p.width);
    fillGrips(grips, axes);
    drawing += 1;
    drawParallel(p, shown, tint, goal?.sense, () => drawing, drawing);
    legends(tint.legend());
    const missing = axes.filter((axis, i) => shown.ys[i].some((y) => y === axis.none)).map((axis) => axis.name);
    note(missing.length && `Trials without a value pass an axis at "none": ${missing.join(', ')}.`);
    const names = axes.map((axis) => axis.name).join(', ');
    p.label(`Parallel coordinates of ${counted(data.filtered.length, 'trial')}: ${names}, coloured by ${columnName(colour)}.`);
    over();
  }

  function controls(ids, colour) {
    const rest = columnOptions((c) => !ids.includes(c.id) && c.id !== 'name' && c.id !== 'message');
    const colours = columnOptions((c) => c.id !== 'name' && c.id !== 'message');
    const isOwn = Array.isArray(store.get('parallel.axes', null));
    setTools(tools, [ids, colour, colours, isOwn], () => [
      choice('colour', [['', 'one colour'], ...colours], colour, (id) => { store.set('parallel.colour', id); draw(); }),
      rest.length && choice('add axis', [['', 'choose …'], ...rest], '', (id) => id && setAxes([...ids, id])),
      isOwn && el('button', { type: 'button', class: 'quiet', onclick: () => setAxes(null) }, 'reset axes'),
    ]);
  }

  function over(drag = null) {
    p.clearOver();
    const ctx = p.over;
    for (const axis of shown.axes) {
      const range = drag?.axis.id === axis.id ? null : ranges.get(axis.id);
      const ends = drag?.axis.id === axis.id ? [drag.from, drag.to] : range?.map((end) => edge(axis.scale, end));
      if (ends) brushBox(ctx, p.look, axis.x - 9, ends[0], axis.x + 9, ends[1]);
    }
    const at = data.hovered ? shown.trials.indexOf(data.hovered) : -1;
    if (at < 0) return;
    for (const [colour, width] of [[p.look.surface, 5], [p.look.text, 2.2]]) {
      ctx.strokeStyle = colour;
      ctx.lineWidth = width;
      ctx.beginPath();
      shown.axes.forEach((axis, i) => ctx.lineTo(axis.x, shown.ys[i][at]));
      ctx.stroke();
    }
  }

  const axisNear = (x, reach) => shown.axes.find((axis) => Math.abs(axis.x - x) <= reach);
  const show = (trial, event) => {
    hover(trial);
    tooltip(event?.clientX ?? 0, event?.clientY ?? 0, trial ? trialLines(trial, ...shown.axes.map((axis) => axis.id)) : null);
  };
  const within = (axis, y) => Math.max(axis.top - 4, Math.min(axis.bottom + 4, y));
  p.on({
    move: (x, y, event) => {
      p.box.style.cursor = axisNear(x, 14) ? 'ns-resize' : 'default';
      show(lineNear(shown, x, y), event);
    },
    leave: () => show(null),
    start: (x) => Boolean(axisNear(x, 14)),
    drag: (x0, y0, x, y) => {
      const axis = axisNear(x0, 14);
      over({ axis, from: within(axis, y0), to: within(axis, y) });
    },
    end: (x0, y0, x, y) => {
      const axis = axisNear(x0, 14);
      const ends = [within(axis, y0), within(axis, y)].sort((a, b) => b - a).map((pixel) => held(axis.scale, pixel));
      setRange(axis.id, ends);
    },
    click: (x) => {
      const axis = axisNear(x, 14);
      if (axis && ranges.has(axis.id)) setRange(axis.id, null);
    },
    key: (event) => {
      if (event.key !== 'Escape' || !ranges.size) return;
      event.preventDefault();
      for (const id of [...ranges.keys()]) setRange(id, null);
    },
  });
  p.box.style.touchAction = 'pan-x pan-y';
  return { draw, hover: () => over() };
}

// Strips over the axes on which a finger draws a range, where elsewhere it scrolls the page.
function fillGrips(box, axes) {
  box.replaceChildren(...axes.map((axis) => {
    const grip = el('span', {});
    grip.style.left = `${axis.x - 14}px`;
    return grip;
  }));
}

// The trial whose line passes nearest, within 12 pixels.
function lineNear(shown, x, y) {
  const { axes, ys, trials } = shown;
  let i = axes.findIndex((axis) => axis.x > x) - 1;
  if (axes.length < 2 || x < axes[0].x - 10 || x > axes[axes.length - 1].x + 10) return null;
  if (i === -2) i = axes.length - 2;
  i = Math.max(0, i);
  const part = Math.max(0, Math.min(1, (x - axes[i].x) / (axes[i + 1].x - axes[i].x)));
  let best = null;
  let least = 12;
  for (let k = 0; k < trials.length; k++) {
    const d = Math.abs(ys[i][k] + (ys[i + 1][k] - ys[i][k]) * part - y);
    if (d < least) [least, best] = [d, trials[k]];
  }
  return best;
}

// Draws the lines that were filtered out faintly, then the others, the best last; many of them in several frames.
function drawParallel(p, shown, tint, sense, current, mine) {
  const { axes, trials, ys } = shown;
  const { ctx } = p;
  if (trials.length < data.trials.length) drawFaint(p, axes, new Set(trials));
  const groups = tint.colours.map(() => []);
  trials.forEach((trial, i) => groups[tint.of(trial)].push(i));
  let order = groups.map((_, i) => i).filter((i) => i !== tint.none);
  if (sense !== 'max') order.reverse();
  order = [tint.none, ...order];
  const n = trials.length;
  const alpha = n > 4000 ? 0.16 : n > 1000 ? 0.3 : n > 300 ? 0.5 : 0.75;
  const thin = n > 300 ? 1 / p.ratio : 1.4;
  const strokes = [];
  for (const i of order) {
    for (let from = 0; from < groups[i].length; from += 40) strokes.push([i, groups[i].slice(from, from + 40)]);
  }
  const last = axes.length - 1;
  const work = (limit) => {
    const until = performance.now() + limit;
    ctx.lineWidth = thin;
    ctx.globalAlpha = alpha;
    while (strokes.length && performance.now() < until) {
      const [i, lines] = strokes.shift();
      ctx.strokeStyle = tint.colours[i];
      ctx.beginPath();
      for (const k of lines) {
        ctx.moveTo(axes[0].x, ys[0][k]);
        for (let a = 1; a <= last; a++) ctx.lineTo(axes[a].x, ys[a][k]);
      }
      ctx.stroke();
    }
    drawAxes(p, axes);
    if (strokes.length) requestAnimationFrame(() => { if (current() === mine) work(20); });
  };
  work(60);
}

function drawFaint(p, axes, inside) {
  const { ctx } = p;
  const out = data.trials.filter((trial) => !inside.has(trial));
  const every = Math.max(1, Math.ceil(out.length / MOST_FAINT));
  ctx.strokeStyle = p.look.line;
  ctx.lineWidth = 1 / p.ratio;
  ctx.globalAlpha = 0.5;
  for (let from = 0; from < out.length; from += 40 * every) {
    ctx.beginPath();
    for (let k = from; k < Math.min(out.length, from + 40 * every); k += every) {
      axes.forEach((axis, i) => (i ? ctx.lineTo(axis.x, axis.of(out[k])) : ctx.moveTo(axis.x, axis.of(out[k]))));
    }
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
}

function drawAxes(p, axes) {
  const { ctx, look } = p;
  ctx.globalAlpha = 1;
  ctx.textBaseline = 'middle';
  axes.forEach((axis, i) => {
    ctx.strokeStyle = look.muted;
    ctx.lineWidth = 1;
    ctx.beginPath();
    line(ctx, axis.x + 0.5, axis.top, axis.x + 0.5, axis.bottom);
    ctx.stroke();
    const ticks = axis.scale.ticks(ctx).map((tick) => [tick.text, axis.scale.px(tick.value)]);
    if (axis.hasNone()) ticks.push(['none', axis.none]);
    ctx.textAlign = 'left';
    for (const [text, y] of ticks) {
      const words = shortened(ctx, text, i < axes.length - 1 ? axes[i + 1].x - axis.x - 12 : AXIS_RIGHT - 8);
      const x = axis.x + 7;
      ctx.lineWidth = 4;
      ctx.strokeStyle = look.surface;
      ctx.globalAlpha = 0.85;
      ctx.strokeText(words, x, y);
      ctx.globalAlpha = 1;
      ctx.fillStyle = look.text;
      ctx.fillText(words, x, y);
    }
  });
}
