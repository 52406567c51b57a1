// The curves of a metric: a line for each trial, or the mean of trials that differ in one param, with its 95 % interval.

const MOST_CURVES = 1000;
const MOST_BANDS_DRAWN = 16;
const REPLICATE_NAMES = /^(seed|rng|random_?seed|replicate|repeat|rep|fold|run|trial)(_?(id|number|no))?$/i;
const T_TABLE = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];

// The 97.5 % point of Student's t: from the table up to ten degrees of freedom, else by its expansion about the normal one.
function studentT(freedom) {
  if (freedom <= T_TABLE.length) return T_TABLE[freedom - 1];
  const z = 1.959964;
  return z + (z ** 3 + z) / (4 * freedom) + (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2);
}

// An exponential moving average that begins at the first value: each value weighs `1 - weight`, corrected for the start.
function smoothed(values, weight) {
  if (!weight) return values;
  let sum = 0;
  let all = 0;
  return values.map((v) => {
    if (!Number.isFinite(v)) return v;
    sum = sum * weight + v * (1 - weight);
    all = all * weight + (1 - weight);
    return sum / all;
  });
}

// The metrics that some trial has a curve of.
function curveMetrics() {
  const found = new Set();
  for (const metrics of data.curves.values()) for (const name in metrics) found.add(name);
  return [...found].sort();
}

// The curve of a trial as {xs, ys}, in order of x: by step (or place), or by seconds since its attempt was started.
function curveOf(trial, metric, byTime) {
  const told = data.curves.get(trial.key)?.[metric];
  if (!told || !told.value.length) return null;
  let xs = told.step;
  if (byTime) {
    const first = told.at[0];
    const attempt = trial.times.findLast((t) => (t.started ?? t.starting) <= first) ?? trial.times[0];
    const zero = attempt ? attempt.started ?? attempt.starting : first;
    xs = told.at.map((ms) => (ms - zero) / 1000);
  }
  xs ??= told.value.map((_, i) => i + 1);
  let ys = told.value;
  if (xs.some((x, i) => i > 0 && x < xs[i - 1])) {
    const order = xs.map((_, i) => i).sort((a, b) => xs[a] - xs[b]);
    [xs, ys] = [order.map((i) => xs[i]), order.map((i) => ys[i])];
  }
  return { trial, xs, ys, of: told.of, has: told.value.length };
}

// The value of a curve at x, between its neighbours; NaN outside of it.
function curveAt(curve, x) {
  const { xs } = curve;
  const ys = curve.shown ?? curve.ys;
  const n = xs.length;
  if (x < xs[0] || x > xs[n - 1]) return NaN;
  let low = 0;
  let high = n - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  if (xs[high] === x) return Number.isFinite(ys[high]) ? ys[high] : NaN;
  if (!Number.isFinite(ys[low]) || !Number.isFinite(ys[high])) return NaN;
  const part = xs[high] > xs[low] ? (x - xs[low]) / (xs[high] - xs[low]) : 0;
  return ys[low] + (ys[high] - ys[low]) * part;
}

// Groups of curves whose trials have all params alike but this one.
function curveGroups(curves, param) {
  const others = columns().filter((c) => c.group === 'param' && c.id !== param);
  const groups = new Map();
  for (const curve of curves) {
    const key = JSON.stringify(others.map((c) => value(curve.trial, c.id)));
    if (groups.has(key)) groups.get(key).push(curve);
    else groups.set(key, [curve]);
  }
  return [...groups.values()];
}

