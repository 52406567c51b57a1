// How much each param matters to the goal's metric, one param at a time.
//
// The trials are ranked by the metric (equal values share their mean rank), so that the measure is the same for a metric and
// its logarithm, and one trial that went far out does not decide it. Trials are put into k groups by the param: each value
// is a group; a number with more than eight values is cut into k = 3 to 8 groups of about equal size (k near n / 10).
// With the sums of squares of ranks within the groups (W) and in all (T), the share that the param explains is
//
//     1 - (W / (n - k)) / (T / (n - 1))
//
// which is eta squared, less what k groups would explain by chance (epsilon squared). By chance alone it scatters about 0
// with a standard deviation near sqrt(2 (k - 1)) / (n - k); what is below twice that is told as no effect (of params that do
// nothing, some 4 in 100 are still told as one that does).

const LEAST_TRIALS = 20;

view({
  id: 'importance',
  title: 'What matters',
  hint: 'How far each param alone explains the order of the trials by the metric.',
  when: () => data.trials.length > 0 && columns().some((c) => c.group === 'param'),
  make: (body, tools) => importanceView(body, tools),
});

// Mean ranks of numbers, in their order: 1 for the smallest.
function ranks(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const out = new Float64Array(values.length);
  for (let i = 0; i < order.length;) {
    let j = i;
    while (j < order.length && values[order[j]] === values[order[i]]) j++;
    for (let k = i; k < j; k++) out[order[k]] = (i + j + 1) / 2;
    i = j;
  }
  return out;
}

// The group of each trial by a param: {of: [group], labels}, or null where groups would hold too few trials.
function groupsOf(id, trials) {
  const n = trials.length;
  const values = trials.map((trial) => value(trial, id));
  const keys = values.map((v) => (v === null || v === undefined ? 'none' : categoryKey(v)));
  const distinct = new Set(keys).size;
  if (isNumber(id) && distinct > 8 && values.every((v) => typeof v === 'number')) return quantileGroups(id, values);
  if (distinct > 8 && distinct > n / 4) return null;
  const place = new Map([...new Set(keys)].map((key, i) => [key, i]));
  const label = (key) => (isNumber(id) && key !== 'none' ? roughText(Number(key), id) : key);
  return { of: keys.map((key) => place.get(key)), labels: [...place.keys()].map(label) };
}

// Groups of about equal size in the order of a number; equal numbers stay together.
function quantileGroups(id, values) {
  const n = values.length;
  const k = Math.max(3, Math.min(8, Math.round(n / 10)));
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const of = new Array(n);
  const ends = [];
  order.forEach((i, rank) => {
    let group = Math.floor((rank * k) / n);
    if (rank > 0 && values[i] === values[order[rank - 1]]) group = of[order[rank - 1]];
    of[i] = group;
    ends[group] ??= [values[i], values[i]];
    ends[group][1] = values[i];
  });
  return { of, labels: ends.map((end) => end && `${roughText(end[0], id)} – ${roughText(end[1], id)}`) };
}

// The share of the order that a param explains alone, its group with the best mean rank, and whether chance would do.
function importanceOf(id, trials, rank, best) {
  const groups = groupsOf(id, trials);
  if (!groups) return { id, skipped: true };
  const n = trials.length;
  const [sum, count] = [[], []];
  groups.of.forEach((g, i) => {
    sum[g] = (sum[g] ?? 0) + rank[i];
    count[g] = (count[g] ?? 0) + 1;
  });
  const used = Object.keys(count).map(Number);
  const k = used.length;
  let [within, all] = [0, 0];
  groups.of.forEach((g, i) => {
    within += (rank[i] - sum[g] / count[g]) ** 2;
    all += (rank[i] - (n + 1) / 2) ** 2;
  });
  if (k < 2 || n <= k || all === 0) return { id, skipped: true };
  const share = 1 - within / (n - k) / (all / (n - 1));
  const noise = (2 * Math.sqrt(2 * (k - 1))) / (n - k);
  const turn = best === 'max' ? -1 : 1;
  const top = used.reduce((a, b) => (turn * (sum[b] / count[b] - sum[a] / count[a]) < 0 ? b : a));
  return { id, share, seen: share > noise, groups: k, best: groups.labels[top], bestCount: count[top] };
}

