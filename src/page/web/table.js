// table.js: the table of trials. Only the rows in sight are in the document; the order is that of `combu results --sort`.

const ROW_HEIGHT = 28;
const ROWS_ON_PAPER = 300;

// The columns that are shown: those that the viewer chose, or those that `combu results` shows.
function shownColumns() {
  const chosen = store.get('columns', null);
  const ids = Array.isArray(chosen) ? chosen : defaultColumns();
  const known = ids.map(column).filter(Boolean);
  return known.length ? known : defaultColumns().map(column).filter(Boolean);
}

function defaultColumns() {
  const ids = (group) => columns().filter((one) => one.group === group).map((one) => one.id);
  return [...FIRST_FACTS, ...(data.runs.length > 1 ? ['run'] : []), ...ids('param'), ...LAST_FACTS, ...ids('metric'), ...USAGE_FACTS];
}

// The goal, where the runs shown have one in common.
function commonGoal() {
  const [first] = data.runs;
  return first?.goal && data.runs.every((run) => run.goal?.text === first.goal.text) ? first.goal : null;
}

function sortChoice() {
  return store.get('sort', null);
}

// The trials shown, in the order of the table.
let orderCache = {};

function orderedTrials() {
  const sort = sortChoice();
  const key = sort ? `${sort[0]} ${sort[1]}` : '';
  if (orderCache.trials === data.filtered && orderCache.key === key && orderCache.version === data.version) return orderCache.ordered;
  const goal = commonGoal();
  let ordered = data.filtered;
  if (sort) {
    const [id, isDown] = sort;
    const pairs = data.filtered.map((trial) => [trial, value(trial, id)]);
    pairs.sort((one, other) => compareValues(one[1], other[1], isDown));
    ordered = pairs.map(([trial]) => trial);
  } else if (goal) ordered = data.filtered.slice().sort(compareGoal(goal));
  orderCache = { trials: data.filtered, key, version: data.version, ordered };
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
  const lines = [shown.map((one) => csvCell(one.id)).join(','), ...trials.map((trial) => shown.map((one) => cell(trial, one)).join(','))];
  return `${lines.join('\n')}\n`;
}

const MOST_NAMES = 30;

// The command that prints the rows that are shown, and what it leaves out.
function resultsCommand(trials) {
  const words = ['combu', 'results', ...data.runs.filter((run) => !(store.get('hidden', []).includes(run.run) && brushes.has('runs'))).map((run) => run.run)];
  let lacks = '';
  const isBrushed = [...brushes.keys()].some((id) => id !== 'runs');
  const isWord = filterText && !filterIsExpression;
  if (isBrushed || isWord) {
    if (trials.length && trials.length <= MOST_NAMES) {
      words.push('--where', `name in [${trials.map((trial) => JSON.stringify(trial.name)).join(', ')}]`);
    } else {
      if (filterText && filterIsExpression) words.push('--where', filterText);
      lacks = isBrushed ? 'without the brushes' : 'without the word that is looked for';
    }
  } else if (filterText) words.push(filterText.startsWith('-') ? `--where=${filterText}` : '--where', ...(filterText.startsWith('-') ? [] : [filterText]));
  const sort = sortChoice();
  if (sort) words.push('--sort', sort[0], ...(sort[1] ? ['-r'] : []));
  const chosen = store.get('columns', null);
  if (Array.isArray(chosen)) words.push('--columns', shownColumns().map((one) => one.id).join(','));
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

// How long the bar below a number is: its place between the smallest and the largest of its column.
function barShare(one, found) {
  if (one.type !== 'number' || !(one.high > one.low) || one.id === 'exit' || one.id === 'attempts' || one.id === 'started' || one.id === 'ended') return null;
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
  hint: () => (commonGoal() && !sortChoice() ? `The best first: ${commonGoal().text}.` : ''),
  make: makeTable,
});

function makeTable(body, tools) {
  const head = el('thead');
  const rows = el('tbody');
  const widths = el('colgroup');
  const table = el('table', { class: 'trials', 'aria-label': 'Trials' }, widths, head, rows);
  const box = el('div', { class: 'tablebox' }, table);
  const command = el('div', { class: 'copyline command' });
  const state = { box, rows, head, widths, table, shown: [], trials: [], current: 0, from: -1, to: -1, byKey: new Map() };
  body.append(box, command);
  tools.append(columnsMenu(), copyButton('copy as CSV', () => csvText(orderedTrials(), shownColumns())),
    el('button', { type: 'button', class: 'quiet', onclick: () => { store.set('sort', null); changed('choice'); } }, 'first order'));
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
  return {
    draw() {
      drawTable(state);
      const { line, lacks } = resultsCommand(state.trials);
      refill(command, el('span', { class: 'muted' }, 'The same rows: '), el('code', null, line), copyButton('copy', () => line), lacks && el('span', { class: 'muted' }, ` (${lacks})`));
    },
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
    refill(state.widths, shown.map((one) => {
      const col = el('col');
      const wide = columnWidth(one, data.trials);
      col.style.width = one.id === 'name' ? `min(${wide}ch, 46vw)` : `${wide}ch`;
      return col;
    }));
  }
  state.shown = shown;
  state.trials = trials;
  state.current = Math.min(state.current, Math.max(0, trials.length - 1));
  const focused = document.activeElement?.closest?.('th[data-column]')?.dataset.column;
  refill(state.head, el('tr', null, shown.map((one) => headCell(one, sort))));
  if (focused !== undefined) state.head.querySelector(`th[data-column="${CSS.escape(focused)}"] button`)?.focus();
  state.table.setAttribute('aria-rowcount', String(trials.length + 1));
  drawRows(state, true);
}

