// main.js: the head of the page, the filter box, the keys; and the start, which comes last.

// ---- head

function drawHead() {
  const [first] = data.runs;
  const names = [...new Set(data.runs.map((run) => run.experiment))];
  const title = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
  document.title = first ? `${title} · combu` : 'combu';
  document.getElementById('title').textContent = title || 'No runs';
  const about = data.runs.length === 1 ? `run ${first.run}` : counted(data.runs.length, 'run');
  document.getElementById('subtitle').textContent = first ? `${about} · ${counted(data.trials.length, 'trial')}` : '';
  document.getElementById('foot').textContent = `Made by combu ${data.combu}${data.at ? `, ${momentText(data.at)}` : ''}.`;
}

function makeSwitches() {
  const current = () => (['light', 'dark'].includes(store.get('theme', 'auto')) ? store.get('theme', 'auto') : 'auto');
  const apply = () => {
    const chosen = current();
    if (chosen === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    changed('theme');
  };
  const pick = choice('Theme', [['auto', 'as the system'], ['light', 'light'], ['dark', 'dark']], current(), (chosen) => {
    store.set('theme', chosen === 'auto' ? null : chosen);
    apply();
  });
  document.getElementById('switches').append(pick, el('button', { type: 'button', onclick: () => print() }, 'Print'));
  apply();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => changed('theme'));
}

// Goes to a section; the hash keeps the viewer's choices, and no place.
function goToSection(event, one) {
  event.preventDefault();
  one?.section?.scrollIntoView({ block: 'start' });
  one?.section?.focus({ preventScroll: true });
}

function makeNav() {
  const nav = document.getElementById('sections');
  const table = views.find((one) => one.id === 'table');
  document.querySelector('.skip').addEventListener('click', (event) => goToSection(event, table));
  // A link to this page with other choices, put into the address by hand.
  addEventListener('hashchange', () => { if (location.hash.includes('=')) location.reload(); });
  for (const one of views) {
    one.link = el('a', { href: `#${one.id}`, onclick: (event) => goToSection(event, one) }, one.title);
    one.link.hidden = true;
    nav.append(one.link);
  }
}

// ---- filter

let filterText = '';
let filterIsExpression = false;

function makeFilter() {
  const box = document.getElementById('filter');
  const hint = document.getElementById('filter-hint');
  box.placeholder = filterPlaceholder();
  let timer = null;
  box.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => useFilter(box.value), data.trials.length > 2000 ? 120 : 30);
  });
  box.addEventListener('focus', () => {
    refill(hint, filterHelp(box));
    hint.hidden = false;
  });
  box.addEventListener('blur', () => { hint.hidden = true; });
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') useFilter(box.value);
  });
  document.getElementById('filter-clear').addEventListener('click', () => setFilterText(''));
  box.value = String(store.get('filter', ''));
  useFilter(box.value);
}

// Whether a name can stand behind a dot.
function isPlainName(name) {
  return /^[A-Za-z_]\w*$/.test(name) && !RESERVED.has(name);
}

// What the box understands, and the names that these trials have: one that is clicked is written into the box.
function filterHelp(box) {
  const write = (name) => {
    const [from, to] = [box.selectionStart ?? box.value.length, box.selectionEnd ?? box.value.length];
    box.setRangeText(name, from, to, 'end');
    box.focus();
  };
  const button = (name) => el('button', {
    // The box keeps the keys, and this help stays.
    type: 'button', class: 'word', tabindex: '-1', onpointerdown: (event) => event.preventDefault(), onclick: () => write(name),
  }, name);
  const written = (one) => (isPlainName(one.name) ? `${one.group}s.${one.name}` : `${one.group}s[${JSON.stringify(one.name)}]`);
  const named = (group) => columns().filter((one) => one.group === group).slice(0, 24).map((one) => button(written(one)));
  return [
    el('span', null, 'An expression as in `combu results --where`, with == != < <= > >= && || ! in. A single word is looked for '
      + 'in names and params. The key / comes here, Escape clears.'),
    el('div', { class: 'words' }, named('param'), named('metric'), ['name', 'status', 'failed', 'done'].map(button)),
  ];
}

// An example with names that these trials have.
function filterPlaceholder() {
  const isPlain = (one) => isPlainName(one.name);
  const goal = data.runs[0]?.goal?.metric;
  const metrics = columns().filter((one) => one.group === 'metric' && one.type === 'number' && isPlain(one));
  const number = metrics.find((one) => one.name === goal) ?? metrics[0]
    ?? columns().find((one) => one.group === 'param' && one.type === 'number' && isPlain(one));
  const text = columns().find((one) => one.group === 'param' && one.type === 'text' && isPlain(one));
  const example = text && data.trials.map((trial) => text.read(trial)).find((one) => typeof one === 'string' && one.length < 16);
  const parts = [
    number && `${number.group}s.${number.name} < ${Number(((number.low + number.high) / 2).toPrecision(2))}`,
    example && `params.${text.name} == ${JSON.stringify(example)}`,
  ].filter(Boolean);
  return parts.length ? parts.join(' && ') : 'failed || status == "skipped"';
}

function setFilterText(text) {
  document.getElementById('filter').value = text;
  useFilter(text);
}

// Filters by a text; one that is wrong is told, and the trials stay as they were.
function useFilter(text) {
  const error = document.getElementById('filter-error');
  const box = document.getElementById('filter');
  document.getElementById('filter-clear').hidden = text === '';
  const asked = text.trim();
  let found = null;
  try {
    found = asked === '' ? null : readFilter(text);
  } catch (problem) {
    if (!(problem instanceof ExpressionError)) throw problem;
    error.textContent = problem.told();
    error.hidden = false;
    box.setAttribute('aria-invalid', 'true');
    return;
  }
  error.textContent = '';
  error.hidden = true;
  box.removeAttribute('aria-invalid');
  const note = document.getElementById('filter-note');
  note.textContent = found?.note ?? '';
  note.hidden = !found?.note;
  filterText = asked;
  filterIsExpression = !!found?.isExpression;
  store.set('filter', filterText || null);
  setFilter(found && ((trial) => found.keys.has(trial.key)));
}

