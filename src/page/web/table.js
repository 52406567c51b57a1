// table.js: the table of trials. Only the rows in sight are in the document; the order is that of `combu results --sort`.

const ROW_HEIGHT = 28;
const ROWS_ON_PAPER = 100;

// The columns that are shown: those that the viewer chose, or those that `combu results` shows.
function shownColumns() {
  const chosen = store.get('columns', null);
  const ids = Array.isArray(chosen) ? chosen : defaultColumns();
  const known = ids.map(column).filter(Boolean);
  return known.length ? known : defaultColumns().map(column).filter(Boolean);
}

// Of many params and metrics the first are shown, and of params those that differ before those that are all alike.
const MOST_PARAMS = 30;
const MOST_METRICS = 20;

function defaultColumns() {
  const of = (group) => columns().filter((one) => one.group === group);
  let params = of('param');
  if (params.length > MOST_PARAMS) params = [...params].sort((one, other) => other.differs - one.differs).slice(0, MOST_PARAMS);
  const run = data.runs.length > 1 ? ['run'] : [];
  const metrics = of('metric').slice(0, MOST_METRICS);
  const ids = (list) => list.map((one) => one.id);
  return [...FIRST_FACTS, ...run, ...ids(params), ...LAST_FACTS, ...ids(metrics), ...USAGE_FACTS];
}

// How many params and metrics the columns at the start leave out.
function leftOut() {
  if (Array.isArray(store.get('columns', null))) return 0;
  const count = (group) => columns().filter((one) => one.group === group).length;
  return Math.max(0, count('param') - MOST_PARAMS) + Math.max(0, count('metric') - MOST_METRICS);
}

// The goal, where the runs shown have one in common.
function goalOfAll() {
  const [first] = data.runs;
  return first?.goal && data.runs.every((run) => run.goal?.text === first.goal.text) ? first.goal : null;
}

// The column that the viewer sorts by, and whether the largest come first.
function sortChoice() {
  const sort = store.get('sort', null);
  return Array.isArray(sort) && typeof sort[0] === 'string' && column(sort[0]) ? [sort[0], sort[1] === true] : null;
}

// The trials shown, in the order of the table.
let orderCache = {};

function orderedTrials() {
  const sort = sortChoice();
  const key = `${data.version} ${sort ?? ''}`;
  if (orderCache.trials === data.filtered && orderCache.key === key) return orderCache.ordered;
  const goal = goalOfAll();
  let ordered = data.filtered;
  if (sort) {
    const [id, isDown] = sort;
    const pairs = data.filtered.map((trial) => [trial, value(trial, id)]);
    pairs.sort((one, other) => compareValues(one[1], other[1], isDown));
    ordered = pairs.map(([trial]) => trial);
  } else if (goal) ordered = data.filtered.slice().sort(compareGoal(goal));
  orderCache = { trials: data.filtered, key, ordered };
  return ordered;
}

// ---- CSV, and the command that prints the same rows

