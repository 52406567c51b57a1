// live.js: the live page: what goes on arrives as patches; and where combu lets it, runs and trials are steered from here.

let liveWord = null;
const isLive = () => document.querySelector('meta[name="combu-live"]')?.content === '1';
const mayControl = () => isLive() && document.querySelector('meta[name="combu-control"]')?.content === '1';
const liveToken = () => new URLSearchParams(location.search).get('token') ?? '';

function startLive() {
  if (!isLive()) return;
  liveWord = el('span', { class: 'live', role: 'status' }, 'connecting');
  document.getElementById('switches').prepend(liveWord);
  let source = null;
  const connect = () => {
    source?.close();
    source = new EventSource(`events?token=${encodeURIComponent(liveToken())}`);
    source.onopen = () => sayLive();
    source.onmessage = (event) => {
      try {
        const patch = JSON.parse(event.data);
        applyPatch(patch);
        if (patch.problem) sayLive(`combu cannot read its store: ${patch.problem}`, 'bad');
        else sayLive();
      } catch (problem) {
        console.error(problem);
        sayLive('an update could not be read', 'bad');
      }
    };
    source.onerror = () => {
      if (data.runs.length && !isGoing()) {
        // combu goes when there is nothing more to tell.
        source.close();
        sayLive();
        return;
      }
      sayLive('connection lost, trying again', 'bad');
      // A browser tries again by itself, unless the answer was no stream at all.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
    };
  };
  connect();
}

function isGoing() {
  return data.runs.some((run) => run.state === 'running');
}

function sayLive(text, kind) {
  liveWord.className = `live ${kind ?? (isGoing() ? 'ok' : 'idle')}`;
  liveWord.textContent = text ?? (isGoing() ? '● live' : data.runs.length > 1 ? 'all runs ended' : 'run ended');
}

// ---- controls

const ACTION_WORDS = {
  stop: ['Stop', 'ask it to end, and kill it when its grace is over'],
  kill: ['Kill now', 'end it at once, without grace'],
  retry: ['Retry', 'run it again, as a new attempt'],
};

// Buttons for a run, where the page may steer it.
function runControls(runs) {
  if (!mayControl()) return null;
  const going = runs.filter((run) => run.state === 'running');
  if (!going.length) return null;
  return el('div', { class: 'controls' }, going.map((run) => el('div', { class: 'control' },
    el('b', null, 'Run ', el('code', null, run.run)),
    actionButton('stop', run, null),
    actionButton('kill', run, null),
    parallelControl(run))));
}

function trialControls(trial) {
  if (!mayControl()) return null;
  if (trial.run.state !== 'running') return null;
  const actions = hasEnded(trial) ? ['retry'] : ['stop', 'kill'];
  return el('div', { class: 'control' }, actions.map((action) => actionButton(action, trial.run, trial)));
}

function actionButton(action, run, trial) {
  const [word, effect] = ACTION_WORDS[action];
  return el('button', {
    type: 'button', class: action === 'kill' ? 'danger' : null, title: effect,
    onclick: () => {
      const open = counted(trialsOfRun(run).filter((one) => !hasEnded(one)).length, 'trial');
      const what = trial ? `the trial ${trial.name}` : `the whole run ${run.run}, with ${open} that did not end yet`;
      const order = { run: run.run, ...(trial && { trial: trial.name }), action };
      confirmAction(`${word}: ${what}?`, `combu will ${effect}.`, word, order);
    },
  }, word);
}

function hasEnded(trial) {
  return !['waiting', 'starting', 'running', 'paused', 'open'].includes(trial.status);
}

function parallelControl(run) {
  const box = el('input', { type: 'number', min: '1', value: String(run.parallel ?? 1), 'aria-label': 'trials at once' });
  const ask = () => {
    const parallel = Number(box.value);
    if (!Number.isInteger(parallel) || parallel < 1) box.setCustomValidity('a whole number, 1 or more');
    else box.setCustomValidity('');
    if (!box.reportValidity()) return;
    const effect = `At most ${counted(parallel, 'trial')} will run at the same time, instead of ${run.parallel}. What runs now goes on.`;
    confirmAction(`Run ${run.run}: ${parallel} at once?`, effect, 'Set', { run: run.run, action: 'set', parallel });
  };
  return el('span', { class: 'choice' }, el('span', null, 'at once'), box, el('button', { type: 'button', onclick: ask }, 'Set'));
}

// Asks a second time, names what will happen, and shows the answer.
function confirmAction(title, effect, word, order) {
  const dialog = document.getElementById('confirm');
  const answer = el('p', { class: 'answer', role: 'status' });
  const yes = el('button', { type: 'button', class: order.action === 'set' ? null : 'danger' }, word);
  const no = el('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel');
  yes.addEventListener('click', async () => {
    yes.disabled = true;
    answer.className = 'answer';
    answer.textContent = 'asked';
    const { ok, message } = await sendOrder(order);
    answer.className = `answer ${ok ? 'ok' : 'problem'}`;
    answer.textContent = message || (ok ? 'done' : 'it was refused');
    yes.disabled = ok;
    no.textContent = 'Close';
  });
  refill(dialog,
    el('h2', { id: 'confirm-title' }, title),
    el('p', null, effect),
    answer,
    el('div', { class: 'buttons' }, no, yes));
  dialog.showModal();
  no.focus();
}

async function sendOrder(order) {
  try {
    const response = await fetch('control', {
      method: 'POST', headers: { 'Content-Type': 'application/json', 'X-Combu-Token': liveToken() }, body: JSON.stringify(order),
    });
    const text = await response.text();
    try {
      const { ok, message } = JSON.parse(text);
      return { ok: !!ok && response.ok, message };
    } catch {
      return { ok: false, message: `combu answered ${response.status}: ${text.slice(0, 200)}` };
    }
  } catch (problem) {
    return { ok: false, message: `combu could not be asked: ${problem.message}` };
  }
}