// The mean of a group of curves at each x that one of them has and at least half of them reach, with the half width of its 95 %
// interval and n.
function meanCurve(group) {
  const all = [...new Set(group.flatMap((curve) => curve.xs))].sort((a, b) => a - b);
  const every = Math.max(1, Math.ceil(all.length / 300));
  const mean = { trial: group[0].trial, members: group, xs: [], ys: [], half: [], n: [] };
  for (let i = 0; i < all.length; i += every) {
    const values = group.map((curve) => curveAt(curve, all[i])).filter(Number.isFinite);
    if (!values.length || values.length * 2 < group.length) continue;
    const n = values.length;
    const middle = values.reduce((a, b) => a + b, 0) / n;
    const spread = n > 1 ? Math.sqrt(values.reduce((a, v) => a + (v - middle) ** 2, 0) / (n - 1)) : 0;
    mean.xs.push(all[i]);
    mean.ys.push(middle);
    mean.half.push(n > 1 ? (studentT(n - 1) * spread) / Math.sqrt(n) : 0);
    mean.n.push(n);
  }
  return mean;
}

// The param that only repeats: by its name, where at least half of the curves share all other params with another.
function replicateParam(curves) {
  for (const c of comparableParams()) {
    if (!REPLICATE_NAMES.test(c.name)) continue;
    const alone = curveGroups(curves, c.id).filter((group) => group.length === 1).length;
    if (alone * 2 <= curves.length && curves.length > 1) return c.id;
  }
  return '';
}

// What the y axis spans: all values, or where a few lie far out, the inner 98 % of them and half as much beside.
function curveSpan(curves, log, all) {
  const values = [];
  for (const curve of curves) for (const v of curve.shown) if (Number.isFinite(v) && (!log || v > 0)) values.push(v);
  values.sort((a, b) => a - b);
  const n = values.length;
  if (!n) return { domain: extent([], log), cut: 0 };
  const [low, high] = [values[Math.floor((n - 1) * 0.01)], values[Math.ceil((n - 1) * 0.99)]];
  const wide = !log && n > 50 && values[n - 1] - values[0] > 20 * (high - low || Infinity);
  if (!wide || all) return { domain: extent([values[0], values[n - 1]], log), cut: 0 };
  const room = (high - low) / 2;
  const [from, to] = [Math.max(values[0], low - room), Math.min(values[n - 1], high + room)];
  return { domain: extent([from, to], log), cut: values.filter((v) => v < from || v > to).length };
}

function curvePath(ctx, p, xs, ys, log) {
  let pen = false;
  const thin = xs.length > 3 * p.width;
  let last = -1;
  for (let i = 0; i < xs.length; i++) {
    const y = ys[i];
    if (!Number.isFinite(y) || (log.y && y <= 0) || (log.x && xs[i] <= 0)) { pen = false; continue; }
    const x = p.px(xs[i]);
    if (thin && pen && x - last < 0.4 && i < xs.length - 1) continue;
    last = x;
    if (pen) ctx.lineTo(x, p.py(y));
    else ctx.moveTo(x, p.py(y));
    pen = true;
  }
}

view({
  id: 'curves',
  title: 'Curves',
  hint: 'How a metric went on while trials ran. Click a curve, or press Left and Right, to mark it.',
  when: () => data.trials.length > 0,
  make: (body, tools) => curvesView(body, tools),
});

