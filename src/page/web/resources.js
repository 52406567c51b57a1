// What trials asked for beside what they used: memory and CPUs, and in words what to ask for.

const HEAD_ROOM = 1.3;

view({
  id: 'resources',
  title: 'Resources',
  hint: 'What trials used, against what they asked for (the upright line).',
  when: () => data.trials.some((trial) => typeof trial.peak_memory === 'number' || typeof trial.cpu_seconds === 'number'),
  make: (body) => resourcesView(body),
});

// Bytes of a size as a spec writes it: a number, '8g', '512m', '64MiB'; null where it is none.
function bytesOf(size) {
  if (typeof size === 'number') return size;
  const found = /^\s*([\d.]+)\s*([kmgt]?)i?b?\s*$/i.exec(String(size ?? ''));
  if (!found || !Number.isFinite(Number(found[1]))) return null;
  return Number(found[1]) * 1024 ** ' kmgt'.indexOf(found[2].toLowerCase() || ' ');
}

// A size as a spec writes it, rounded up: '1.6g', '640m'.
function memoryWord(bytes) {
  if (bytes >= 1024 ** 3) return `${Number((Math.ceil((bytes / 1024 ** 3) * 10 - 1e-6) / 10).toFixed(1))}g`;
  return `${Math.ceil(bytes / 1024 ** 2 / 10 - 1e-6) * 10}m`;
}

function ranOutOfMemory(trial) {
  return trial.status === 'oom' || trial.times.some((attempt) => attempt.status === 'oom');
}

// The trials by what they asked for (null: nothing), the most first: [{asked, trials, used}].
function byAsked(trials, askedOf, usedOf) {
  const groups = new Map();
  for (const trial of trials) {
    const used = usedOf(trial);
    if (!Number.isFinite(used)) continue;
    const asked = askedOf(trial);
    if (!groups.has(asked)) groups.set(asked, { asked, trials: [], used: [] });
    groups.get(asked).trials.push(trial);
    groups.get(asked).used.push(used);
  }
  return [...groups.values()].sort((a, b) => (b.asked ?? -1) - (a.asked ?? -1));
}

const memoryAsked = (trial) => bytesOf(trial.fields.memory);
const memoryUsed = (trial) => trial.peak_memory ?? NaN;
const cpusAsked = (trial) => (trial.fields.cpus === null || trial.fields.cpus === undefined ? null : Number(trial.fields.cpus));
const cpusUsed = (trial) => (trial.elapsed >= 0.5 ? (trial.cpu_seconds ?? NaN) / trial.elapsed : NaN);

// What to ask for, in words, of trials that asked for the same memory.
function memoryAdvice(group) {
  const n = group.trials.length;
  const most = Math.max(...group.used);
  const out = group.trials.filter(ranOutOfMemory).length;
  const asked = group.asked;
  const based = `Based on ${counted(n, 'trial')}${n < 5 ? ', which is few' : ''}.`;
  if (out) {
    const more = asked ? `their ${memoryWord(asked)}` : 'memory';
    const next = memoryWord(Math.max((asked ?? most) * 2, most * HEAD_ROOM));
    return [`${counted(out, 'trial')} of ${countText(n)} ran out of ${more}. Ask for more, such as `, code(`memory: '${next}'`),
      ', or let combu repeat them with more: ', code("retries: { memory_factor: 2, memory_max: '…' }"), `. ${based}`];
  }
  const enough = memoryWord(most * HEAD_ROOM);
  const used = `the largest of ${counted(n, 'trial')} used ${memoryWord(most)}`;
  if (!asked) {
    return [`They ask for no memory; ${used}. `, code(`memory: '${enough}'`),
      ` (${HEAD_ROOM} times that) would let combu start only as many as fit. ${based}`];
  }
  const times = asked / bytesOf(enough);
  const fits = most > asked * 0.9 ? 'that fits with little to spare' : 'that fits';
  if (times < 1.2) return [`They ask for ${memoryWord(asked)} each, ${used}: ${fits}. ${based}`];
  return [`They ask for ${memoryWord(asked)} each, ${used}: `, code(`memory: '${enough}'`),
    ` (${HEAD_ROOM} times that) would let ${foldText(times)} as many run at once, as far as memory goes. ${based}`];
}

