// dom.js: elements, colours, the tooltip and the short texts that every view uses. What comes from data is only ever text.

// An element with attributes, listeners and children; strings become text nodes, `null` and `false` are left out.
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else if (name.startsWith('on') && typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name === 'value' || name === 'checked' || name === 'open' || name === 'indeterminate') element[name] = value;
    else if (name === 'style') throw new Error('styles are set as element.style.x');
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

// Puts these children in the place of those that are there.
function refill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

// Calls `fill`, which makes the children of an element anew, and gives the keys back to the control that had them.
function keepFocus(element, fill) {
  const all = () => [...element.querySelectorAll('button, input, select, summary, pre')];
  const place = element.contains(document.activeElement) ? all().indexOf(document.activeElement) : -1;
  fill();
  if (place >= 0) all()[place]?.focus({ preventScroll: true });
}

// A plain table: headings as `[text, class]`, and rows of cells, which have the class of their heading. A row is a list, or
// `{cells, events}`.
function plainTable(name, heads, rows) {
  const row = ({ cells, events }) => el('tr', events, cells.map((cell, place) => el('td', { class: heads[place][1] }, cell)));
  return el('div', { class: 'scroll' }, el('table', { class: `plain ${name}` },
    el('thead', null, el('tr', null, heads.map(([text, kind]) => el('th', { class: kind }, text)))),
    el('tbody', null, rows.map((one) => row(Array.isArray(one) ? { cells: one } : one)))));
}

// Names with what is said of each.
function factList(entries) {
  return el('dl', { class: 'facts' }, entries.map(([name, ...said]) => [el('dt', null, name), el('dd', null, said)]));
}

// True of a value that is there.
function isThere(one) {
  return one !== null && one !== undefined;
}

// "once", "3 times".
function timesText(count) {
  return count === 1 ? 'once' : `${count} times`;
}

// A select with a label. Options are texts, or `[value, text]`, or `{group, options}`.
function choice(label, options, current, onpick) {
  const option = (one) => {
    const [key, text] = Array.isArray(one) ? one : [one, one];
    const made = el('option', { value: key }, text);
    made.selected = key === current;
    return made;
  };
  const made = options.map((one) => (one && one.group !== undefined && !Array.isArray(one)
    ? el('optgroup', { label: one.group }, one.options.map(option))
    : option(one)));
  const select = el('select', { onchange: () => onpick(select.value) }, made);
  return el('label', { class: 'choice' }, el('span', null, label), select);
}

// A button that is on or off.
function toggle(label, current, on) {
  const button = el('button', {
    type: 'button', class: 'toggle', 'aria-pressed': String(!!current),
    onclick: () => {
      const now = button.getAttribute('aria-pressed') !== 'true';
      button.setAttribute('aria-pressed', String(now));
      on(now);
    },
  }, label);
  return button;
}

// A link, where the address is one of the web; else the text.
function link(address, text) {
  if (!/^https?:\/\//i.test(address)) return document.createTextNode(text ?? address);
  return el('a', { href: address, rel: 'noopener noreferrer', target: '_blank' }, text ?? address);
}

// A button that copies what `text()` gives, and says so.
function copyButton(label, text) {
  const button = el('button', {
    type: 'button', class: 'quiet',
    onclick: async () => {
      const done = await copied(String(text()));
      button.textContent = done ? 'copied' : 'select and copy by hand';
      setTimeout(() => { button.textContent = label; }, 1500);
    },
  }, label);
  return button;
}

// Copies a text; a page opened from a folder may have no clipboard of its own, so a selection is tried too.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el('textarea', { class: 'offscreen', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    let done = false;
    try { done = document.execCommand('copy'); } catch { done = false; }
    area.remove();
    return done;
  }
}

// A text for people: six digits that count, times and sizes with their units where `id` says that they are.
const SECONDS = new Set(['elapsed', 'cpu_seconds', 'timeout', 'start_timeout', 'grace']);
const BYTES = new Set(['peak_memory', 'read_bytes', 'written_bytes', 'memory', 'memory_swap', 'shm_size']);

function format(value, id) {
  if (value === null || value === undefined) return '';
  if (typeof value === 'number') {
    if (SECONDS.has(id)) return secondsText(value);
    if (BYTES.has(id)) return bytesText(value);
    if (id === 'started' || id === 'ended') return momentText(value);
    return numberText(value);
  }
  if (typeof value === 'object') return JSON.stringify(value);
  return String(value);
}

function numberText(value) {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toExponential(5).replace(/\.?0+e/, 'e').replace('e+', 'e');
  return String(Number(value.toPrecision(6)));
}

