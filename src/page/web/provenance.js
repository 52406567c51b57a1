// provenance.js: where a run took place and with what, and how to repeat it.

function fact(name, ...said) {
  const parts = said.filter((one) => one !== null && one !== undefined && one !== false && one !== '');
  return parts.length ? [el('dt', null, name), el('dd', null, parts)] : null;
}

function repeatLine(run) {
  const line = (run.command ?? []).map(shellWord).join(' ');
  return run.folder ? `cd ${shellWord(run.folder)} && ${line}` : line;
}

function imageLines(run) {
  return (run.images ?? []).map(([engine, image, digest]) => el('div', { class: 'copyline' },
    el('code', null, image), el('span', { class: 'muted' }, ` ${engine} `), el('code', { class: 'digest', title: digest }, digest), copyButton('copy', () => digest)));
}

function gitText(git) {
  if (!git) return null;
  return [el('code', null, git.commit), git.dirty
    ? el('span', { class: 'status warn' }, ' ', el('span', { class: 'sign', 'aria-hidden': 'true' }, '▲'), 'with changes that were not committed')
    : el('span', { class: 'muted' }, ' without changes')];
}

function provenanceOf(run) {
  const told = run.provenance ?? {};
  const { host } = told;
  const sources = Object.entries(told.sources ?? {});
  const repeat = repeatLine(run);
  return el('article', { class: 'provenance' },
    data.runs.length > 1 && el('h3', null, run.experiment, ' · ', el('code', null, run.run)),
    repeat && el('div', { class: 'repeat' }, el('div', { class: 'muted' }, 'To repeat it:'), el('div', { class: 'copyline' }, el('code', null, repeat), copyButton('copy', () => repeat))),
    el('dl', { class: 'facts' },
      fact('Run', el('code', null, run.run), copyButton('copy', () => run.run)),
      fact('Began', momentText(run.started), el('span', { class: 'muted' }, ` ${new Date(run.started).toISOString()}`)),
      fact('combu', told.combu ?? data.combu),
      fact('Host', host && [host.name, host.kernel, host.cpus && counted(host.cpus, 'CPU'), host.user && `as ${host.user}`].filter(Boolean).join(' · ')),
      fact('Engines', (told.engines ?? []).map((engine) => el('div', null, engine))[0] && told.engines.map((engine) => el('div', null, engine))),
      fact('Git', gitText(told.git)),
      fact('Seed', run.seed !== null && run.seed !== undefined && el('code', null, String(run.seed))),
      fact('Spec', run.spec && el('code', null, run.spec)),
      fact('Script', run.script && el('code', null, run.script)),
      fact('Images', imageLines(run)[0] && imageLines(run))),
    sources.map(([path, text]) => el('details', { class: 'source' }, el('summary', null, el('code', null, path), el('span', { class: 'muted' }, ` ${counted(text.split('\n').length - (text.endsWith('\n') ? 1 : 0), 'line')}`)),
      el('div', { class: 'sourcebox' }, copyButton('copy', () => text), el('pre', { tabindex: '0' }, text)))));
}

view({
  id: 'provenance',
  title: 'Provenance',
  hint: 'Where it ran and with what, and the command that repeats it.',
  when: () => data.runs.length > 0,
  make(body) {
    let version = -1;
    return {
      draw() {
        // What was opened or selected stays so: a run's provenance does not change while it goes on.
        if (version === data.runs.length) return;
        version = data.runs.length;
        refill(body, data.runs.map(provenanceOf));
      },
      hover() {},
    };
  },
});