function foldText(times) {
  return times >= 2 ? `${Math.floor(times)} times` : `${Math.floor(times * 10) / 10} times`;
}

// What to ask for, in words, of trials that asked for the same CPUs.
function cpuAdvice(group) {
  const n = group.used.length;
  const sorted = [...group.used].sort((a, b) => a - b);
  const most = sorted[n - 1];
  const usual = sorted[Math.floor((n - 1) * 0.9)];
  const said = `nine of ten used at most ${roughCpus(usual)} on average, the busiest ${roughCpus(most)}`;
  const based = `Based on ${counted(n, 'trial')} of half a second and more${n < 5 ? ', which is few' : ''}.`;
  const half = (v) => Math.max(0.5, Math.ceil(v * 2 - 1e-6) / 2);
  if (group.asked === null) {
    if (usual <= 1.2) return [`They ask for no CPUs and count as 1 each; ${said}: that fits. ${based}`];
    return [`They ask for no CPUs and count as 1 each, but ${said}: `, code(`cpus: ${Math.ceil(usual)}`),
      ` would keep them out of each other's way. ${based}`];
  }
  const enough = Math.max(half(usual * 1.1), half(Math.min(most, group.asked)));
  if (enough <= group.asked * 0.8) {
    return [`They ask for ${format(group.asked)} CPUs each, ${said}: `, code(`cpus: ${enough}`),
      ` would let ${foldText(group.asked / enough)} as many run at once, as far as CPUs go. ${based}`];
  }
  if (usual > group.asked * 0.95) {
    return [`They ask for ${counted(group.asked, 'CPU')} each and use all of it: more may make them faster. ${based}`];
  }
  return [`They ask for ${counted(group.asked, 'CPU')} each; ${said}: that fits. ${based}`];
}

function roughCpus(v) {
  return format(Number(v.toFixed(v < 1 ? 2 : 1)));
}

function code(words) {
  return el('code', {}, words);
}

function resourcesView(body) {
  const parts = el('div', { class: 'resources' });
  body.append(parts);
  const memory = usagePart(parts, {
    title: 'Memory', asked: memoryAsked, used: memoryUsed, advice: memoryAdvice, label: 'peak memory', unit: 'bytes',
    word: memoryWord, none: 'nothing', show: bytesText,
  }, () => draw());
  const cpus = usagePart(parts, {
    title: 'CPUs', asked: cpusAsked, used: cpusUsed, advice: cpuAdvice, label: 'CPUs used on average (CPU seconds / elapsed)', unit: null,
    word: (v) => String(v), none: 'nothing: counts as 1', show: roughCpus,
  }, () => draw());
  function draw() {
    const words = !data.filtered.length ? 'No trial passes the filter.'
      : data.filtered.some((trial) => Number.isFinite(memoryUsed(trial)) || Number.isFinite(cpusUsed(trial))) ? null
        : 'Of none of these trials the engine could say what it used.';
    if (emptyLine(body, words)) return;
    memory.draw();
    cpus.draw();
  }
  return { draw, hover: () => { memory.hover(); cpus.hover(); } };
}

