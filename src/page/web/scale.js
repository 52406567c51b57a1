// Scales of plots: from a value to a place on a canvas, and the ticks of an axis with labels that never overlap.

const UNIT_OF_COLUMN = {
  elapsed: 'seconds', cpu_seconds: 'seconds',
  peak_memory: 'bytes', memory: 'bytes', read_bytes: 'bytes', written_bytes: 'bytes',
};
const SECOND_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000];
const BYTE_NAMES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

// The unit in which an axis of this column counts: 'seconds', 'bytes', or null.
function unitOf(id) {
  return UNIT_OF_COLUMN[String(id ?? '').replace(/^fields\./, '')] ?? null;
}

// The smallest of 1, 2, 5 times a power of ten that cuts `span` into at most `count` parts.
function niceStep(span, count) {
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  for (const factor of [1, 2, 5]) {
    if (factor * power >= rough * 0.9999) return factor * power;
  }
  return 10 * power;
}

function superscript(n) {
  return String(n).replace('-', '⁻').replace(/\d/g, (d) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[d]);
}

// A number as an axis writes it: with the decimals that tell it from its neighbours at `step`.
function tickText(value, step) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) {
    const power = Math.floor(Math.log10(size) + 1e-9);
    const factor = Number((value / 10 ** power).toPrecision(Math.max(1, Math.min(6, power - Math.floor(Math.log10(step)) + 1))));
    if (factor === 1) return `10${superscript(power)}`;
    if (factor === -1) return `−10${superscript(power)}`;
    return `${String(factor).replace('-', '−')}×10${superscript(power)}`;
  }
  const digits = Math.max(0, Math.min(9, -Math.floor(Math.log10(step) + 1e-9)));
  const text = value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return text.replace('-', '−');
}

// Seconds as an axis writes them: "30s", "5m", "1h 30m", "2d".
function durationText(seconds) {
  if (seconds === 0) return '0';
  if (seconds < 0) return `−${durationText(-seconds)}`;
  if (seconds < 1) return `${Number((seconds * 1000).toPrecision(6))}ms`;
  if (seconds < 60) return `${Number(seconds.toPrecision(6))}s`;
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']];
  let rest = Math.round(seconds);
  const words = [];
  for (const [length, name] of parts) {
    if (rest >= length) words.push(`${Math.floor(rest / length)}${name}`);
    rest %= length;
  }
  return words.slice(0, 2).join(' ');
}

// A moment as an axis writes it, at this step in seconds: the day at midnight, else the time of day.
function clockText(ms, step) {
  const moment = new Date(ms);
  if (step >= 86400 || (moment.getHours() === 0 && moment.getMinutes() === 0 && moment.getSeconds() === 0)) {
    return moment.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' });
  }
  const form = { hour: '2-digit', minute: '2-digit', hour12: false };
  if (step < 60) form.second = '2-digit';
  return moment.toLocaleTimeString('en-GB', form);
}

function stepped(low, high, step, text) {
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9 && ticks.length < 200; i++) {
    const at = Number((i * step).toPrecision(12));
    ticks.push({ value: at, text: text(at, step) });
  }
  return ticks;
}

function secondStep(span, count) {
  const rough = span / Math.max(1, count);
  if (rough < 1) return niceStep(span, count);
  return SECOND_STEPS.find((s) => s >= rough * 0.9999) ?? 86400 * niceStep(span / 86400, count);
}

function linearTicks(low, high, count, unit) {
  if (unit === 'seconds') return stepped(low, high, secondStep(high - low, count), durationText);
  if (unit === 'bytes') {
    const power = Math.max(0, Math.min(5, Math.floor(Math.log(Math.max(1, high)) / Math.log(BYTE_BASE))));
    const base = BYTE_BASE ** power;
    const step = niceStep((high - low) / base, count);
    return stepped(low / base, high / base, step, (v) => (v === 0 ? '0' : `${tickText(v, step)} ${BYTE_NAMES[power]}`))
      .map((tick) => ({ ...tick, value: tick.value * base }));
  }
  return stepped(low, high, niceStep(high - low, count), tickText);
}

// The bytes of one KiB, as this page counts them everywhere.
const BYTE_BASE = 1024;

function clockTicks(low, high, count) {
  const step = secondStep((high - low) / 1000, count);
  const shift = new Date(low).getTimezoneOffset() * 60;
  return stepped(low / 1000 - shift, high / 1000 - shift, step, () => '')
    .map((tick) => ({ value: (tick.value + shift) * 1000, text: clockText((tick.value + shift) * 1000, step) }));
}

const ROUND_SECONDS = [0.001, 0.01, 0.1, 1, 10, 60, 600, 3600, 36000, 86400, 864000];

// Round amounts of a unit on a log axis, evenly thinned to `count`.
function unitLogTicks(low, high, count, unit) {
  const round = unit === 'seconds' ? ROUND_SECONDS : Array.from({ length: 26 }, (_, i) => 4 ** i);
  const inside = round.filter((v) => v >= low * 0.999 && v <= high * 1.001);
  const every = Math.max(1, Math.ceil(inside.length / count));
  const text = unit === 'seconds' ? durationText : (v) => format(v, 'peak_memory');
  return inside.filter((_, i) => i % every === 0).map((v) => ({ value: v, text: text(v) }));
}