// A word that is looked for: no sign of an expression but those that names have, and no name of an expression in front.
function isWord(text) {
  return /^[\p{L}\p{N}_][\p{L}\p{N}_.:@/-]*$/u.test(text) && !EXPRESSION_NAMES.has(/^\w*/.exec(text)[0]);
}

// The keys of the trials that a text is true of: an expression, or else a word that stands in a name or in params. It throws an
// ExpressionError where that cannot be told.
function readFilter(text) {
  try {
    const expression = parseExpression(text);
    const keys = new Set();
    for (const trial of data.trials) if (expression.holds(trial)) keys.add(trial.key);
    return { keys, isExpression: true, note: noteOnNames(expression) };
  } catch (problem) {
    if (!(problem instanceof ExpressionError) || !isWord(text.trim())) throw problem;
  }
  const word = text.trim().toLowerCase();
  const keys = new Set();
  for (const trial of data.trials) if (trialText(trial).includes(word)) keys.add(trial.key);
  const near = keys.size ? null : nearest(word, EXPRESSION_NAMES);
  const more = near ? `; or did you mean \`${near}\`?` : '';
  return { keys, isExpression: false, note: `“${text.trim()}” is looked for in names and params${more}` };
}

// What to say of params and metrics that no trial has, where the expression does not ask whether they are there.
function noteOnNames(expression) {
  if (['??', '?.', 'in params', 'in metrics', '= ()', '=()'].some((sign) => expression.text.includes(sign))) return '';
  for (const { group, name } of expression.named) {
    const known = new Set();
    let isKnown = false;
    for (const trial of data.trials) {
      if (Object.hasOwn(trial[group], name)) {
        isKnown = true;
        break;
      }
      for (const other of Object.keys(trial[group])) known.add(other);
    }
    if (isKnown) continue;
    const near = nearest(name, known);
    const all = known.size ? `there are ${[...known].slice(0, 12).join(', ')}` : `they have no ${group}`;
    return `no trial has the ${group.slice(0, -1)} \`${name}\`; ${near ? `did you mean \`${near}\`?` : all}`;
  }
  return '';
}

function trialText(trial) {
  const params = Object.entries(trial.params).map(([name, one]) => `${name}=${plainText(one)}`);
  return [trial.name, ...params].join('\n').toLowerCase();
}

function drawFilterCount() {
  const [shown, all] = [data.filtered.length, data.trials.length];
  document.getElementById('filter-count').textContent = `${countText(shown)} of ${counted(all, 'trial')}`;
  const chips = document.getElementById('chips');
  refill(chips, [...brushes].map(([id, brush]) => el('span', { class: 'chip' }, brush.label,
    el('button', { type: 'button', 'aria-label': `remove ${brush.label}`, onclick: () => setBrush(id, '', null) }, '×'))),
  brushes.size > 1 && el('button', { type: 'button', class: 'quiet', onclick: clearBrushes }, 'remove all'));
  chips.hidden = !brushes.size;
}

function clearBrushes() {
  for (const id of [...brushes.keys()]) setBrush(id, '', null);
}

// ---- keys

function watchKeys() {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = event.target.closest?.('input, select, textarea, dialog[open]');
    if (event.key === '/' && !isTyping) {
      event.preventDefault();
      document.getElementById('filter').focus();
      document.getElementById('filter').select();
    } else if (event.key === 'Escape' && !event.target.closest?.('dialog[open]') && !event.defaultPrevented) {
      if (filterText || document.getElementById('filter').value) setFilterText('');
      else clearBrushes();
      tooltip(0, 0, null);
    }
  });
}

function watchPaper() {
  addEventListener('beforeprint', () => {
    document.documentElement.dataset.paper = '';
    themeColours = null;
    for (const one of views) if (one.section) one.stale = new Set(['theme', 'size']);
    drawAllViews();
  });
  addEventListener('afterprint', () => {
    delete document.documentElement.dataset.paper;
    changed('theme');
  });
}

// ---- start

function start() {
  watchViews();
  const text = document.getElementById('data')?.textContent;
  if (text) applyPatch(JSON.parse(text));
  refilter();
  makeSwitches();
  makeNav();
  makeFilter();
  useHiddenRuns();
  watchKeys();
  watchPaper();
  const main = document.getElementById('main');
  onChange((reasons) => {
    if (reasons.has('data')) {
      if (!reasons.has('filter') && filterText && !document.getElementById('filter').hasAttribute('aria-invalid')) reuseFilter();
      drawHead();
      placeViews(main);
    }
    if (reasons.has('data') || reasons.has('filter') || reasons.has('brush')) drawFilterCount();
    if (reasons.has('data')) redrawDetails();
    drawSeenViews(reasons);
  });
  addEventListener('resize', () => changed('size'));
  changed('data');
  tellChanges();
  startLive();
  window.combu = {
    data, value, columns, matches: (asked) => [...readFilter(asked).keys], setFilter: setFilterText, applyPatch,
    // True once what is in sight is drawn.
    get ready() { return isDrawn; },
  };
}

// Asks the filter of trials that changed.
function reuseFilter() {
  try {
    const { keys } = readFilter(filterText);
    filterPredicate = (trial) => keys.has(trial.key);
    refilter();
  } catch (problem) {
    if (!(problem instanceof ExpressionError)) throw problem;
  }
}

start();