function csvCell(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvText(trials, shown) {
  const cell = (trial, one) => {
    const found = one.read(trial);
    const isMoment = (one.id === 'started' || one.id === 'ended') && typeof found === 'number';
    return csvCell(isMoment ? new Date(found).toISOString().replace(/\.\d+Z$/, 'Z') : plainText(found));
  };
  const head = shown.map((one) => csvCell(one.id)).join(',');
  const lines = trials.map((trial) => shown.map((one) => cell(trial, one)).join(','));
  return `${[head, ...lines].join('\n')}\n`;
}

const MOST_NAMES = 30;

// The command that prints the rows that are shown, and what it leaves out.
function resultsCommand(trials) {
  const hidden = brushes.has('runs') ? hiddenRuns() : new Set();
  const words = ['combu', 'results', ...data.runs.map((run) => run.run).filter((run) => !hidden.has(run))];
  const isBrushed = [...brushes.keys()].some((id) => id !== 'runs');
  const isOnlyHere = isBrushed || (filterText && !filterIsExpression);
  const isFew = trials.length > 0 && trials.length <= MOST_NAMES;
  let asked = filterIsExpression ? filterText : '';
  if (isOnlyHere && isFew) asked = `name in [${trials.map((trial) => JSON.stringify(trial.name)).join(', ')}]`;
  // What begins with a minus would be taken for an option.
  if (asked) words.push(...(asked.startsWith('-') ? [`--where=${asked}`] : ['--where', asked]));
  const sort = sortChoice();
  if (sort) words.push('--sort', sort[0], ...(sort[1] ? ['-r'] : []));
  if (Array.isArray(store.get('columns', null))) words.push('--columns', shownColumns().map((one) => one.id).join(','));
  const lacks = isOnlyHere && !isFew ? `without the ${isBrushed ? 'brushes' : 'word that is looked for'}` : '';
  return { line: words.map(shellWord).join(' '), lacks };
}

// ---- cells

function fillCell(cell, trial, one) {
  const found = one.read(trial) ?? null;
  if (one.id === 'name') {
    cell.className = 'name';
    cell.append(nameButton(trial));
    return;
  }
  if (one.id === 'status') {
    cell.append(statusChip(found));
    return;
  }
  cell.textContent = format(found, one.id);
  if (typeof found === 'number') {
    cell.className = 'number';
    const share = barShare(one, found);
    if (share !== null) {
      cell.classList.add('bar');
      cell.style.backgroundSize = `${(share * 100).toFixed(1)}% 3px`;
    }
  } else if (cell.textContent.length > 24) cell.title = cell.textContent;
}

const WITHOUT_BAR = new Set(['exit', 'attempts', 'started', 'ended']);

// How long the bar below a number is: its place between the smallest and the largest of its column.
function barShare(one, found) {
  if (one.type !== 'number' || !(one.high > one.low) || WITHOUT_BAR.has(one.id)) return null;
  if (one.log && one.low > 0) return Math.log(found / one.low) / Math.log(one.high / one.low);
  const low = Math.min(0, one.low);
  return (found - low) / (one.high - low);
}

// The width of a column in characters: that of its heading and of some of its texts.
function columnWidth(one, trials) {
  let most = one.id.length + 3;
  const step = Math.max(1, Math.floor(trials.length / 150));
  for (let place = 0; place < trials.length; place += step) {
    const text = format(one.read(trials[place]) ?? null, one.id);
    let wide = one.id === 'status' ? 2 : 0;
    for (const letter of text) wide += letter > '\u2e80' ? 2 : 1;
    if (wide > most) most = wide;
  }
  return Math.min(most, one.id === 'name' ? 40 : 32) + 2.5;
}

// ---- the view

view({
  id: 'table',
  title: 'Trials',
  hint: tableHint,
  make: makeTable,
});

function tableHint() {
  return `${orderHint()}${leftOut() ? ` ${counted(leftOut(), 'more column')} to choose from.` : ''}`;
}

function orderHint() {
  const sort = sortChoice();
  if (sort) return `Sorted by ${sort[0]}, the ${sort[1] ? 'largest' : 'smallest'} first.`;
  return goalOfAll() ? `The best first: ${goalOfAll().text}.` : 'In the order of the plan. Click a heading to sort.';
}

function makeTable(body, tools) {
  const head = el('thead');
  const rows = el('tbody');
  const widths = el('colgroup');
  const table = el('table', { class: 'trials', 'aria-label': 'Trials' }, widths, head, rows);
  const box = el('div', { class: 'tablebox' }, table);
  const command = el('div', { class: 'copyline command' });
  const state = {
    box, rows, head, widths, table, shown: [], trials: [], current: -1, currentKey: null, from: -1, to: -1, byKey: new Map(),
  };
  body.append(box, command);
  const unsort = el('button', { type: 'button', class: 'quiet', onclick: () => sortBy(null) });
  tools.append(unsort, columnsMenu(), copyButton('copy as CSV', () => csvText(orderedTrials(), shownColumns())));
  let planned = false;
  box.addEventListener('scroll', () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      drawRows(state, false);
    });
  });
  box.addEventListener('keydown', (event) => moveInTable(state, event));
  rows.addEventListener('click', (event) => {
    const row = event.target.closest('tr[data-key]');
    if (row) goToRow(state, Number(row.dataset.place), true);
  });
  rows.addEventListener('dblclick', (event) => {
    const row = event.target.closest('tr[data-key]');
    if (row) showDetails(trialOf(row.dataset.key));
  });
  rows.addEventListener('pointerover', (event) => hover(trialOf(event.target.closest('tr[data-key]')?.dataset.key)));
  rows.addEventListener('pointerleave', () => hover(null));
  addEventListener('beforeprint', () => drawRows(state, true));
  redrawTable = () => {
    drawTable(state);
    tools.parentElement.querySelector('.hint').textContent = tableHint();
    unsort.hidden = !sortChoice();
    unsort.textContent = goalOfAll() ? 'best first' : 'in the order of the plan';
    const { line, lacks } = resultsCommand(state.trials);
    refill(command,
      el('span', { class: 'muted' }, 'The same rows: '), el('code', null, line), copyButton('copy', () => line),
      lacks && el('span', { class: 'muted' }, ` (${lacks})`));
  };
  return {
    draw: redrawTable,
    hover() {
      markHovered(state);
    },
  };
}

