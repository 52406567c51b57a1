// The timeline: a bar for each attempt in the slot it took, when it waited for the engine, ran and paused; and where the time
// of the slots went.

const TIME_KINDS = [
  ['succeeded', 'trials that succeeded', (look) => look.ok],
  ['failed', 'attempts that failed', (look) => look.bad],
  ['pruned', 'trials that were pruned', (look) => look.warn],
  ['stopped', 'trials that were stopped or killed', (look) => look.series[6]],
  ['running', 'trials that still run', (look) => look.busy],
  ['paused', 'paused', (look) => look.series[3]],
  ['starting', 'waiting for the engine to start them', (look) => look.muted],
  ['idle', 'idle slots', (look) => look.line],
];
const FAILED_ENDS = new Set(['failed', 'oom', 'timed-out', 'unhealthy', 'not-started', 'lost']);

view({
  id: 'timeline',
  title: 'Timeline',
  hint: 'When each attempt ran. Drag to zoom in, double-click for all; + − and the arrow keys too, and the wheel with Ctrl.',
  when: () => data.trials.some((trial) => trial.times.length),
  make: (body, tools) => timelineView(body, tools),
});

// The runs that have attempts of their own.
function timedRuns() {
  const found = new Set();
  for (const trial of data.trials) if (trial.times.length && !trial.reused) found.add(trial.run);
  return data.runs.filter((run) => found.has(run));
}

// What an attempt ended as: its own status, of the last one that of its trial.
function endOf(trial, attempt) {
  if (!attempt.ended) return 'running';
  return attempt.status ?? (attempt === trial.times.at(-1) ? trial.status : 'failed');
}

// The attempts of a run as bars in seconds since its start, in lanes: each in the first that is free when it begins.
function barsOf(run) {
  const now = run.ended ?? Math.max(data.at || 0, run.started);
  const bars = [];
  for (const trial of data.trials) {
    if (trial.run !== run || trial.reused) continue;
    for (const attempt of trial.times) {
      const from = attempt.starting ?? attempt.started;
      if (from === null || from === undefined) continue;
      const second = (ms) => (ms - run.started) / 1000;
      const to = Math.max(from, attempt.ended ?? now);
      const pauses = (attempt.pauses ?? []).map(([a, b]) => [second(a), second(Math.min(b ?? to, to))]);
      const ran = second(Math.min(attempt.started ?? to, to));
      bars.push({ trial, attempt, end: endOf(trial, attempt), from: second(from), ran, to: second(to), pauses, lane: 0 });
    }
  }
  bars.sort((a, b) => a.from - b.from);
  const lanes = [];
  for (const bar of bars) {
    let lane = lanes.findIndex((list) => list[list.length - 1].to <= bar.from);
    if (lane < 0) lane = lanes.push([]) - 1;
    bar.lane = lane;
    lanes[lane].push(bar);
  }
  return { run, bars, lanes };
}

// Seconds of slots by what they went to.
function timeSpent(run, bars) {
  const spent = Object.fromEntries(TIME_KINDS.map(([kind]) => [kind, 0]));
  for (const bar of bars) {
    const paused = bar.pauses.reduce((sum, [a, b]) => sum + Math.max(0, b - a), 0);
    const kind = bar.end === 'succeeded' ? 'succeeded' : bar.end === 'pruned' ? 'pruned' : FAILED_ENDS.has(bar.end) ? 'failed'
      : bar.attempt.ended ? 'stopped' : 'running';
    spent[kind] += Math.max(0, bar.to - bar.ran - paused);
    spent.paused += paused;
    spent.starting += bar.ran - bar.from;
  }
  const busy = Object.values(spent).reduce((a, b) => a + b, 0);
  if (run.parallel) spent.idle = Math.max(0, run.parallel * run.elapsed - busy);
  return spent;
}