function headCell(one, sort) {
  const isSorted = sort?.[0] === one.id;
  const arrow = isSorted ? (sort[1] ? '▼' : '▲') : '';
  return el('th', {
    scope: 'col', dataset: { column: one.id }, class: [one.type === 'number' ? 'number' : '', one.id === 'name' ? 'name' : '', one.group].join(' '),
    'aria-sort': isSorted ? (sort[1] ? 'descending' : 'ascending') : null,
  }, el('button', { type: 'button', title: `${one.group} ${one.id}: click to sort`, onclick: () => sortBy(one.id) }, el('span', null, one.id), arrow && el('span', { class: 'arrow', 'aria-hidden': 'true' }, arrow)));
}

// Sorts by a column: the smallest first, then the largest, then as at the start.
function sortBy(id) {
  const sort = sortChoice();
  const next = sort?.[0] !== id ? [id, false] : !sort[1] ? [id, true] : null;
  store.set('sort', next);
  changed('choice');
}

// Puts the rows that are in sight, and some around them, into the document.
function drawRows(state, isForced) {
  const { box, trials, rows, shown } = state;
  const isPaper = document.documentElement.dataset.paper !== undefined;
  const first = Math.floor(box.scrollTop / ROW_HEIGHT);
  const seen = Math.ceil((box.clientHeight || 600) / ROW_HEIGHT);
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
  if (to < trials.length && isPaper) made.push(el('tr', null, el('td', { colspan: String(shown.length) }, `and ${countText(trials.length - to)} more`)));
  if (!trials.length) {
    made.push(el('tr', null, el('td', { colspan: String(shown.length), class: 'empty' }, data.trials.length ? 'No trial passes the filter and the brushes.' : 'No trials.')));
  }
  rows.replaceChildren(...made);
  if (hasFocus) state.byKey.get(trials[state.current]?.key)?.focus({ preventScroll: true });
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
  row.tabIndex = place === state.current ? 0 : -1;
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
    goToRow(state, state.current + steps[event.key], true);
  }
}

function goToRow(state, place, hasFocus) {
  state.current = Math.max(0, Math.min(state.trials.length - 1, place));
  const top = state.current * ROW_HEIGHT;
  const headHeight = state.head.offsetHeight;
  const { box } = state;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + ROW_HEIGHT + headHeight > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_HEIGHT + headHeight - box.clientHeight + 2;
  drawRows(state, true);
  const trial = state.trials[state.current];
  if (hasFocus) state.byKey.get(trial?.key)?.focus({ preventScroll: true });
  hover(trial ?? null);
}

// ---- choice of columns

function columnsMenu() {
  const list = el('div', { class: 'menulist' });
  const search = el('input', { type: 'text', placeholder: 'find a column', 'aria-label': 'find a column', oninput: () => fill() });
  const choose = (ids) => {
    store.set('columns', ids);
    changed('choice');
    fill();
  };
  const fill = () => {
    const shown = shownColumns().map((one) => one.id);
    const asked = search.value.trim().toLowerCase();
    const groups = new Map([['fact', 'Facts'], ['param', 'Params'], ['metric', 'Metrics'], ['tag', 'Tags'], ['field', 'Fields of the spec']]);
    refill(list, [...groups].map(([group, title]) => {
      const found = columns().filter((one) => one.group === group && one.id.toLowerCase().includes(asked));
      return found.length > 0 && el('fieldset', null, el('legend', null, title), found.slice(0, 300).map((one) => {
        const box = el('input', {
          type: 'checkbox', checked: shown.includes(one.id), disabled: one.id === 'name',
          onchange: () => choose(box.checked ? [...shown, one.id] : shown.filter((id) => id !== one.id)),
        });
        return el('label', null, box, el('span', null, one.id));
      }));
    }));
  };
  const menu = el('details', { class: 'menu', ontoggle: () => { if (menu.open) fill(); } }, el('summary', null, 'Columns'),
    el('div', { class: 'menubox' }, search, list, el('div', { class: 'buttons' },
      el('button', { type: 'button', onclick: () => choose(null) }, 'as combu results'),
      el('button', { type: 'button', onclick: () => choose(['name']) }, 'none'))));
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
