// failures.js: the trials that failed, those alike together.

// The last line of a trial's stderr (or else stdout) that says something.
function lastLine(trial) {
  for (const text of [trial.log?.stderr, trial.log?.stdout]) {
    const line = text?.split('\n').map((one) => one.trim()).filter((one) => one !== '').at(-1);
    if (line) return line;
  }
  return '';
}

// A line without what differs from trial to trial: numbers and addresses.
function withoutNumbers(line) {
  return line.replace(/0x[0-9a-fA-F]+/g, '#').replace(/[-+]?\d+(?:[.,:]\d+)*(?:[eE][-+]?\d+)?/g, '#');
}

// Groups of failed trials: by their message and the last line that they wrote. The largest first.
let groupCache = { trials: null, version: -1, groups: [] };

function failureGroups(trials) {
  if (groupCache.trials === trials && groupCache.version === data.version) return groupCache.groups;
  const groups = new Map();
  for (const trial of trials) {
    if (!trial.failed) continue;
    const message = trial.message ?? trial.status;
    const line = lastLine(trial);
    const key = `${trial.status}\n${message}\n${withoutNumbers(line)}`;
    const group = groups.get(key);
    if (group) group.trials.push(trial);
    else groups.set(key, { key, status: trial.status, message, line, trials: [trial] });
  }
  const sorted = [...groups.values()].sort((one, other) => other.trials.length - one.trials.length);
  groupCache = { trials, version: data.version, groups: sorted };
  return sorted;
}

const MOST_GROUPS = 40;

function failureGroup(group, place) {
  const [first] = group.trials;
  const keys = new Set(group.trials.map((trial) => trial.key));
  const label = `${group.message} (${countText(group.trials.length)})`;
  const brush = () => setBrush('failures', label, (trial) => keys.has(trial.key));
  const more = group.trials.length - 5;
  return el('article', { class: 'failure' },
    el('header', null,
      statusChip(group.status),
      el('b', null, counted(group.trials.length, 'trial')),
      el('span', null, group.message),
      el('button', { type: 'button', class: 'quiet', onclick: brush }, 'show only these')),
    group.line && el('p', { class: 'mono line' }, group.line),
    el('p', { class: 'names' }, group.trials.slice(0, 5).map((trial) => el('span', rowEvents(trial), nameButton(trial))),
      more > 0 && el('button', { type: 'button', class: 'quiet', onclick: brush }, `and ${countText(more)} more`)),
    logPart(first, place < 3));
}

// The end of what a trial wrote.
function logPart(trial, isOpen = true) {
  const { stdout, stderr } = trial.log ?? {};
  if (!stdout && !stderr) return el('p', { class: 'muted' }, 'It wrote nothing.');
  const part = (name, text) => text && el('details', { open: isOpen && (name === 'stderr' || !stderr) },
    el('summary', null, `end of ${name} of ${trial.name}`),
    el('pre', { tabindex: '0' }, text));
  return [part('stderr', stderr), part('stdout', stdout)];
}

view({
  id: 'failures',
  title: 'Failures',
  hint: 'Alike: the same message and, but for numbers, the same last line.',
  when: () => data.trials.some((trial) => trial.failed),
  make(body) {
    let drawn = null;
    return {
      draw() {
        const groups = failureGroups(data.filtered);
        // What was opened stays open, while nothing is new.
        const now = groups.map((group) => `${group.key}\n${group.trials.length}`).join('\n\n');
        if (drawn === now) return;
        drawn = now;
        if (!groups.length) refill(body, el('p', { class: 'empty' }, 'None of the trials shown failed.'));
        else {
          refill(body, groups.slice(0, MOST_GROUPS).map(failureGroup),
            groups.length > MOST_GROUPS && el('p', { class: 'muted' }, `and ${groups.length - MOST_GROUPS} more kinds: filter to see them`));
        }
      },
      hover() {},
    };
  },
});