// One half of the view: advice in words, and a strip for each amount that was asked for.
function usagePart(parts, told, redraw) {
  const box = el('div', { class: 'resources-part' });
  const advice = el('ul', { class: 'advice' });
  box.append(el('h3', {}, told.title), advice);
  const more = el('p', { class: 'plot-note' });
  parts.append(box);
  let rows = 1;
  const p = plot(box, { height: () => 64 + rows * 54, redraw });
  box.append(more);
  let shown = { trials: [], xs: [], ys: [], index: null };

  function draw() {
    const groups = byAsked(data.filtered, told.asked, told.used);
    box.hidden = !groups.length;
    if (!groups.length) return;
    const kept = groups.slice(0, 8);
    rows = kept.length;
    refill(advice, kept.slice(0, 4).map((group) => el('li', {}, ...told.advice(group))));
    more.textContent = groups.length > kept.length ? `The ${kept.length} largest of ${groups.length} amounts asked for are shown.` : '';
    more.hidden = !more.textContent;
    const name = (group) => (group.asked === null ? 'none asked' : told.word(group.asked));
    const [, high] = extent(kept.flatMap((group) => [group.asked ?? 0, ...extent(group.used, false, 0)]), false, 0.04);
    const x = { type: 'linear', domain: [0, high], unit: told.unit, label: told.label };
    if (!p.begin(x, { type: 'category', domain: kept.map(name).reverse(), label: 'asked for' })) return;
    p.axes();
    drawStrips(p, kept, name);
    const [trials, xs, ys] = [[], [], []];
    for (const group of kept) {
      group.trials.forEach((trial, i) => {
        trials.push(trial);
        xs.push(p.px(group.used[i]));
        ys.push(p.py(name(group)) + spreadOf(trial) * p.y.band * 0.6);
      });
    }
    shown = { trials, xs, ys };
    drawUsage(p, shown, told.title === 'Memory');
    p.label(`${told.title}: ${advice.textContent}`);
    over();
  }

  function over() {
    p.clearOver();
    const at = data.hovered ? shown.trials.indexOf(data.hovered) : -1;
    if (at >= 0) ring(p, shown.xs[at], shown.ys[at]);
  }
  const show = (trial, event) => {
    hover(trial);
    const asked = trial && told.asked(trial);
    tooltip(event?.clientX ?? 0, event?.clientY ?? 0, trial && [trial.name, trial.status, ['used', told.show(told.used(trial))],
      ['asked for', asked === null ? told.none : told.word(asked)], ['elapsed', secondsText(trial.elapsed ?? 0)]]);
  };
  p.on({
    move: (x, y, event) => show(shown.trials[(shown.index ??= pointIndex(shown.xs, shown.ys)).near(x, y, 14)] ?? null, event),
    leave: () => show(null),
  });
  return { draw, hover: over };
}

// The room that was asked for, as a pale band to an upright line.
function drawStrips(p, groups, name) {
  const { ctx, look } = p;
  for (const group of groups) {
    if (group.asked === null) continue;
    const [y, h] = [p.py(name(group)), p.y.band * 0.8];
    const x = p.px(group.asked);
    ctx.globalAlpha = 0.08;
    ctx.fillStyle = look.accent;
    ctx.fillRect(p.area.left, y - h / 2, x - p.area.left, h);
    ctx.globalAlpha = 1;
    ctx.fillStyle = look.text;
    ctx.fillRect(Math.round(x) - 1, y - h / 2, 2, h);
  }
}

function drawUsage(p, shown, isMemory) {
  const { ctx, look } = p;
  const radius = shown.trials.length > 2000 ? 1.8 : 2.6;
  const out = [];
  const fits = [];
  shown.trials.forEach((trial, i) => (isMemory && ranOutOfMemory(trial) ? out : fits).push(i));
  const fit = stamp(ctx, p.ratio, { colour: look.accent, radius });
  const cross = stamp(ctx, p.ratio, { colour: look.bad, shape: 'cross', radius: 4 });
  ctx.globalAlpha = shown.trials.length > 1000 ? 0.45 : 0.7;
  for (const i of fits) fit(shown.xs[i], shown.ys[i]);
  for (const i of out) cross(shown.xs[i], shown.ys[i]);
  ctx.globalAlpha = 1;
}