function drawTable(state) {
  const shown = shownColumns();
  const ids = shown.map((one) => one.id).join('\n');
  const trials = orderedTrials();
  const sort = sortChoice();
  if (ids !== state.ids || data.version !== state.version) {
    state.ids = ids;
    state.version = data.version;
    let total = 0;
    refill(state.widths, shown.map((one) => {
      const col = el('col');
      const wide = columnWidth(one, data.trials);
      col.style.width = one.id === 'name' ? `min(${wide}ch, 46vw)` : `${wide}ch`;
      if (one.id !== 'name') total += wide;
      else state.nameWidth = wide;
      return col;
    }));
    // Widths hold only where the table's own is known.
    state.table.style.width = `calc(${total}ch + min(${state.nameWidth}ch, 46vw))`;
  }
  state.shown = shown;
  state.trials = trials;
  state.current = state.currentKey === null ? -1 : trials.findIndex((trial) => trial.key === state.currentKey);
  const focused = document.activeElement?.closest?.('th[data-column]')?.dataset.column;
  refill(state.head, el('tr', null, shown.map((one) => headCell(one, sort))));
  if (focused !== undefined) state.head.querySelector(`th[data-column="${CSS.escape(focused)}"] button`)?.focus();
  state.table.setAttribute('aria-rowcount', String(trials.length + 1));
  drawRows(state, true);
}

function headCell(one, sort) {
  const isSorted = sort?.[0] === one.id;
  const classes = [one.group, one.type === 'number' && 'number', one.id === 'name' && 'name'].filter(Boolean);
  const label = { type: 'button', title: `${one.group} ${one.id}: click to sort`, onclick: () => sortBy(one.id) };
  return el('th', {
    scope: 'col', dataset: { column: one.id }, class: classes.join(' '),
    'aria-sort': isSorted ? (sort[1] ? 'descending' : 'ascending') : null,
  }, el('button', label, el('span', null, one.id), isSorted && el('span', { class: 'arrow', 'aria-hidden': 'true' }, sort[1] ? '▼' : '▲')));
}

// Draws the table alone again: what it shows is no matter of the other views.
let redrawTable = () => {};

// Sorts by a column: the smallest first, then the largest, then as at the start.
function sortBy(id) {
  const sort = sortChoice();
  store.set('sort', id === null ? null : sort?.[0] !== id ? [id, false] : !sort[1] ? [id, true] : null);
  redrawTable();
}

// Puts the rows that are in sight, and some around them, into the document.
function drawRows(state, isForced) {
  const { box, trials, rows, shown } = state;
  const isPaper = document.documentElement.dataset.paper !== undefined;
  const first = Math.floor(box.scrollTop / ROW_HEIGHT);
  // A box that is not full yet is lower than it will be.
  const seen = Math.ceil(Math.max(box.clientHeight, Math.min(560, innerHeight * 0.75)) / ROW_HEIGHT);
  let from = Math.max(0, first - 8);
  let to = Math.min(trials.length, first + seen + 8);
  if (isPaper) [from, to] = [0, Math.min(trials.length, ROWS_ON_PAPER)];
  if (!isForced && from === state.from && to === state.to) return;
  [state.from, state.to] = [from, to];
  const hasFocus = rows.contains(document.activeElement);
  state.byKey.clear();
  const made = [];
  if (from > 0) made.push(spacer(from, shown.length));
  for (let place = from; place < to; place += 1) made.push(tableRow(state, place));
  if (to < trials.length && !isPaper) made.push(spacer(trials.length - to, shown.length));
  const note = (text) => el('tr', null, el('td', { colspan: String(shown.length), class: 'empty' }, text));
  if (to < trials.length && isPaper) made.push(note(`and ${countText(trials.length - to)} more`));
  if (!trials.length) made.push(note(data.trials.length ? 'No trial passes the filter and the brushes.' : 'No trials.'));
  rows.replaceChildren(...made);
  if (hasFocus) (state.byKey.get(state.currentKey) ?? rows.querySelector('tr[tabindex="0"]'))?.focus({ preventScroll: true });
  markHovered(state);
}

