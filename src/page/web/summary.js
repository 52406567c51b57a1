// summary.js: in words, what ran and how it ended: the runs, the ends of their trials, the best, what failed, what was warned of.

const STATE_WORDS = {
  running: 'is running', ended: 'ended', halted: 'was halted', interrupted: 'was interrupted', 'engine lost': 'lost its engine',
  'script died': 'ended when its script died', 'cut off': 'was cut off',
};

const STATUS_ORDER = ('succeeded stopped running starting paused waiting open pruned skipped killed lost not-started unhealthy '
  + 'timed-out oom failed').split(' ');

// How many trials stand how: `[status, count]`, in one order always.
function statusCounts(trials) {
  const counts = new Map();
  for (const trial of trials) counts.set(trial.status, (counts.get(trial.status) ?? 0) + 1);
  const place = (status) => STATUS_ORDER.indexOf(status);
  return [...counts].sort(([one], [other]) => place(one) - place(other));
}

// A thin bar of parts, one for each status; widths are shares of all.
function statusBar(counts, total) {
  const said = counts.map(([status, count]) => `${countText(count)} ${status}`).join(', ');
  return el('div', { class: 'statusbar', role: 'img', 'aria-label': said }, counts.map(([status, count]) => {
    const part = el('i', { class: statusKind(status), title: `${countText(count)} ${status}` });
    part.style.flexGrow = String(count / total);
    return part;
  }));
}

function statusLegend(counts) {
  const isBrushed = (status) => brushes.get('status')?.status === status;
  return el('ul', { class: 'statuses' }, counts.map(([status, count]) => el('li', null, el('button', {
    type: 'button', class: 'quiet', 'aria-pressed': String(isBrushed(status)), title: `show only trials that are ${status}`,
    onclick: () => {
      setBrush('status', status, isBrushed(status) ? null : (trial) => trial.status === status);
      if (brushes.has('status')) brushes.get('status').status = status;
    },
  }, signed(statusKind(status), el('b', null, countText(count)), ` ${status}`)))));
}

function trialsOfRun(run) {
  return data.trials.filter((trial) => trial.run === run);
}

// The best trials by the goal that these runs have in common, of those that are shown.
function bestTrials(runs, count) {
  const reached = data.filtered.filter((trial) => runs.includes(trial.run) && isThere(trial.value));
  return reached.sort(compareGoal(runs[0].goal)).slice(0, count);
}

// The runs that have a goal, those with one and the same together.
function runsByGoal(runs) {
  const groups = new Map();
  for (const run of runs) if (run.goal) groups.set(run.goal.text, [...(groups.get(run.goal.text) ?? []), run]);
  return [...groups.values()];
}

function runSentence(run) {
  const trials = trialsOfRun(run).length;
  const parts = [`Run `, el('code', null, run.run), ` of `, el('b', null, run.experiment), `: ${counted(trials, 'trial')}`];
  if (run.parallel) parts.push(`, at most ${run.parallel} at once`);
  parts.push(`. It began ${momentText(run.started)} and ${STATE_WORDS[run.state] ?? run.state}`);
  if (isThere(run.elapsed)) {
    parts.push(run.state === 'running' ? ` for ${secondsText(run.elapsed)} so far` : ` after ${secondsText(run.elapsed)}`);
  }
  parts.push('.');
  if (run.goal) parts.push(` The goal is ${run.goal.text}.`);
  if (run.early) parts.push(` Trials are ended early: ${run.early}.`);
  return parts;
}