function curvesView(body, tools) {
  const p = plot(body, { height: (width) => (width < 600 ? 300 : 380), redraw: () => draw() });
  const legends = legendBox(body);
  const note = noteLine(body);
  let shown = { curves: [], tint: null, log: {} };
  let pinned = null;

  const options = () => {
    const metrics = curveMetrics();
    const goal = goalColumn()?.name;
    const set = (name, fallback) => store.get(`curves.${name}`, fallback);
    const metric = set('metric', null);
    return {
      metrics,
      metric: metrics.includes(metric) ? metric : metrics.includes(goal) ? goal : metrics[0],
      x: set('x', 'step'), logX: set('logx', false), logY: set('logy', false),
      smooth: Math.max(0, Math.min(0.99, Number(set('smooth', 0)) || 0)),
      all: set('all', false), over: set('over', null), colour: set('colour', null),
    };
  };
  const pick = (name) => (chosen) => {
    store.set(`curves.${name}`, chosen);
    draw();
  };
  const controls = (o, over, colour, hasCut) => {
    const slider = el('input', { type: 'range', min: '0', max: '0.99', step: '0.01', value: String(o.smooth), 'aria-label': 'smoothing' });
    const told = el('output', {}, o.smooth ? String(o.smooth) : 'off');
    slider.addEventListener('input', () => {
      told.textContent = Number(slider.value) ? slider.value : 'off';
      store.set('curves.smooth', Number(slider.value));
      draw(false);
    });
    const params = comparableParams().map((c) => [c.id, c.name]);
    setTools(tools, [o, over, colour, params, hasCut], () => [
      choice('metric', o.metrics, o.metric, pick('metric')),
      choice('x', [['step', 'step'], ['time', 'time since its start']], o.x, pick('x')),
      choice('colour', [['', 'one colour'], ['status', 'status'], ...params, ...goalChoice()], colour, pick('colour')),
      choice('mean over', [['', 'off'], ...params], over, pick('over')),
      el('label', { class: 'choice' }, el('span', {}, 'smooth'), slider, told),
      toggle('log x', o.logX, pick('logx')), toggle('log y', o.logY, pick('logy')), hasCut && toggle('all values', o.all, pick('all')),
    ]);
  };

  function draw(controlsToo = true) {
    const o = options();
    if (emptyLine(body, emptyCurves(o), tools)) return;
    const byTime = o.x === 'time';
    let curves = data.filtered.map((trial) => curveOf(trial, o.metric, byTime)).filter(Boolean);
    const total = curves.length;
    const over = o.over ?? replicateParam(curves);
    const params = comparableParams();
    const colour = o.colour ?? params.find((c) => c.id !== over)?.id ?? 'status';
    const words = [];
    const thinned = curves.filter((curve) => curve.of > curve.has);
    if (over) {
      curves = curveGroups(curves, over).map(meanCurve);
      words.push(meanWords(curves, over, total));
    }
    if (curves.length > MOST_CURVES) {
      const every = curves.length / MOST_CURVES;
      curves = Array.from({ length: MOST_CURVES }, (_, i) => curves[Math.floor(i * every)]);
      words.push(`${countText(MOST_CURVES)} of ${countText(total)} curves are drawn, evenly picked: filter for the others.`);
    }
    for (const curve of curves) curve.shown = smoothed(curve.ys, o.smooth);
    const span = curveSpan(curves, o.logY, o.all);
    if (controlsToo) controls(o, over, colour, o.all || span.cut > 0);
    const log = { x: o.logX, y: o.logY };
    const xs = curves.flatMap((curve) => [curve.xs[0], curve.xs.find((x) => x > 0), curve.xs[curve.xs.length - 1]]);
    const x = { type: log.x ? 'log' : byTime ? 'duration' : 'linear', domain: extent(xs, log.x, 0), unit: byTime ? 'seconds' : null,
      label: byTime ? 'time since its start' : 'step' };
    if (!p.begin(x, { type: log.y ? 'log' : 'linear', domain: span.domain, unit: unitOf(o.metric), label: o.metric })) return;
    const tint = colouring(colour, data.filtered);
    shown = { curves, tint, log, metric: o.metric, byTime };
    p.axes();
    p.clip((ctx) => drawCurves(ctx, p, shown, o.smooth));
    const ended = curves.some((curve) => curve.trial.status === 'pruned');
    legends(tint.legend(), ended && el('div', { class: 'legend' }, el('span', { class: 'legend-item' },
      swatch(p.look.text, 'cross'), 'pruned here')));
    if (thinned.length) {
      const most = (name) => countText(thinned.reduce((a, curve) => Math.max(a, curve[name]), 0));
      const are = thinned.length === 1 ? 'is' : 'are';
      words.push(`${counted(thinned.length, 'curve')} ${are} thinned: ${most('has')} of ${most('of')} values.`);
    }
    if (span.cut) words.push(`${counted(span.cut, 'value')} far out ${span.cut === 1 ? 'is' : 'are'} cut off ("all values").`);
    note(...words);
    p.label(curveWords(curves, total, o, over));
    markOne();
  }

  function markOne(curve = shown.curves.find((c) => c.trial === (data.hovered ?? pinned?.trial))) {
    p.clearOver();
    if (curve) p.clip((ctx) => drawMarked(ctx, p, curve, shown), p.over);
  }

  const nearest = (x, y) => {
    let best = null;
    let least = 24;
    const at = p.x.invert(x);
    for (const curve of shown.curves) {
      const inside = Math.max(curve.xs[0], Math.min(curve.xs[curve.xs.length - 1], at));
      const v = curveAt(curve, inside);
      const d = Math.hypot(p.py(v) - y, p.px(inside) - x);
      if (d < least) [least, best] = [d, { curve, x: inside, y: v }];
    }
    return best;
  };
  const tell = (found, event) => {
    hover(found ? found.curve.trial : null);
    tooltip(event?.clientX ?? 0, event?.clientY ?? 0, found ? curveLines(found, shown) : null);
  };
  p.on({
    move: (x, y, event) => {
      if (!shown.curves.length || !p.area) return;
      tell(nearest(x, y), event);
    },
    leave: () => tell(null),
    click: (x, y) => {
      const found = shown.curves.length ? nearest(x, y) : null;
      pinned = found && found.curve !== pinned ? found.curve : null;
      markOne();
    },
    key: (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === 'Escape') pinned = null;
      else if (!step || !shown.curves.length) return;
      else {
        event.preventDefault();
        const n = shown.curves.length;
        const at = shown.curves.findIndex((c) => c.trial === pinned?.trial);
        pinned = shown.curves[(at + step + n) % n];
        const end = pinned.xs.length - 1;
        p.say(curveLines({ curve: pinned, x: pinned.xs[end], y: pinned.shown[end] }, shown).join(', '));
      }
      markOne();
    },
  });
  return { draw: () => draw(), hover: () => markOne() };
}