function timelineView(body, tools) {
  const p = plot(body, { height: () => shown.height, redraw: () => draw() });
  const legends = legendBox(body);
  const sums = el('div', { class: 'spent' });
  body.append(sums);
  let shown = { height: 240, bars: [], lanes: [] };
  let cache = { version: -1 };
  let zoom = null;
  let whole = [0, 1];

  function draw() {
    const runs = timedRuns();
    if (emptyLine(body, runs.length ? null : 'No trial of these runs was started yet.', tools)) return;
    const run = runs.find((r) => r.run === store.get('timeline.run', null)) ?? runs[runs.length - 1];
    controls(runs, run);
    if (cache.version !== data.version || cache.run !== run) cache = { version: data.version, run, made: barsOf(run) };
    const { bars, lanes } = cache.made;
    const room = lanes.length <= 12 ? 22 : lanes.length <= 32 ? 14 : Math.max(2, Math.min(9, Math.floor(520 / lanes.length)));
    shown = { run, bars, lanes, height: Math.round(lanes.length * room) + 64, inside: new Set(data.filtered) };
    const end = Math.max(run.ended ? (run.ended - run.started) / 1000 : 0, ...lanes.map((list) => list[list.length - 1].to));
    whole = [0, end || 1];
    const numbers = lanes.map((_, i) => i + 1).reverse();
    const x = { type: 'duration', domain: zoom ?? whole, label: 'since the start of the run' };
    if (!p.begin(x, { type: 'category', domain: numbers, label: 'slot' })) return;
    p.axes();
    p.clip((ctx) => {
      drawBars(ctx, p, shown);
      drawResumes(ctx, p, run);
    });
    legends(barLegend(bars));
    const spent = timeSpent(run, bars);
    fillSpent(sums, run, spent);
    p.label(`Timeline: ${counted(bars.length, 'attempt')} in ${counted(lanes.length, 'slot')}, ${secondsText(run.elapsed ?? whole[1])}.`);
    over();
  }

  function controls(runs, run) {
    const act = (label, words, go) => el('button', { type: 'button', 'aria-label': words, title: words, onclick: go }, label);
    setTools(tools, [runs.map((r) => r.run), run.run], () => [
      runs.length > 1 && choice('run', runs.map((r) => [r.run, `${r.experiment} ${r.run}`]), run.run, (id) => {
        store.set('timeline.run', id);
        zoom = null;
        draw();
      }),
      act('+', 'zoom in', () => zoomBy(0.5)), act('−', 'zoom out', () => zoomBy(2)),
      act('←', 'earlier', () => shift(-0.3)), act('→', 'later', () => shift(0.3)), act('all', 'the whole run', () => setZoom(null)),
    ]);
  }

  const setZoom = (span) => {
    if (span) {
      const length = Math.min(whole[1] - whole[0], Math.max(span[1] - span[0], (whole[1] - whole[0]) / 1e5));
      const from = Math.max(whole[0], Math.min(whole[1] - length, span[0]));
      zoom = length >= (whole[1] - whole[0]) * 0.999 ? null : [from, from + length];
    } else zoom = null;
    draw();
  };
  const zoomBy = (factor, at = null) => {
    const [from, to] = zoom ?? whole;
    const middle = at ?? (from + to) / 2;
    setZoom([middle - (middle - from) * factor, middle + (to - middle) * factor]);
  };
  const shift = (share) => {
    const [from, to] = zoom ?? whole;
    setZoom([from + (to - from) * share, to + (to - from) * share]);
  };

  function over(drag = null) {
    p.clearOver();
    if (drag) brushBox(p.over, p.look, drag[0], p.area.top, drag[1], p.area.bottom);
    if (!data.hovered || !p.area) return;
    p.clip((ctx) => {
      ctx.strokeStyle = p.look.text;
      ctx.lineWidth = 2;
      for (const bar of shown.bars) {
        if (bar.trial !== data.hovered) continue;
        const [x0, x1] = [p.px(bar.from), p.px(bar.to)];
        const h = Math.max(2, p.y.band - 2);
        ctx.strokeRect(x0 - 1, p.py(bar.lane + 1) - h / 2 - 1, Math.max(2, x1 - x0) + 2, h + 2);
      }
    }, p.over);
  }

  const barAt = (x, y) => {
    if (!p.area || y < p.area.top || y > p.area.bottom) return null;
    const list = shown.lanes[p.y.invert(y) - 1] ?? [];
    const at = p.x.invert(x);
    const slack = 3 * (p.x.invert(1) - p.x.invert(0));
    let [low, high] = [0, list.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (list[middle].from <= at) low = middle;
      else high = middle - 1;
    }
    return [list[low], list[low + 1]].find((bar) => bar && at >= bar.from - slack && at <= bar.to + slack) ?? null;
  };
  p.on({
    move: (x, y, event) => {
      const bar = barAt(x, y);
      hover(bar?.trial ?? null);
      tooltip(event.clientX, event.clientY, bar ? barLines(bar, shown.run) : null);
    },
    leave: () => { hover(null); tooltip(0, 0, null); },
    start: (x, y) => Boolean(p.area) && y <= p.area.bottom && x >= p.area.left - 6,
    drag: (x0, y0, x) => over([x0, x]),
    end: (x0, y0, x) => setZoom([p.x.invert(Math.min(x0, x)), p.x.invert(Math.max(x0, x))]),
    click: () => over(),
    wheel: (event, x) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoomBy(event.deltaY > 0 ? 1.25 : 0.8, p.x.invert(x));
    },
    key: (event) => {
      const act = {
        '+': () => zoomBy(0.5), '=': () => zoomBy(0.5), '-': () => zoomBy(2), 0: () => setZoom(null),
        ArrowLeft: () => shift(-0.3), ArrowRight: () => shift(0.3),
      }[event.key];
      if (!act && !(event.key === 'Escape' && zoom)) return;
      event.preventDefault();
      (act ?? (() => setZoom(null)))();
    },
  });
  p.box.addEventListener('dblclick', () => setZoom(null));
  return { draw, hover: () => over() };
}

