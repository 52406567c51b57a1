// evaluate.js: what the operations of an expression give, as Rhai does it. `()` is null; a letter of a text is a Letter.

class Letter {
  constructor(text) {
    this.text = text;
  }
}

// The value of a name for a trial.
function fieldOf(trial, name) {
  switch (name) {
    case 'name': return trial.name;
    case 'params': return trial.params;
    case 'metrics': return measuredOf(trial);
    case 'done': return !!trial.ok;
    case 'failed': return !!trial.failed;
    case 'status': return trial.status;
    case 'running': case 'paused': case 'waiting': return trial.status === name;
    default: return Object.hasOwn(trial.fields, name) ? trial.fields[name] ?? EMPTY_FIELDS[name] : EMPTY_FIELDS[name];
  }
}

// The last values of metrics, by name; JSON has no word for a value that is no number.
function measuredOf(trial) {
  const measured = Object.create(null);
  for (const name of Object.keys(trial.metrics)) measured[name] = trial.metrics[name].last ?? NaN;
  return measured;
}

function kindText(value) {
  if (value === null) return 'nothing, `()`';
  if (value instanceof Letter) return 'a letter';
  if (Array.isArray(value)) return 'a list';
  return { number: 'a number', string: 'a text', boolean: 'a truth', object: 'a map' }[typeof value];
}

const isMap = (value) => typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Letter);

// The text of a text or a letter; else null.
function lettersOf(value) {
  return typeof value === 'string' ? value : value instanceof Letter ? value.text : null;
}

function misfit(operator, left, right, column) {
  const side = left === null ? 'left' : right === null ? 'right' : null;
  if (!side || operator === 'in') return new ExpressionError(`\`${operator}\` does not fit ${kindText(left)} and ${kindText(right)}`, column);
  const hint = 'what to take instead: `(params.x ?? 0)`';
  return new ExpressionError(`there is nothing, \`()\`, on the ${side} of \`${operator}\``, column, hint);
}

function truthOf(value, operator, column) {
  if (typeof value === 'boolean') return value;
  const hint = value === null ? 'write `.. == true`' : null;
  throw new ExpressionError(`\`${operator}\` takes true or false, not ${kindText(value)}`, column, hint);
}

function unaryOf(operator, value, column) {
  if (operator === '!' && typeof value === 'boolean') return !value;
  if (operator !== '!' && typeof value === 'number') return operator === '-' ? -value : value;
  if (value === null) {
    const hint = 'ask for a value, as in `params.x == true`';
    throw new ExpressionError(`there is nothing, \`()\`, behind \`${operator}\``, column, hint);
  }
  throw new ExpressionError(`\`${operator}\` does not fit ${kindText(value)}`, column);
}

// ---- comparisons

function equals(one, other) {
  if (typeof one === 'number' && typeof other === 'number') return one === other;
  const [text, otherText] = [lettersOf(one), lettersOf(other)];
  if (text !== null && otherText !== null) return text === otherText;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, place) => equals(item, other[place]));
  }
  if (isMap(one) && isMap(other)) {
    const keys = Object.keys(one);
    const isAlike = (key) => Object.hasOwn(other, key) && equals(one[key], other[key]);
    return keys.length === Object.keys(other).length && keys.every(isAlike);
  }
  return one === other;
}

// Values of different kinds, and `()`, are neither before nor behind each other.
function comparison(operator, holds) {
  return (one, other, column) => {
    if (typeof one === 'number' && typeof other === 'number') {
      return Number.isNaN(one) || Number.isNaN(other) ? false : holds(one < other ? -1 : one > other ? 1 : 0);
    }
    const [text, otherText] = [lettersOf(one), lettersOf(other)];
    if (text !== null && otherText !== null) return holds(compareTexts(text, otherText));
    if (typeof one === 'boolean' && typeof other === 'boolean') return holds(one - other);
    if ((Array.isArray(one) && Array.isArray(other)) || (isMap(one) && isMap(other))) throw misfit(operator, one, other, column);
    return false;
  };
}

