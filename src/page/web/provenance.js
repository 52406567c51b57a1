// provenance.js: where a run took place and with what, and how to repeat it.

function repeatLine(run) {
  const line = (run.command ?? []).map(shellWord).join(' ');
  return run.folder ? `cd ${shellWord(run.folder)} && ${line}` : line;
}

function copyLine(...parts) {
  return el('div', { class: 'copyline' }, parts);
}

function imageLines(run) {
  return (run.images ?? []).map(([engine, image, digest]) => copyLine(
    el('code', null, image),
    el('span', { class: 'muted' }, ` ${engine} `),
    el('code', { class: 'digest', title: digest }, digest),
    copyButton('copy', () => digest)));
}

function gitText(git) {
  const state = git.dirty ? signed('warn', 'with changes that were not committed') : el('span', { class: 'muted' }, 'without changes');
  return [el('code', null, git.commit), ' ', state];
}

function hostText(host) {
  return [host.name, host.kernel, host.cpus && counted(host.cpus, 'CPU'), host.user && `as ${host.user}`].filter(Boolean).join(' · ');
}

function provenanceFacts(run) {
  const told = run.provenance ?? {};
  const code = (text) => el('code', null, String(text));
  return [
    ['Run', code(run.run), copyButton('copy', () => run.run)],
    ['Began', momentText(run.started), el('span', { class: 'muted' }, ` ${new Date(run.started).toISOString()}`)],
    ['combu', told.combu ?? data.combu],
    told.host && ['Host', hostText(told.host)],
    told.engines?.length && ['Engines', told.engines.map((engine) => el('div', null, engine))],
    told.git && ['Git', gitText(told.git)],
    isThere(run.seed) && ['Seed', code(run.seed)],
    run.spec && ['Spec', code(run.spec)],
    run.script && ['Script', code(run.script)],
    run.images?.length && ['Images', imageLines(run)],
  ].filter(Boolean);
}

// The text of a spec or a script, folded.
function sourcePart([path, text]) {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  return el('details', { class: 'source' },
    el('summary', null, el('code', null, path), el('span', { class: 'muted' }, ` ${counted(lines, 'line')}`)),
    el('div', { class: 'sourcebox' }, copyButton('copy', () => text), el('pre', { tabindex: '0' }, text)));
}

function provenanceOf(run) {
  const repeat = repeatLine(run);
  return el('article', { class: 'provenance' },
    data.runs.length > 1 && el('h3', null, run.experiment, ' · ', el('code', null, run.run)),
    repeat && el('div', { class: 'repeat' },
      el('div', { class: 'muted' }, 'To repeat it:'),
      copyLine(el('code', null, repeat), copyButton('copy', () => repeat))),
    factList(provenanceFacts(run)),
    Object.entries(run.provenance?.sources ?? {}).map(sourcePart));
}

view({
  id: 'provenance',
  title: 'Provenance',
  hint: 'Where it ran and with what, and the command that repeats it.',
  when: () => data.runs.length > 0,
  make(body) {
    let drawn = 0;
    return {
      draw() {
        // What was opened or selected stays so: a run's provenance does not change while it goes on.
        if (drawn === data.runs.length) return;
        drawn = data.runs.length;
        refill(body, data.runs.map(provenanceOf));
      },
      hover() {},
    };
  },
});