function importanceView(body, tools) {
  const box = el('div', { class: 'importance-box' });
  body.append(box);
  const note = noteLine(body);

  function draw() {
    const used = ['elapsed', 'peak_memory', 'cpu_seconds'];
    const metrics = columnOptions((c) => c.type === 'number' && (c.group === 'metric' || used.includes(c.id)));
    const chosen = store.get('importance.metric', null);
    const metric = chosen && column(chosen) ? chosen : mainMetric();
    const has = metric ? data.filtered.filter((trial) => Number.isFinite(value(trial, metric) ?? NaN)) : [];
    const trials = has.filter((trial) => isComparable(trial, metric));
    const params = varying().filter((c) => isVarying(c, trials));
    if (emptyLine(body, emptyImportance(metric, trials, params), metric ? null : tools)) return;
    setTools(tools, [metrics, metric], () => [choice('of', metrics, metric, (id) => { store.set('importance.metric', id); draw(); })]);
    const goal = goalColumn();
    const sense = goal?.id === metric ? goal.sense : 'min';
    const rank = ranks(trials.map((trial) => value(trial, metric)));
    const all = params.map((c) => importanceOf(c.id, trials, rank, sense));
    const rows = all.filter((one) => !one.skipped).sort((a, b) => b.share - a.share);
    const skipped = all.filter((one) => one.skipped).map((one) => columnName(one.id));
    box.replaceChildren(importanceTable(rows, metric, goal?.id === metric ? 'best at' : 'smallest at'));
    const out = has.length - trials.length;
    const others = out ? ` that succeeded (${countText(out)} others told ${columnName(metric)} too and do not count)` : '';
    note(`n = ${countText(trials.length)}${others}. One param at a time: what two params do only together is not seen, and where a search chose`,
      'the values, it tried more of what looked good, which shifts the shares. Rank-based epsilon squared: the share of the variance of',
      `the ranks by ${columnName(metric)} between groups of one param, less what so many groups explain by chance.`,
      skipped.length && `Left out, as nearly each trial has its own value: ${skipped.join(', ')}.`);
  }
  return { draw, hover() {} };
}

function emptyImportance(metric, trials, params) {
  if (!metric) return 'This needs a metric that trials print, such as  ::combu metric loss=0.3';
  if (!params.length) return 'No param has more than one value among these trials.';
  if (trials.length < LEAST_TRIALS) {
    const few = `${counted(trials.length, 'trial')} with ${columnName(metric)} ${trials.length === 1 ? 'is' : 'are'} too few to tell`;
    return `${few}: this needs ${LEAST_TRIALS} that succeeded.`;
  }
  return null;
}

function importanceTable(rows, metric, bestHead) {
  const line = (one) => {
    const bar = el('span', { class: one.seen ? 'importance-bar' : 'importance-bar unseen' });
    const share = Math.max(0, one.share);
    bar.style.width = `${(share * 100).toFixed(1)}%`;
    return el('tr', {}, el('th', { scope: 'row' }, columnName(one.id)),
      el('td', { class: 'importance-cell' }, el('span', { class: 'importance-track' }, bar)),
      one.seen ? el('td', { class: 'importance-share' }, `${Math.round(share * 100)} %`)
        : el('td', { class: 'importance-best', colspan: '2' }, 'no effect seen'),
      one.seen && el('td', { class: 'importance-best' }, one.best));
  };
  return el('table', { class: 'importance' },
    el('caption', { class: 'said' }, `Share of the order by ${columnName(metric)} that each param explains alone`),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'param'), el('th', { scope: 'col' }, `explains of ${columnName(metric)}`),
      el('th', { scope: 'col' }, 'share'), el('th', { scope: 'col' }, bestHead))),
    el('tbody', {}, ...rows.map(line)));
}