// What else is to be known of a run: rehearsals, reruns, what was resumed.
function runNotes(run) {
  const notes = [];
  const trials = trialsOfRun(run);
  if (run.rehearsal) notes.push('A rehearsal: nothing was started, and times are made up.');
  if (run.repeats) notes.push(['It repeats trials of run ', el('code', null, run.repeats), '.']);
  const reused = trials.filter((trial) => trial.reused);
  if (reused.length) {
    const from = [...new Set(reused.map((trial) => trial.reused))];
    const runs = `${from.length === 1 ? 'run' : 'runs'} ${from.join(', ')}`;
    notes.push(`${counted(reused.length, 'trial')} had succeeded before and did not run again: ${runs}.`);
  }
  if (run.resumed?.length) notes.push(`It was resumed ${timesText(run.resumed.length)}, last ${momentText(run.resumed.at(-1))}.`);
  const services = data.services.filter((trial) => trial.run === run);
  const named = services.map((trial, place) => [place > 0 && ', ', nameButton(trial), ` (${trial.status})`]);
  if (services.length) notes.push([`${counted(services.length, 'service')}: `, named]);
  const flaky = trials.filter((trial) => trial.flaky);
  if (flaky.length) notes.push(`${counted(flaky.length, 'trial')} succeeded only when tried again: ${namesText(flaky, 5)}.`);
  return notes;
}

function namesText(trials, most) {
  const shown = trials.slice(0, most).map((trial) => trial.name).join(', ');
  return trials.length > most ? `${shown} and ${countText(trials.length - most)} more` : shown;
}

// ---- tiles

function tile(figure, label, kind) {
  return el('div', { class: 'tile' }, el('b', { class: kind }, figure), el('span', null, label));
}

function tiles(runs) {
  const trials = data.trials.filter((trial) => runs.includes(trial.run));
  const [run] = runs;
  const good = trials.filter((trial) => trial.ok).length;
  const bad = trials.filter((trial) => trial.failed).length;
  const going = trials.filter((trial) => statusKind(trial.status) === 'busy').length;
  const made = [
    tile(countText(trials.length), trials.length === 1 ? 'trial' : 'trials'),
    tile(countText(good), 'succeeded', good ? 'ok' : null),
    tile(countText(bad), 'failed', bad ? 'bad' : null),
  ];
  if (going) made.push(tile(countText(going), 'running', 'busy'));
  if (runs.length === 1) {
    made.push(tile(secondsText(run.elapsed ?? 0), run.state === 'running' ? 'so far' : 'elapsed'));
    const [best] = run.goal ? bestTrials([run], 1) : [];
    if (best) made.push(tile(format(best.value), `best ${run.goal.metric}`));
  } else made.push(tile(countText(runs.length), 'runs'));
  return el('div', { class: 'tiles' }, made);
}

// ---- parts

function bestTable(runs) {
  const [{ goal }] = runs;
  const best = bestTrials(runs, 5);
  const title = el('h3', null, `Best by ${goal.text}`);
  if (!best.length) {
    return el('div', null, title, el('p', { class: 'empty' }, `No trial that is shown succeeded with a value of ${goal.metric}.`));
  }
  const varied = varying().filter((one) => best.some((trial) => isThere(one.read(trial)))).slice(0, 6);
  const isSeveral = runs.length > 1;
  const heads = [
    ['', 'muted'], ['name', 'name'], ...(isSeveral ? [['run', 'mono']] : []), [goal.metric, 'number strong'],
    ...varied.map((one) => [one.id, one.type === 'number' ? 'number' : null]),
  ];
  return el('div', null, title, plainTable('best', heads, best.map((trial, place) => ({
    events: rowEvents(trial),
    cells: [
      String(place + 1), nameButton(trial), ...(isSeveral ? [trial.run.run] : []), format(trial.value),
      ...varied.map((one) => format(one.read(trial), one.id)),
    ],
  }))));
}

function nameButton(trial) {
  return el('button', { type: 'button', class: 'name-link', title: 'details', onclick: () => showDetails(trial) }, trial.name);
}

function rowEvents(trial) {
  return { onpointerenter: () => hover(trial), onpointerleave: () => hover(null) };
}

function failedPart() {
  const groups = failureGroups(data.filtered);
  if (!groups.length) return null;
  const line = (group) => el('li', null,
    el('b', { class: 'count bad' }, `${countText(group.trials.length)} ×`), ` ${group.message}`,
    el('span', { class: 'muted' }, ` · ${namesText(group.trials, 3)}`));
  return el('div', null,
    el('h3', null, 'What failed and why'),
    el('ul', { class: 'lines' }, groups.slice(0, 6).map(line)),
    groups.length > 6 && el('p', { class: 'muted' }, `and ${groups.length - 6} more kinds, below`));
}