// ---- operations

function exact(value, one, other, column) {
  if (Number.isInteger(one) && Number.isInteger(other) && !Number.isSafeInteger(value)) {
    throw notHere('a whole number of more than 15 digits', column);
  }
  return value;
}

function arithmetic(operator, operate) {
  return (one, other, column) => {
    if (typeof one === 'number' && typeof other === 'number') return exact(operate(one, other), one, other, column);
    const isOther = (value) => lettersOf(value) !== null || (typeof value === 'object' && value !== null);
    if (isOther(one) || isOther(other)) throw notHere(`\`${operator}\` of ${kindText(one)} and ${kindText(other)}`, column);
    throw misfit(operator, one, other, column);
  };
}

function isIn(one, other, column) {
  if (typeof other === 'string' && lettersOf(one) !== null) return other.includes(lettersOf(one));
  if (Array.isArray(other)) return other.some((item) => equals(item, one));
  if (isMap(other) && typeof one === 'string') return Object.hasOwn(other, one);
  throw misfit('in', one, other, column);
}

const sum = arithmetic('+', (one, other) => one + other);
const OPERATIONS = {
  '==': equals,
  '!=': (one, other) => !equals(one, other),
  '<': comparison('<', (order) => order < 0),
  '<=': comparison('<=', (order) => order <= 0),
  '>': comparison('>', (order) => order > 0),
  '>=': comparison('>=', (order) => order >= 0),
  '+': (one, other, column) => (typeof one === 'string' && typeof other === 'string' ? one + other : sum(one, other, column)),
  '-': arithmetic('-', (one, other) => one - other),
  '*': arithmetic('*', (one, other) => one * other),
  in: isIn,
  '!in': (one, other, column) => !isIn(one, other, column),
};

// ---- properties, places, methods

const nothingOf = (what, column) => new ExpressionError(
  `there is nothing, \`()\`, of which to read ${what}`, column, 'ask with `?.`, or for a value first: `x != () && ..`');

function propertyOf(value, name, column) {
  if (isMap(value)) return Object.hasOwn(value, name) ? value[name] ?? null : null;
  if (value === null) throw nothingOf(`\`${name}\``, column);
  if ((name === 'len' || name === 'is_empty') && (typeof value === 'string' || Array.isArray(value))) return METHODS[name](value);
  throw notHere(`\`.${name}\` of ${kindText(value)}`, column);
}

function indexOf(value, place, column) {
  if (value === null) throw nothingOf('a place', column);
  if (isMap(value)) {
    if (typeof place !== 'string') throw new ExpressionError(`a key is a text, not ${kindText(place)}`, column);
    return Object.hasOwn(value, place) ? value[place] ?? null : null;
  }
  if (typeof value !== 'string' && !Array.isArray(value)) throw notHere(`a place in ${kindText(value)}`, column);
  if (!Number.isInteger(place)) {
    throw new ExpressionError(`a place in ${kindText(value)} is a whole number, not ${kindText(place)}`, column);
  }
  const items = typeof value === 'string' ? [...value] : value;
  const found = items.at(place);
  if (found === undefined) throw new ExpressionError(`${kindText(value)} of ${items.length} has no place ${place}`, column);
  return typeof value === 'string' ? new Letter(found) : found;
}