function barLines(bar, run) {
  const { trial, attempt } = bar;
  const message = attempt.message ?? (attempt === trial.times.at(-1) ? trial.message : null);
  const lines = [trial.name, message ? `${bar.end}: ${message}` : bar.end];
  if (trial.times.length > 1) lines.push(['attempt', `${attempt.number} of ${trial.times.length}`]);
  lines.push(['started', momentText(run.started + bar.ran * 1000)], [attempt.ended ? 'ran' : 'has run for', secondsText(bar.to - bar.ran)]);
  if (bar.ran - bar.from >= 0.01) lines.push(['waited for the engine', secondsText(bar.ran - bar.from)]);
  const paused = bar.pauses.reduce((sum, [a, b]) => sum + b - a, 0);
  if (paused) lines.push(['paused', secondsText(paused)]);
  if (attempt.cores?.length) lines.push(['cores', attempt.cores.join(', ')]);
  if (attempt.gpus?.length) lines.push(['GPUs', attempt.gpus.join(', ')]);
  if (attempt.note) lines.push(attempt.note);
  return lines;
}

// The bars, those of one colour in one path; failures are hatched, pauses striped, pruned ones end with a mark.
function drawBars(ctx, p, shown) {
  const { bars, inside } = shown;
  const [from, to] = p.specs.x.domain;
  const h = Math.max(1, p.y.band > 4 ? p.y.band - 2 : p.y.band - 0.5);
  const seen = bars.filter((bar) => bar.to >= from && bar.from <= to);
  const groups = new Map();
  const put = (colour, alpha, x0, x1, y) => {
    const key = `${alpha} ${colour}`;
    if (!groups.has(key)) groups.set(key, { colour, alpha, rects: [] });
    groups.get(key).rects.push(x0, Math.max(1, x1 - x0), y);
  };
  const top = (bar) => p.py(bar.lane + 1) - h / 2;
  for (const bar of seen) {
    const colour = inside.has(bar.trial) ? statusColour(bar.end) : p.look.line;
    const [x0, x1, x2] = [p.px(bar.from), p.px(bar.ran), p.px(bar.to)];
    if (x1 - x0 >= 0.5) put(colour, 0.3, x0, x1, top(bar));
    put(colour, 0.85, x1, x2 - (x2 - x1 > 4 ? 1 : 0), top(bar));
  }
  for (const { colour, alpha, rects } of groups.values()) {
    ctx.fillStyle = colour;
    ctx.globalAlpha = alpha;
    for (let i = 0; i < rects.length; i += 3) ctx.fillRect(rects[i], rects[i + 2], rects[i + 1], h);
  }
  ctx.globalAlpha = 1;
  const failures = hatch(ctx, p, false);
  const pauses = hatch(ctx, p, true);
  for (const bar of seen) {
    const [x1, x2, y] = [p.px(bar.ran), p.px(bar.to), top(bar)];
    if (FAILED_ENDS.has(bar.end) && x2 - x1 > 3) {
      ctx.fillStyle = failures;
      ctx.fillRect(x1, y, x2 - x1 - 1, h);
    }
    for (const [a, b] of bar.pauses) {
      if (p.px(b) - p.px(a) < 1) continue;
      ctx.fillStyle = p.look.surface;
      ctx.globalAlpha = 0.55;
      ctx.fillRect(p.px(a), y, p.px(b) - p.px(a), h);
      ctx.globalAlpha = 1;
      ctx.fillStyle = pauses;
      ctx.fillRect(p.px(a), y, p.px(b) - p.px(a), h);
    }
    if (h >= 6 && x2 - x1 > 7 && bar.end === 'pruned') {
      ctx.fillStyle = p.look.text;
      ctx.fillRect(x2 - 3, y, 2, h);
    }
    if (h >= 11 && x2 - x1 > 16) barText(ctx, p, bar, Math.max(x1, p.area.left), x2, y + h / 2);
  }
}