function warningsPart(runs) {
  const warnings = [...new Set(runs.flatMap((run) => run.warnings ?? []))];
  const notes = runs.flatMap(runNotes);
  if (!warnings.length && !notes.length) return null;
  return el('div', null,
    el('h3', null, warnings.length ? 'Warnings and notes' : 'Notes'),
    el('ul', { class: 'lines' },
      warnings.map((text) => el('li', null, signed('warn', 'warning: '), text)),
      notes.map((note) => el('li', null, note))));
}

// Several runs: a row each, and a switch which of them are shown.
function runsTable() {
  const hidden = hiddenRuns();
  const isAlike = new Set(data.runs.map((run) => run.experiment)).size === 1;
  const heads = [
    ['shown'], ['run', 'mono'], ...(isAlike ? [] : [['experiment']]), ['state'], ['began', 'nowrap'], ['took', 'nowrap'],
    ['trials', 'number'], ['', 'barcell'], ['best'],
  ];
  return plainTable('runs', heads, data.runs.map((run) => {
    const trials = trialsOfRun(run);
    const best = run.goal ? trials.filter((trial) => isThere(trial.value)).sort(compareGoal(run.goal))[0] : null;
    const box = el('input', {
      type: 'checkbox', checked: !hidden.has(run.run), 'aria-label': `show run ${run.run}`,
      onchange: () => showRun(run.run, box.checked),
    });
    return [
      box, run.run, ...(isAlike ? [] : [run.experiment]), run.state, momentText(run.started), format(run.elapsed, 'elapsed'),
      countText(trials.length), statusBar(statusCounts(trials), trials.length || 1),
      best ? `${run.goal.metric} ${format(best.value)}` : '',
    ];
  }));
}

function hiddenRuns() {
  const hidden = store.get('hidden', []);
  return new Set(Array.isArray(hidden) ? hidden : []);
}

function showRun(run, isShown) {
  const hidden = hiddenRuns();
  if (isShown) hidden.delete(run);
  else hidden.add(run);
  store.set('hidden', hidden.size ? [...hidden] : null);
  useHiddenRuns();
}

// Hides the runs that the viewer chose to hide.
function useHiddenRuns() {
  const hidden = hiddenRuns();
  const shown = data.runs.filter((run) => !hidden.has(run.run));
  if (shown.length === data.runs.length) setBrush('runs', '', null);
  else setBrush('runs', `${shown.length} of ${counted(data.runs.length, 'run')}`, (trial) => !hidden.has(trial.run.run));
}

function drawSummary(body) {
  if (!data.runs.length) {
    refill(body, el('p', { class: 'empty' }, 'No run is in this report.'));
    return;
  }
  const hidden = brushes.has('runs') ? hiddenRuns() : new Set();
  const runs = data.runs.filter((run) => !hidden.has(run.run));
  const trials = data.trials.filter((trial) => runs.includes(trial.run));
  const counts = statusCounts(trials);
  refill(body, data.runs.length === 1 ? el('p', { class: 'lead' }, runSentence(data.runs[0])) : runsTable(),
    tiles(runs.length ? runs : data.runs),
    trials.length ? [statusBar(counts, trials.length), statusLegend(counts)] : el('p', { class: 'empty' }, 'No trials.'),
    el('div', { class: 'columns' }, runsByGoal(runs).slice(0, 4).map(bestTable), failedPart(), warningsPart(runs)));
}

view({
  id: 'summary',
  title: 'Summary',
  make(body) {
    const words = el('div');
    const controls = el('div');
    body.append(words, controls);
    let steered = null;
    return {
      draw(reasons) {
        if (reasons.size === 1 && (reasons.has('size') || reasons.has('theme'))) return;
        keepFocus(words, () => drawSummary(words));
        // A number that is being typed stays.
        const now = data.runs.map((run) => `${run.run} ${run.state} ${run.parallel}`).join('\n');
        const isTyping = controls.contains(document.activeElement) && isGoing();
        if (now === steered || isTyping) return;
        steered = now;
        refill(controls, runControls(data.runs));
      },
      hover() {},
    };
  },
});