// Whole numbers with a comma for each thousand.
function countText(value) {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

// "1 trial", "12 trials".
function counted(count, noun) {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function secondsText(seconds) {
  if (!Number.isFinite(seconds)) return String(seconds);
  if (seconds < 0) return `-${secondsText(-seconds)}`;
  if (seconds < 10) return `${Number(seconds.toFixed(seconds < 1 ? 3 : 2))}s`;
  if (seconds < 59.95) return `${Number(seconds.toFixed(1))}s`;
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, '0');
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days}d ${two(hours)}h`;
  if (hours > 0) return `${hours}h ${two(minutes)}m`;
  return `${minutes}m ${two(whole % 60)}s`;
}

// A size as `combu results` writes it: `512 B`, `1.5 GiB`.
function bytesText(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [size, unit] = [bytes, 0];
  while (Math.abs(size) >= 1024 && unit < units.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${unit === 0 || Math.abs(size) >= 99.95 ? Math.round(size) : Number(size.toFixed(1))} ${units[unit]}`;
}

// A moment in the viewer's own zone.
function momentText(ms) {
  const at = new Date(ms);
  const two = (number) => String(number).padStart(2, '0');
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} `
    + `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

// A word of a command line, quoted for a shell where it must be.
function shellWord(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${String(word).replaceAll("'", "'\\''")}'`;
}

// Colours for canvases, from the variables of page.css; read again when the theme changes.
let themeColours = null;

function theme() {
  if (themeColours) return themeColours;
  const css = getComputedStyle(document.documentElement);
  const read = (name) => css.getPropertyValue(`--${name}`).trim();
  const isDark = read('scheme') === 'dark';
  themeColours = {
    dark: isDark,
    series: Array.from({ length: 8 }, (_, place) => read(`series-${place + 1}`)),
    ramp: (share) => rampColour(share, isDark),
    font: css.fontFamily,
  };
  for (const name of ['text', 'muted', 'line', 'surface', 'accent', 'ok', 'bad', 'warn', 'idle', 'busy', 'background']) {
    themeColours[name] = read(name);
  }
  return themeColours;
}

// A ramp from violet to yellow (even steps of lightness in OKLCH) that keeps its order in greys and for the colour-blind; its
// faint end is shifted off the surface.
const RAMP = [
  [50, 15, 113], [30, 55, 144], [4, 91, 143], [6, 121, 147], [12, 149, 153], [3, 180, 149], [95, 205, 128], [175, 222, 110],
  [244, 234, 104],
];

function rampColour(share, isDark) {
  const low = isDark ? 0.18 : 0;
  const high = isDark ? 1 : 0.9;
  const at = (low + (high - low) * Math.min(1, Math.max(0, share || 0))) * (RAMP.length - 1);
  const [under, over] = [Math.floor(at), Math.ceil(at)];
  const mix = (part) => Math.round(RAMP[under][part] + (RAMP[over][part] - RAMP[under][part]) * (at - under));
  return `rgb(${mix(0)}, ${mix(1)}, ${mix(2)})`;
}

// What kind of end, or of standing, a status is: a colour and a sign of its own.
const STATUS_KINDS = {
  succeeded: 'ok', failed: 'bad', oom: 'bad', 'timed-out': 'bad', unhealthy: 'bad', 'not-started': 'bad', lost: 'bad',
  pruned: 'warn', stopped: 'warn', killed: 'warn', skipped: 'idle', open: 'idle', waiting: 'idle', starting: 'busy',
  running: 'busy', paused: 'busy',
};
const STATUS_SIGNS = { ok: '✓', bad: '✗', warn: '▲', idle: '○', busy: '▶' };

function statusKind(status) {
  return STATUS_KINDS[status] ?? 'idle';
}

function statusColour(status) {
  return theme()[statusKind(status)];
}

// Words with the sign and the colour of a kind: `ok`, `bad`, `warn`, `busy`, `idle`.
function signed(kind, ...words) {
  return el('span', { class: `status ${kind}` }, el('span', { class: 'sign', 'aria-hidden': 'true' }, STATUS_SIGNS[kind]), words);
}

function statusChip(status) {
  return signed(statusKind(status), status);
}

// The tooltip, at a place of the window; `null` hides it. Lines are texts, or `[label, text]`.
let tooltipBox = null;

function tooltip(x, y, lines) {
  tooltipBox ??= document.body.appendChild(el('div', { class: 'tooltip', role: 'status', hidden: true }));
  if (!lines || !lines.length) {
    tooltipBox.hidden = true;
    return;
  }
  refill(tooltipBox, lines.map((line, place) => (Array.isArray(line)
    ? el('div', { class: 'pair' }, el('span', null, line[0]), el('b', null, line[1]))
    : el('div', { class: place ? null : 'head' }, line))));
  tooltipBox.hidden = false;
  const box = tooltipBox.getBoundingClientRect();
  const left = x + 14 + box.width > innerWidth ? x - 14 - box.width : x + 14;
  const top = y + 14 + box.height > innerHeight ? y - 14 - box.height : y + 14;
  tooltipBox.style.left = `${Math.max(4, left)}px`;
  tooltipBox.style.top = `${Math.max(4, top)}px`;
}