// Writes the number of a later attempt and the name, where they fit whole.
function barText(ctx, p, bar, x0, x1, y) {
  const number = bar.attempt.number > 1 ? ordinal(bar.attempt.number) : '';
  const fits = (words) => ctx.measureText(words).width <= x1 - x0 - 9;
  const words = [`${number} ${bar.trial.name}`.trim(), number].find(fits);
  if (!words) return;
  const colour = statusColour(bar.end);
  if (FAILED_ENDS.has(bar.end)) {
    ctx.fillStyle = colour;
    ctx.fillRect(x0 + 1, y - 7, ctx.measureText(words).width + 6, 14);
  }
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  ctx.fillStyle = readable(colour);
  ctx.fillText(words, x0 + 4, y + 0.5);
}

function ordinal(n) {
  return `${n}${n % 100 >= 11 && n % 100 <= 13 ? 'th' : ['th', 'st', 'nd', 'rd'][n % 10] ?? 'th'}`;
}

// A pattern of stripes: slanted ones for failures, upright ones for pauses.
function hatch(ctx, p, upright) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 6;
  const pen = tile.getContext('2d');
  pen.strokeStyle = upright ? p.look.muted : p.look.surface;
  pen.globalAlpha = upright ? 0.9 : 0.55;
  pen.lineWidth = upright ? 1.5 : 1.6;
  pen.beginPath();
  if (upright) line(pen, 3, 0, 3, 6);
  else for (const shift of [-6, 0, 6]) line(pen, shift - 1, 7, shift + 7, -1);
  pen.stroke();
  return ctx.createPattern(tile, 'repeat');
}

function drawResumes(ctx, p, run) {
  ctx.save();
  ctx.strokeStyle = p.look.text;
  ctx.setLineDash([4, 3]);
  ctx.lineWidth = 1;
  for (const ms of run.resumed ?? []) {
    const x = crisp(p.px((ms - run.started) / 1000));
    ctx.beginPath();
    line(ctx, x, p.area.top - 4, x, p.area.bottom);
    ctx.stroke();
  }
  ctx.restore();
}

function barLegend(bars) {
  const look = theme();
  const ends = [...new Set(bars.map((bar) => bar.end))].sort();
  const item = (picture, words) => el('span', { class: 'legend-item' }, picture, words);
  const items = ends.map((end) => item(barSwatch(statusColour(end), FAILED_ENDS.has(end), end === 'pruned'), end));
  if (bars.some((bar) => bar.pauses.length)) items.push(item(barSwatch(look.line, false, false, true), 'pause'));
  if (bars.some((bar) => bar.ran > bar.from)) {
    const pale = barSwatch(look.muted, false, false);
    pale.style.opacity = '0.35';
    items.push(item(pale, 'waiting for the engine'));
  }
  return el('div', { class: 'legend' }, ...items);
}

function barSwatch(colour, failed, pruned, paused) {
  const canvas = el('canvas', { class: 'swatch-bar', 'aria-hidden': 'true' });
  [canvas.width, canvas.height] = [44, 24];
  const ctx = canvas.getContext('2d');
  ctx.scale(2, 2);
  const look = theme();
  ctx.fillStyle = colour;
  ctx.fillRect(0, 0, 22, 12);
  if (failed || paused) {
    ctx.fillStyle = hatch(ctx, { look }, Boolean(paused));
    ctx.fillRect(0, 0, 22, 12);
  }
  if (pruned) {
    ctx.fillStyle = look.text;
    ctx.fillRect(19, 0, 2, 12);
  }
  return canvas;
}

// Where the time of the slots went: a bar of shares, and each share in words.
function fillSpent(box, run, spent) {
  const look = theme();
  const total = Object.values(spent).reduce((a, b) => a + b, 0);
  const rows = TIME_KINDS.filter(([kind]) => spent[kind] > 0 && total > 0);
  const bar = el('div', { class: 'spent-bar', 'aria-hidden': 'true' }, ...rows.map(([kind, , colour]) => {
    const part = el('span', {});
    part.style.width = `${(spent[kind] / total) * 100}%`;
    part.style.background = colour(look);
    return part;
  }));
  const items = rows.map(([kind, words, colour]) => {
    const dot = el('span', { class: 'spent-dot', 'aria-hidden': 'true' });
    dot.style.background = colour(look);
    const length = el('span', { class: 'muted' }, ` ${secondsText(spent[kind])}`);
    return el('li', {}, dot, el('b', {}, shareText(spent[kind] / total)), ` ${words}`, length);
  });
  const whole = run.parallel && total <= run.parallel * run.elapsed * 1.02
    ? `${counted(run.parallel, 'slot')} for ${secondsText(run.elapsed)}: ${secondsText(total)} of machine time.`
    : `${secondsText(total)} in all attempts.`;
  refill(box, el('h3', {}, 'Where the time went'), el('p', { class: 'muted' }, whole), bar, el('ul', {}, ...items));
}

function shareText(share) {
  const cent = share * 100;
  return cent > 0 && cent < 1 ? '< 1 %' : `${Math.round(cent)} %`;
}
