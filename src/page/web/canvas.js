// A plot: two canvases over each other (marks below, highlight above) with axes, pointer and keyboard events.

const PLOT_FONT = 12;

// A plot in `body`. `options`: {height: px or (width) => px, redraw: called when its width changed, label: words,
// touch: what of touches stays with the page ('pan-y')}. Each draw begins with `begin(x, y)`, which sizes it, makes the
// scales and clears it; it is false while the plot is not laid out.
function plot(body, options = {}) {
  const base = el('canvas', { 'aria-hidden': 'true' });
  const top = el('canvas', { 'aria-hidden': 'true' });
  const said = el('div', { class: 'said', 'aria-live': 'polite' });
  const box = el('div', { class: 'plot', role: 'img', tabindex: '0', 'aria-label': options.label ?? '' }, base, top, said);
  box.style.touchAction = options.touch ?? 'pan-y';
  body.append(box);
  const p = {
    box, base, top, ctx: base.getContext('2d'), over: top.getContext('2d'), width: 0, height: 0, ratio: 1,
    area: null, x: null, y: null,
    px: (v) => p.x.px(v),
    py: (v) => p.y.px(v),
    say: (words) => { said.textContent = words; },
    label: (words) => box.setAttribute('aria-label', words),
    on: (events) => pointer(p, events),
    begin: (x, y) => begin(p, options, x, y),
    clear: () => p.ctx.clearRect(0, 0, p.width, p.height),
    clearOver: () => p.over.clearRect(0, 0, p.width, p.height),
    axes: () => axes(p),
    clip: (draw, ctx = p.ctx) => clipped(p, draw, ctx),
  };
  let seen = 0;
  new ResizeObserver(() => {
    const width = box.clientWidth;
    if (width && width !== p.width && width !== seen) {
      seen = width;
      requestAnimationFrame(() => options.redraw?.());
    }
  }).observe(box);
  return p;
}

function fit(p, options) {
  const width = p.box.clientWidth;
  if (!width) return false;
  const height = typeof options.height === 'function' ? options.height(width) : options.height ?? 320;
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  if (p.width !== width || p.height !== height || p.ratio !== ratio) {
    Object.assign(p, { width, height, ratio });
    p.box.style.height = `${height}px`;
    for (const canvas of [p.base, p.top]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
  }
  p.look = theme();
  const family = getComputedStyle(p.box).fontFamily;
  for (const ctx of [p.ctx, p.over]) {
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.globalAlpha = 1;
    ctx.setLineDash([]);
    ctx.font = `${PLOT_FONT}px ${family}`;
    ctx.lineJoin = 'round';
  }
  return true;
}

// Sizes the plot and makes its scales; `x` and `y` are specs of scales with a `label`, or null for a bare canvas.
function begin(p, options, x, y) {
  if (!fit(p, options)) return false;
  if (!x || !y) return true;
  const { ctx } = p;
  const over = y.label ? 24 : 10;
  const under = x.label ? 40 : 24;
  p.specs = { x, y };
  p.y = scale(y, p.height - under, over);
  p.yTicks = p.y.ticks(ctx);
  const widest = Math.max(0, ...p.yTicks.map((tick) => ctx.measureText(tick.text).width));
  const left = Math.ceil(Math.min(widest, p.width * 0.35)) + 12;
  p.area = { left, right: p.width - 12, top: over, bottom: p.height - under };
  p.x = scale(x, p.area.left, p.area.right);
  p.xTicks = p.x.ticks(ctx);
  return true;
}

function axes(p) {
  const { ctx, area, look } = p;
  ctx.save();
  ctx.lineWidth = 1;
  ctx.strokeStyle = look.line;
  ctx.globalAlpha = 0.7;
  ctx.beginPath();
  const grid = (scale) => scale.type !== 'category';
  for (const tick of grid(p.y) ? p.yTicks : []) line(ctx, area.left, crisp(p.py(tick.value)), area.right, crisp(p.py(tick.value)));
  for (const tick of grid(p.x) ? p.xTicks : []) line(ctx, crisp(p.px(tick.value)), area.top, crisp(p.px(tick.value)), area.bottom);
  ctx.stroke();
  ctx.globalAlpha = 1;
  ctx.beginPath();
  line(ctx, area.left, crisp(area.bottom), area.right, crisp(area.bottom));
  ctx.stroke();
  ctx.fillStyle = look.muted;
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'right';
  for (const tick of p.yTicks) ctx.fillText(shortened(ctx, tick.text, area.left - 8), area.left - 7, p.py(tick.value));
  ctx.textBaseline = 'top';
  ctx.textAlign = 'center';
  for (const tick of p.xTicks) {
    const half = ctx.measureText(tick.text).width / 2;
    ctx.fillText(tick.text, Math.max(half, Math.min(p.width - half, p.px(tick.value))), area.bottom + 6);
  }
  ctx.fillStyle = look.text;
  ctx.textAlign = 'left';
  if (p.specs.y.label) ctx.fillText(shortened(ctx, p.specs.y.label, p.width - 8), 0, 2);
  ctx.textAlign = 'right';
  if (p.specs.x.label) ctx.fillText(shortened(ctx, p.specs.x.label, p.width - 8), area.right, area.bottom + 23);
  ctx.restore();
}

function line(ctx, x0, y0, x1, y1) {
  ctx.moveTo(x0, y0);
  ctx.lineTo(x1, y1);
}

function crisp(v) {
  return Math.round(v) + 0.5;
}

function clipped(p, draw, ctx) {
  const { left, right, top, bottom } = p.area;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left - 1, top - 4, right - left + 6, bottom - top + 5);
  ctx.clip();
  draw(ctx);
  ctx.restore();
}