// The goal's metric as a choice, where there is a goal.
function goalChoice() {
  const goal = goalColumn();
  return goal ? [[goal.id, goal.name]] : [];
}

function emptyCurves(o) {
  if (!o.metrics.length) return 'No trial told a metric step by step. It does if it prints lines such as  ::combu metric loss=0.3 step=7';
  if (!data.filtered.length) return 'No trial passes the filter.';
  if (!data.filtered.some((trial) => data.curves.get(trial.key)?.[o.metric])) return `None of the trials shown has a curve of ${o.metric}.`;
  return null;
}

function meanWords(curves, over, total) {
  const most = Math.max(...curves.map((curve) => curve.members.length));
  const name = columnName(over);
  if (most === 1) return `No two trials differ only in ${name}: each line is one trial.`;
  const least = Math.min(...curves.map((curve) => curve.members.length));
  const n = least === most ? `n = ${most}` : `n = ${least} to ${most}`;
  const bands = curves.length <= MOST_BANDS_DRAWN ? 'bands are' : 'the band of the line that is marked is';
  return `Lines are means over ${name} (${n}; ${counted(total, 'trial')}) of the trials that got so far, as long as half did; `
    + `${bands} the 95 % interval by Student's t.`;
}

function curveWords(curves, total, o, over) {
  const best = bestTrial(data.filtered);
  const what = over ? `${counted(curves.length, 'mean curve')} over ${columnName(over)} of ${counted(total, 'trial')}`
    : counted(total, 'curve');
  return `Curves: ${what} of ${o.metric} by ${o.x}.${best ? ` The best trial is ${best.name} with ${format(best.value)}.` : ''}`;
}

