// details.js: everything that the page knows of one trial, in a dialog.

let detailsVersion = 0;

function showDetails(trial) {
  if (!trial) return;
  const dialog = document.getElementById('details');
  dialog.dataset.key = trial.key;
  detailsVersion = trial.version;
  drawDetails(dialog, trial);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

// Draws the dialog again, when its trial changed.
function redrawDetails() {
  const dialog = document.getElementById('details');
  const trial = dialog.open ? trialOf(dialog.dataset.key) : null;
  if (!trial || trial.version === detailsVersion) return;
  detailsVersion = trial.version;
  keepFocus(dialog, () => drawDetails(dialog, trial));
}

function drawDetails(dialog, trial) {
  const part = (title, content) => content && el('section', null, el('h3', null, title), content);
  refill(dialog,
    detailsHead(dialog, trial),
    trialControls(trial),
    el('p', { class: 'lead' }, detailSentence(trial)),
    el('div', { class: 'columns' },
      part('Params', valueList(trial.params)),
      part('Metrics', metricsTable(trial)),
      part('Tags', valueList(trial.tags)),
      part('Used', usedList(trial))),
    part('Attempts', attemptsTable(trial)),
    (trial.log?.stdout || trial.log?.stderr) && part('Log', logPart(trial)),
    part('Artifacts', artifactList(trial)),
    part('Fields of the spec', fieldList(trial)),
    shellLines(trial));
}

function detailsHead(dialog, trial) {
  const order = orderedTrials();
  const place = order.indexOf(trial);
  const step = (by) => () => showDetails(order[place + by]);
  return el('header', { class: 'dialoghead' },
    el('h2', { id: 'details-title' }, trial.name),
    statusChip(trial.status),
    el('span', { class: 'grow' }),
    el('button', { type: 'button', disabled: place <= 0, onclick: step(-1) }, '‹ previous'),
    el('button', { type: 'button', disabled: place < 0 || place >= order.length - 1, onclick: step(1) }, 'next ›'),
    el('button', { type: 'button', onclick: () => dialog.close() }, 'close'));
}

function detailSentence(trial) {
  const message = trial.message ?? '';
  const parts = [message && `${message[0].toUpperCase()}${message.slice(1)}. `];
  if (isThere(trial.elapsed) && trial.attempts > 0) {
    parts.push(`It took ${secondsText(trial.elapsed)}${trial.attempts > 1 ? ` in ${trial.attempts} attempts` : ''}.`);
  }
  if (isThere(trial.value)) parts.push(` Toward the goal (${trial.run.goal?.text ?? ''}) it counts ${format(trial.value)}.`);
  if (trial.reused) parts.push(` It did not run again: its results are those of run ${trial.reused}.`);
  if (trial.flaky) parts.push(' It succeeded only when tried again.');
  return parts;
}

// ---- parts; each is null where there is nothing to say

function valueList(values) {
  const entries = Object.entries(values);
  return entries.length ? factList(entries.map(([name, one]) => [name, el('code', null, plainText(one))])) : null;
}

function metricsTable(trial) {
  const metrics = Object.entries(trial.metrics);
  if (!metrics.length) return null;
  const parts = ['last', 'min', 'max', 'step', 'count'].filter((part) => metrics.some(([, metric]) => isThere(metric[part])));
  const rows = metrics.map(([name, metric]) => [name, ...parts.map((part) => format(metric[part]))]);
  return plainTable('', [['', 'muted'], ...parts.map((part) => [part, 'number'])], rows);
}

function usedList(trial) {
  const names = [['elapsed', 'time'], ['cpu_seconds', 'CPU time'], ['peak_memory', 'peak memory'], ['read_bytes', 'read'],
    ['written_bytes', 'written']];
  const used = names.filter(([id]) => isThere(trial[id])).map(([id, name]) => [name, format(trial[id], id)]);
  if (isThere(trial.exit)) used.unshift(['exit code', String(trial.exit)]);
  if (trial.outputs) used.push(['outputs', el('code', null, trial.outputs)]);
  if (data.runs.length > 1) used.push(['run', el('code', null, trial.run.run)]);
  return used.length ? factList(used) : el('p', { class: 'muted' }, 'nothing was measured');
}

function attemptsTable(trial) {
  if (!trial.times.length) return null;
  const heads = [['', 'muted'], ['started', 'nowrap'], ['took', 'nowrap'], ['end'], ['on'], ['']];
  return plainTable('', heads, trial.times.map((time) => [
    String(time.number),
    time.started ? momentText(time.started) : '',
    time.started && time.ended ? secondsText((time.ended - time.started) / 1000) : '',
    [time.status && statusChip(time.status), time.message && ` ${time.message}`],
    [time.cores?.length && `cores ${time.cores.join(', ')}`, time.gpus?.length && `GPUs ${time.gpus.join(', ')}`].filter(Boolean).join(' · '),
    [time.pauses?.length && `paused ${timesText(time.pauses.length)}`, time.note].filter(Boolean).join(' · '),
  ]));
}

function artifactList(trial) {
  const paths = trial.artifacts ?? [];
  return paths.length ? el('ul', { class: 'lines' }, paths.map((path) => el('li', { class: 'mono' }, path))) : null;
}

function fieldList(trial) {
  const entries = Object.entries(trial.fields).filter(([name]) => name !== 'params' && name !== 'metrics');
  return entries.length ? factList(entries.map(([name, one]) => [name, el('code', null, fieldText(name, one))])) : null;
}

function fieldText(name, one) {
  const isCommand = (name === 'cmd' || name === 'entrypoint') && Array.isArray(one) && one.every((word) => typeof word === 'string');
  if (isCommand) return one.map(shellWord).join(' ');
  return BYTES.has(name) || SECONDS.has(name) ? format(one, name) : plainText(one);
}

function shellLines(trial) {
  const line = (verb, run) => el('code', null, `combu ${verb} ${shellWord(`${run}/${trial.name}`)}`);
  return el('p', { class: 'muted shell' }, 'In a shell: ', line('logs', trial.reused ?? trial.run.run), ' · ', line('show', trial.run.run));
}