function spacer(count, wide) {
  const cell = el('td', { colspan: String(wide) });
  cell.style.height = `${count * ROW_HEIGHT}px`;
  return el('tr', { class: 'spacer', 'aria-hidden': 'true' }, cell);
}

function tableRow(state, place) {
  const trial = state.trials[place];
  const row = document.createElement('tr');
  row.dataset.key = trial.key;
  row.dataset.place = String(place);
  row.setAttribute('aria-rowindex', String(place + 2));
  row.tabIndex = place === Math.max(0, state.current) ? 0 : -1;
  if (place === state.current) row.className = 'current';
  for (const one of state.shown) {
    const cell = document.createElement('td');
    fillCell(cell, trial, one);
    row.append(cell);
  }
  state.byKey.set(trial.key, row);
  return row;
}

function markHovered(state) {
  state.marked?.classList.remove('hovered');
  state.marked = data.hovered ? state.byKey.get(data.hovered.key) ?? null : null;
  state.marked?.classList.add('hovered');
}

// ---- keys

function moveInTable(state, event) {
  const row = event.target.closest('tr[data-key]');
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const page = Math.max(1, Math.floor(state.box.clientHeight / ROW_HEIGHT) - 2);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.key === 'Enter' && event.target === row) {
    event.preventDefault();
    showDetails(trialOf(row.dataset.key));
  } else if (event.key in steps) {
    event.preventDefault();
    goToRow(state, Number(row.dataset.place) + steps[event.key], true);
  }
}

function goToRow(state, place, hasFocus) {
  state.current = Math.max(0, Math.min(state.trials.length - 1, place));
  const top = state.current * ROW_HEIGHT;
  const { box } = state;
  const bottom = top + ROW_HEIGHT + state.head.offsetHeight + 2;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  drawRows(state, true);
  const trial = state.trials[state.current];
  state.currentKey = trial?.key ?? null;
  if (hasFocus) state.byKey.get(trial?.key)?.focus({ preventScroll: true });
  hover(trial ?? null);
}

// ---- choice of columns

const GROUP_TITLES = { fact: 'Facts', param: 'Params', metric: 'Metrics', tag: 'Tags', field: 'Fields of the spec' };

function columnsMenu() {
  const list = el('div', { class: 'menulist' });
  const search = el('input', {
    type: 'text', placeholder: 'find a column', 'aria-label': 'find a column', oninput: () => fill(),
  });
  const choose = (ids) => {
    store.set('columns', ids);
    redrawTable();
  };
  const has = (id, isIn) => {
    const ids = shownColumns().map((one) => one.id).filter((other) => other !== id);
    choose(isIn ? [...ids, id] : ids);
  };
  const fill = () => {
    const shown = shownColumns().map((one) => one.id);
    const asked = search.value.trim().toLowerCase();
    refill(list, Object.entries(GROUP_TITLES).map(([group, title]) => {
      const found = columns().filter((one) => one.group === group && one.id.toLowerCase().includes(asked));
      return found.length > 0 && el('fieldset', null, el('legend', null, title), found.slice(0, 300).map((one) => {
        const box = el('input', {
          type: 'checkbox', checked: shown.includes(one.id), disabled: one.id === 'name',
          onchange: () => has(one.id, box.checked),
        });
        return el('label', null, box, el('span', null, one.id));
      }));
    }));
  };
  const menu = el('details', { class: 'menu', ontoggle: () => { if (menu.open) fill(); } }, el('summary', null, 'Columns'),
    el('div', { class: 'menubox' }, search, list, el('div', { class: 'buttons' },
      el('button', { type: 'button', onclick: () => { choose(null); fill(); } }, 'as combu results'),
      el('button', { type: 'button', onclick: () => { choose(['name']); fill(); } }, 'none'))));
  addEventListener('pointerdown', (event) => { if (menu.open && !menu.contains(event.target)) menu.open = false; });
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    event.preventDefault();
    event.stopPropagation();
    menu.open = false;
    menu.querySelector('summary').focus();
  });
  return menu;
}