function curveLines(found, shown) {
  const { curve, x, y } = found;
  const at = shown.byTime ? durationText(Number(x.toPrecision(3))) : `step ${format(Math.round(x))}`;
  if (!curve.members || curve.members.length === 1) {
    return [...trialLines(curve.trial), `${at}: ${shown.metric} = ${format(Number(y.toPrecision(5)))}`];
  }
  const i = Math.max(0, curve.xs.findIndex((v) => v >= x));
  const lines = trialLines(curve.trial).slice(2);
  const half = Number(curve.half[i].toPrecision(2));
  return [`mean of ${counted(curve.members.length, 'trial')}`, ...lines,
    `${at}: ${shown.metric} = ${format(Number(y.toPrecision(5)))} ± ${format(half)} (n = ${curve.n[i]})`];
}

// Draws all curves: some of one colour in one path, the colours by turns so that none lies over all others.
function drawCurves(ctx, p, shown, smooth) {
  const { curves, tint, log } = shown;
  const groups = tint.colours.map(() => []);
  for (const curve of curves) groups[tint.of(curve.trial)].push(curve);
  const bundles = [];
  groups.forEach((group, i) => {
    for (let from = 0; from < group.length; from += 8) bundles.push([i, group.slice(from, from + 8), from + 8 * steady(`${i} ${from}`)]);
  });
  bundles.sort((a, b) => a[2] - b[2]);
  const many = curves.length;
  const strong = many > 300 ? 0.45 : many > 60 ? 0.65 : 0.95;
  const lines = (alpha, width, of) => {
    ctx.lineWidth = width;
    ctx.globalAlpha = alpha;
    for (const [i, group] of bundles) {
      ctx.strokeStyle = tint.colours[i];
      ctx.beginPath();
      for (const curve of group) curvePath(ctx, p, curve.xs, of(curve), log);
      ctx.stroke();
    }
  };
  const thin = 1 / p.ratio;
  if (many <= MOST_BANDS_DRAWN) for (const curve of curves) if (curve.half) drawBand(ctx, p, curve, tint, log);
  if (smooth && many <= 300) lines(0.16, thin, (curve) => curve.ys);
  lines(strong, many > 300 ? thin : many > 60 ? 1 : 1.6, (curve) => curve.shown);
  ctx.globalAlpha = 1;
  ctx.fillStyle = p.look.text;
  ctx.beginPath();
  const pruned = curves.filter((curve) => curve.trial.status === 'pruned' && !(curve.members?.length > 1));
  for (const curve of pruned) endMark(ctx, p, curve, log, many > 200 ? 2 : 3.4);
  ctx.globalAlpha = many > 200 ? 0.4 : 0.8;
  ctx.fill();
}

function endMark(ctx, p, curve, log, size) {
  const end = curve.xs.length - 1;
  const [x, y] = [curve.xs[end], curve.shown[end]];
  if (Number.isFinite(y) && (!log.y || y > 0) && (!log.x || x > 0)) mark(ctx, 'cross', p.px(x), p.py(y), size);
}

function drawBand(ctx, p, curve, tint, log) {
  const low = (i) => (log.y ? Math.max(p.specs.y.domain[0], curve.ys[i] - curve.half[i]) : curve.ys[i] - curve.half[i]);
  ctx.beginPath();
  for (let i = 0; i < curve.xs.length; i++) {
    if (log.x && curve.xs[i] <= 0) continue;
    ctx.lineTo(p.px(curve.xs[i]), p.py(curve.ys[i] + curve.half[i]));
  }
  for (let i = curve.xs.length - 1; i >= 0; i--) {
    if (log.x && curve.xs[i] <= 0) continue;
    ctx.lineTo(p.px(curve.xs[i]), p.py(low(i)));
  }
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = tint.colours[tint.of(curve.trial)];
  ctx.fill();
  ctx.globalAlpha = 1;
}

// Draws one curve over the others, with its band.
function drawMarked(ctx, p, curve, shown) {
  if (curve.half) drawBand(ctx, p, curve, shown.tint, shown.log);
  for (const [colour, width] of [[p.look.surface, 5], [p.look.text, 2.2]]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.beginPath();
    curvePath(ctx, p, curve.xs, curve.shown, shown.log);
    ctx.stroke();
  }
}