// The methods, by name: each takes the value and what stands in its parentheses, and gives undefined where these do not fit.
const METHODS = {
  len: (value, ...more) => {
    if (more.length) return undefined;
    if (typeof value === 'string') return [...value].length;
    return Array.isArray(value) ? value.length : isMap(value) ? Object.keys(value).length : undefined;
  },
  is_empty: (value, ...more) => (more.length || METHODS.len(value) === undefined ? undefined : METHODS.len(value) === 0),
  starts_with: (value, ...given) => withText(value, given, (text) => value.startsWith(text)),
  ends_with: (value, ...given) => withText(value, given, (text) => value.endsWith(text)),
  contains: (value, ...given) => {
    if (given.length !== 1) return undefined;
    if (Array.isArray(value)) return isIn(given[0], value, null);
    if (isMap(value)) return typeof given[0] === 'string' ? Object.hasOwn(value, given[0]) : undefined;
    return withText(value, given, (text) => value.includes(text));
  },
  to_lower: (value, ...more) => (typeof value === 'string' && !more.length ? value.toLowerCase() : undefined),
  to_upper: (value, ...more) => (typeof value === 'string' && !more.length ? value.toUpperCase() : undefined),
  abs: (value, ...more) => (typeof value === 'number' && !more.length ? Math.abs(value) : undefined),
};

function withText(value, given, ask) {
  const text = given.length === 1 ? lettersOf(given[0]) : null;
  return typeof value === 'string' && text !== null ? ask(text) : undefined;
}

function methodOf(value, name, given, column) {
  const answer = METHODS[name](value, ...given);
  if (answer !== undefined) return answer;
  const behind = given.length ? ` with ${given.map(kindText).join(' and ')}` : '';
  throw new ExpressionError(`\`.${name}()\` does not fit ${kindText(value)}${behind}`, column,
    value === null ? 'what to take instead: `(params.x ?? "")`' : null);
}

// ---- sizes and times

function textFor(name, example, text, column) {
  if (typeof text === 'string') return text;
  throw new ExpressionError(`\`${name}\` takes a text, as in \`${name}("${example}")\`, not ${kindText(text)}`, column);
}

const FUNCTIONS = {
  bytes: (given, column) => {
    const text = textFor('bytes', '2g', given, column);
    const told = () => new ExpressionError(`\`${text}\` is not a size: write \`512m\`, \`2g\`, \`64MiB\` or bytes`, column);
    const read = /^([0-9.]*)\s*([a-z]*)$/.exec(text.trim().toLowerCase());
    const power = read ? ['', 'k', 'm', 'g', 't', 'p'].findIndex((one) => (one
      ? [one, `${one}b`, `${one}i`, `${one}ib`] : ['', 'b']).includes(read[2])) : -1;
    if (power < 0 || !/^(\d+\.?\d*|\.\d+)$/.test(read[1])) throw told();
    return exact(Math.trunc(Number(read[1]) * 1024 ** power), 1, 1, column);
  },
  seconds: (given, column) => {
    const text = textFor('seconds', '30m', given, column);
    const seconds = secondsIn(text.trim());
    if (seconds !== null) return seconds;
    throw new ExpressionError(`\`${text}\` is not a duration: write \`30m\`, \`1h 30m\`, \`90s\`, \`500ms\` or seconds`, column);
  },
};

// Units of time in nanoseconds.
const TIME_UNITS = [
  [['nanos', 'nsec', 'ns'], 1], [['usec', 'us', 'µs'], 1e3], [['millis', 'msec', 'ms'], 1e6],
  [['seconds', 'second', 'secs', 'sec', 's'], 1e9], [['minutes', 'minute', 'min', 'mins', 'm'], 60e9],
  [['hours', 'hour', 'hr', 'hrs', 'h'], 3600e9], [['days', 'day', 'd'], 86400e9], [['weeks', 'week', 'wk', 'wks', 'w'], 604800e9],
  [['months', 'month', 'M'], 2630016e9], [['years', 'year', 'yr', 'yrs', 'y'], 31557600e9],
];

function secondsIn(text) {
  if (/^[+]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text);
  if (!/^(\s*\d+(\.\d+)?\s*[A-Za-zµ]+)+$/.test(text)) return null;
  let nanos = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*([A-Za-zµ]+)/g)) {
    const known = TIME_UNITS.find(([names]) => names.includes(unit));
    if (!known) return null;
    nanos += Math.round(Number(number) * known[1]);
  }
  return nanos / 1e9;
}