function logTicks(low, high, count, unit) {
  const ofUnit = unit ? unitLogTicks(low, high, count, unit) : [];
  if (ofUnit.length >= 2) return ofUnit;
  const from = Math.log10(low);
  const to = Math.log10(high);
  const factors = to - from > 3 ? [1] : to - from > 1.3 ? [1, 3] : [1, 2, 3, 5, 7];
  const every = Math.max(1, Math.ceil((to - from) / Math.max(1, count)));
  const far = low < 0.00099 || high > 1.01e5;
  const words = (at, factor, power) => (far && factor === 1 && power !== 0 ? `10${superscript(power)}` : tickText(at, at));
  const ticks = [];
  for (let power = Math.floor(from); power <= Math.ceil(to); power++) {
    if (power % every !== 0) continue;
    for (const factor of every > 1 ? [1] : factors) {
      const at = Number((factor * 10 ** power).toPrecision(6));
      if (at < low * 0.9999 || at > high * 1.0001) continue;
      ticks.push({ value: at, text: words(at, factor, power) });
    }
  }
  return !unit && ticks.length >= 2 ? ticks : linearTicks(low, high, count, unit).filter((tick) => tick.value > 0);
}

// A number for a legend or a sentence: three digits that count, with its unit.
function roughText(v, id) {
  if (typeof v !== 'number' || !Number.isFinite(v) || v === 0 || unitOf(id)) return format(v, id);
  return format(Number.isInteger(v) && Math.abs(v) < 1e5 ? v : Number(v.toPrecision(3)), id);
}

// The smallest and the largest of the numbers, with some air; of a log axis only those above zero count.
function extent(values, log, air = 0.04) {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (typeof v !== 'number' || !Number.isFinite(v) || (log && v <= 0)) continue;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  if (log) {
    const room = Math.max(1.05, (high / low) ** air);
    return [low / room, high * room];
  }
  const room = high > low ? (high - low) * air : Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

// Text cut in its middle so that it is at most `room` wide.
function shortened(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  for (let keep = text.length - 1; keep > 1; keep--) {
    const cut = `${text.slice(0, Math.ceil(keep / 2))}…${text.slice(text.length - Math.floor(keep / 2))}`;
    if (ctx.measureText(cut).width <= room) return cut;
  }
  return '…';
}

// A scale from `spec` ({type, domain, unit}) to the pixels `from`..`to`: `px(value)`, `invert(pixel)`, `ticks(ctx)`.
// Types: linear, log, category (domain: the values in order), time (ms since 1970), duration (seconds).
function scale(spec, from, to) {
  const { type = 'linear', domain } = spec;
  if (type === 'category') return categoryScale(spec, from, to);
  const log = type === 'log';
  const [low, high] = domain;
  const a = log ? Math.log(low) : low;
  const b = log ? Math.log(high) : high;
  const slope = (to - from) / (b - a || 1);
  const px = log ? (v) => from + (Math.log(v) - a) * slope : (v) => from + (v - a) * slope;
  const invert = (pixel) => (log ? Math.exp(a + (pixel - from) / slope) : a + (pixel - from) / slope);
  const unit = type === 'duration' ? 'seconds' : spec.unit;
  const of = (count) =>
    log ? logTicks(low, high, count, unit) : type === 'time' ? clockTicks(low, high, count) : linearTicks(low, high, count, unit);
  const ticks = (ctx) => roomy(of, px, Math.abs(to - from), from < to ? (text) => ctx.measureText(text).width + 14 : () => 26);
  return { type, domain, px, invert, ticks, from, to };
}

// The most ticks of `of(count)` whose labels, `size(text)` long, do not touch.
function roomy(of, px, length, size) {
  for (let count = Math.min(10, Math.max(1, Math.floor(length / 45))); count >= 1; count--) {
    const ticks = of(count);
    const apart = ticks.every((tick, i) => i === 0 ||
      Math.abs(px(tick.value) - px(ticks[i - 1].value)) >= (size(tick.text) + size(ticks[i - 1].text)) / 2);
    if (apart) return ticks;
  }
  return of(1).slice(0, 1);
}

function categoryScale(spec, from, to) {
  const values = spec.domain;
  const step = (to - from) / Math.max(1, values.length);
  const places = new Map(values.map((v, i) => [v, from + (i + 0.5) * step]));
  const band = Math.abs(step);
  const ticks = (ctx) => {
    const across = from < to;
    const all = values.map((v) => ({ value: v, text: categoryText(v) }));
    if (across && band < 34) {
      const widest = Math.min(90, Math.max(...all.map((tick) => ctx.measureText(tick.text).width)) + 10);
      const every = Math.max(1, Math.ceil(widest / band));
      return all.filter((_, i) => i % every === 0).map((tick) => ({ ...tick, text: shortened(ctx, tick.text, 80) }));
    }
    if (across) return all.map((tick) => ({ ...tick, text: shortened(ctx, tick.text, band - 8) }));
    const every = Math.max(1, Math.ceil(15 / band));
    return all.filter((_, i) => i % every === 0).map((tick) => ({ ...tick, text: shortened(ctx, tick.text, 130) }));
  };
  const invert = (pixel) => values[Math.max(0, Math.min(values.length - 1, Math.floor((pixel - from) / step)))];
  return { type: 'category', domain: values, px: (v) => places.get(v) ?? NaN, invert, ticks, band, from, to };
}

// A value of a category axis in words.
function categoryText(v) {
  if (v === null || v === undefined) return 'none';
  return typeof v === 'object' ? JSON.stringify(v) : typeof v === 'number' ? format(v) : String(v);
}