// Events of a plot: `move(x, y)`, `leave()`, `click(x, y)`, `start(x, y)` (true: a drag begins), `drag(x0, y0, x, y)`,
// `end(x0, y0, x, y)`, `key(event)`, `wheel(event, x)`. Places are in pixels of the plot.
function pointer(p, events) {
  let from = null;
  const place = (event) => {
    const box = p.box.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  p.box.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    const [x, y] = place(event);
    from = { x, y, moved: false, drags: events.start?.(x, y) ?? false };
    if (from.drags) p.box.setPointerCapture(event.pointerId);
  });
  p.box.addEventListener('pointermove', (event) => {
    const [x, y] = place(event);
    if (from?.drags) {
      from.moved ||= Math.hypot(x - from.x, y - from.y) > 4;
      if (from.moved) events.drag?.(from.x, from.y, x, y);
      return;
    }
    events.move?.(x, y, event);
  });
  p.box.addEventListener('pointerup', (event) => {
    const begun = from;
    from = null;
    if (!begun) return;
    const [x, y] = place(event);
    if (begun.drags && begun.moved) {
      events.end?.(begun.x, begun.y, x, y);
      return;
    }
    if (event.pointerType === 'touch') events.move?.(x, y, event);
    events.click?.(x, y, event);
  });
  p.box.addEventListener('pointercancel', () => {
    from = null;
    events.leave?.();
  });
  p.box.addEventListener('pointerleave', (event) => {
    if (!from?.drags && event.pointerType !== 'touch') events.leave?.();
  });
  document.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch' && !p.box.contains(event.target)) events.leave?.();
  });
  p.box.addEventListener('blur', () => events.leave?.());
  if (events.key) p.box.addEventListener('keydown', (event) => events.key(event));
  if (events.wheel) {
    p.box.addEventListener('wheel', (event) => {
      const [x] = place(event);
      events.wheel(event, x);
    }, { passive: false });
  }
}

// Points by their place: `near(x, y, most)` is the place in the list of the nearest one within `most` pixels, or -1.
function pointIndex(xs, ys, cell = 24) {
  const cells = new Map();
  for (let i = 0; i < xs.length; i++) {
    const key = Math.floor(xs[i] / cell) * 4096 + Math.floor(ys[i] / cell);
    const list = cells.get(key);
    if (list) list.push(i);
    else cells.set(key, [i]);
  }
  const near = (x, y, most = cell) => {
    let best = -1;
    let least = most * most;
    const cx = Math.floor(x / cell);
    const cy = Math.floor(y / cell);
    const reach = Math.ceil(most / cell);
    for (let i = cx - reach; i <= cx + reach; i++) {
      for (let j = cy - reach; j <= cy + reach; j++) {
        for (const k of cells.get(i * 4096 + j) ?? []) {
          const d = (xs[k] - x) ** 2 + (ys[k] - y) ** 2;
          if (d <= least) [least, best] = [d, k];
        }
      }
    }
    return best;
  };
  return { near };
}

// Draws the rectangle of a brush.
function brushBox(ctx, look, x0, y0, x1, y1) {
  ctx.save();
  ctx.globalAlpha = 0.14;
  ctx.fillStyle = look.accent;
  ctx.fillRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
  ctx.globalAlpha = 1;
  ctx.strokeStyle = look.accent;
  ctx.lineWidth = 1;
  ctx.strokeRect(crisp(Math.min(x0, x1)), crisp(Math.min(y0, y1)), Math.round(Math.abs(x1 - x0)), Math.round(Math.abs(y1 - y0)));
  ctx.restore();
}

// Shows one line in the place of a plot and its controls: what is missing and how to get it; null shows the plot.
function emptyLine(body, words, tools) {
  let note = [...body.children].find((child) => child.classList.contains('plot-empty'));
  if (!note) {
    note = el('p', { class: 'plot-empty' });
    body.prepend(note);
  }
  note.textContent = words ?? '';
  note.hidden = !words;
  for (const child of body.children) {
    if (child !== note) child.classList.toggle('plot-off', Boolean(words));
  }
  tools?.classList.toggle('plot-off', Boolean(words));
  return Boolean(words);
}

// Fills the controls of a view anew where what they say (`key`) has changed; the one in use keeps the focus.
function setTools(tools, key, make) {
  const now = JSON.stringify(key);
  if (tools.dataset.key === now) return;
  tools.dataset.key = now;
  const parts = () => [...tools.querySelectorAll('select, input, button')];
  const used = parts().indexOf(document.activeElement);
  tools.replaceChildren(...make().filter(Boolean));
  if (used >= 0) parts()[used]?.focus();
}

// The columns to choose from for an axis or a colour, by their group; `holds(column)` says which.
function columnOptions(holds) {
  const names = { param: 'params', metric: 'metrics', fact: 'of the trial', tag: 'tags', field: 'fields of the spec' };
  return Object.entries(names)
    .map(([group, text]) => ({ group: text, options: columns().filter((c) => c.group === group && holds(c)).map((c) => [c.id, c.name]) }))
    .filter((one) => one.options.length);
}

// A line of small words beneath a plot that can be set anew.
function noteLine(body) {
  const note = el('p', { class: 'plot-note' });
  body.append(note);
  return (...words) => {
    const text = words.filter(Boolean).join(' ');
    note.textContent = text;
    note.hidden = !text;
  };
}

// A box for a legend; a call puts the legend in.
function legendBox(body) {
  const box = el('div', { class: 'legend-box' });
  body.append(box);
  return (...legends) => box.replaceChildren(...legends.filter(Boolean));
}
