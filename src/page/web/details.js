// details.js: everything that the page knows of one trial, in a dialog.

function showDetails(trial) {
  if (!trial) return;
  const dialog = document.getElementById('details');
  dialog.dataset.key = trial.key;
  drawDetails(dialog, trial);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}

// Draws the dialog again, when its trial changed.
function redrawDetails() {
  const dialog = document.getElementById('details');
  const trial = dialog.open ? trialOf(dialog.dataset.key) : null;
  if (trial) drawDetails(dialog, trial);
}

function drawDetails(dialog, trial) {
  const order = orderedTrials();
  const place = order.indexOf(trial);
  const step = (by) => () => showDetails(order[place + by]);
  const pairs = (entries) => el('dl', { class: 'facts' }, entries.map(([name, text]) => [el('dt', null, name), el('dd', null, text)]));
  const part = (title, ...content) => el('section', null, el('h3', null, title), content);
  const params = Object.entries(trial.params);
  const metrics = Object.entries(trial.metrics);
  const tags = Object.entries(trial.tags ?? {});
  const fields = Object.entries(trial.fields).filter(([name]) => name !== 'params' && name !== 'metrics');
  refill(dialog,
    el('header', { class: 'dialoghead' }, el('h2', { id: 'details-title' }, trial.name), statusChip(trial.status),
      el('span', { class: 'grow' }),
      el('button', { type: 'button', disabled: place <= 0, onclick: step(-1) }, '‹ previous'),
      el('button', { type: 'button', disabled: place < 0 || place >= order.length - 1, onclick: step(1) }, 'next ›'),
      el('button', { type: 'button', onclick: () => dialog.close() }, 'close')),
    trialControls(trial),
    el('p', { class: 'lead' }, detailSentence(trial)),
    el('div', { class: 'columns' },
      params.length > 0 && part('Params', pairs(params.map(([name, one]) => [name, el('code', null, plainText(one))]))),
      metrics.length > 0 && part('Metrics', metricsTable(metrics)),
      tags.length > 0 && part('Tags', pairs(tags.map(([name, one]) => [name, plainText(one)]))),
      part('Used', usedPart(trial, pairs))),
    trial.times.length > 0 && part('Attempts', attemptsTable(trial)),
    (trial.log?.stdout || trial.log?.stderr) && part('Log', logPart(trial)),
    trial.artifacts?.length > 0 && part('Artifacts', el('ul', { class: 'lines' }, trial.artifacts.map((path) => el('li', { class: 'mono' }, path)))),
    fields.length > 0 && part('Fields of the spec', pairs(fields.map(([name, one]) => [name, el('code', null, fieldText(name, one))]))),
    el('p', { class: 'muted' }, 'In a shell: ', el('code', null, `combu logs ${shellWord(`${trial.reused ?? trial.run.run}/${trial.name}`)}`), ' · ', el('code', null, `combu show ${shellWord(`${trial.run.run}/${trial.name}`)}`)));
}

function fieldText(name, one) {
  if (Array.isArray(one) && one.every((word) => typeof word === 'string') && (name === 'cmd' || name === 'entrypoint')) return one.map(shellWord).join(' ');
  return BYTES.has(name) || SECONDS.has(name) ? `${format(one, name)}` : plainText(one);
}

function detailSentence(trial) {
  const parts = [trial.message ? `${trial.message}. ` : ''];
  if (trial.elapsed !== null && trial.elapsed !== undefined && trial.attempts > 0) parts.push(`It took ${secondsText(trial.elapsed)}`, trial.attempts > 1 ? ` in ${trial.attempts} attempts.` : '.');
  if (trial.value !== null && trial.value !== undefined) parts.push(` Toward the goal (${trial.run.goal?.text ?? ''}) it counts ${format(trial.value)}.`);
  if (trial.reused) parts.push(` It did not run again: its results are those of run ${trial.reused}.`);
  if (trial.flaky) parts.push(' It succeeded only when tried again.');
  return parts;
}

function metricsTable(metrics) {
  const heads = ['last', 'min', 'max', 'step', 'count'].filter((name) => metrics.some(([, metric]) => metric[name] !== undefined && metric[name] !== null));
  return el('div', { class: 'scroll' }, el('table', { class: 'plain' },
    el('thead', null, el('tr', null, el('th', null, ''), heads.map((name) => el('th', { class: 'number' }, name)))),
    el('tbody', null, metrics.map(([name, metric]) => el('tr', null, el('th', { scope: 'row' }, name), heads.map((one) => el('td', { class: 'number' }, format(metric[one]))))))));
}

function usedPart(trial, pairs) {
  const used = [['elapsed', 'time'], ['cpu_seconds', 'CPU time'], ['peak_memory', 'peak memory'], ['read_bytes', 'read'], ['written_bytes', 'written']]
    .filter(([id]) => trial[id] !== null && trial[id] !== undefined).map(([id, name]) => [name, format(trial[id], id)]);
  if (trial.exit !== null && trial.exit !== undefined) used.unshift(['exit code', String(trial.exit)]);
  if (trial.outputs) used.push(['outputs', el('code', null, trial.outputs)]);
  if (data.runs.length > 1) used.push(['run', el('code', null, trial.run.run)]);
  return used.length ? pairs(used) : el('p', { class: 'muted' }, 'nothing was measured');
}

function attemptsTable(trial) {
  const took = (time) => (time.started && time.ended ? secondsText((time.ended - time.started) / 1000) : '');
  const on = (time) => [time.cores?.length ? `cores ${time.cores.join(', ')}` : '', time.gpus?.length ? `GPUs ${time.gpus.join(', ')}` : ''].filter(Boolean).join(' · ');
  const pauses = (time) => (time.pauses?.length ? `paused ${time.pauses.length === 1 ? 'once' : `${time.pauses.length} times`}` : '');
  return el('div', { class: 'scroll' }, el('table', { class: 'plain' },
    el('thead', null, el('tr', null, ['', 'started', 'took', 'end', 'on', ''].map((name) => el('th', null, name)))),
    el('tbody', null, trial.times.map((time) => el('tr', null, el('td', { class: 'muted' }, String(time.number)),
      el('td', { class: 'nowrap' }, time.started ? momentText(time.started) : ''), el('td', { class: 'nowrap' }, took(time)),
      el('td', null, time.status && statusChip(time.status), time.message && ` ${time.message}`), el('td', null, on(time)),
      el('td', null, [pauses(time), time.note].filter(Boolean).join(' · ')))))));
}
