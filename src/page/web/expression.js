// expression.js: reads the expressions of the filter box, which are those of `combu results --where`: Rhai over one trial.
// What this page does not evaluate exactly as Rhai does is refused, with its place. evaluate.js says what an operation gives.

// An expression that cannot be asked of trials: what, where (a column in characters, from 1), and what to do.
class ExpressionError extends Error {
  constructor(message, column, hint) {
    super(message);
    this.column = column ?? null;
    this.hint = hint ?? null;
  }

  told() {
    return `${this.column ? `column ${this.column}: ` : ''}${this.message}${this.hint ? ` (${this.hint})` : ''}`;
  }
}

function notHere(what, column) {
  return new ExpressionError(`${what} is not understood on this page`, column, 'use `combu results --where`');
}

// The names of an expression: the fields of a spec with what they are where a trial does not say them, and how a trial stands.
const EMPTY_FIELDS = {
  name: null, image: null, cmd: [], entrypoint: null, env: {}, pass_env: [], env_file: [], workdir: null, user: null,
  hostname: null, labels: {}, ports: [], volumes: [], networks: [], depends: [], service: false, healthcheck: null, cpus: null,
  memory: null, gpus: null, pin: false, limits: {}, nice: 0, shm_size: null, pids_limit: null, timeout: null,
  stop_signal: null, stop_grace: null, retries: null, params: {}, metrics: {}, outputs: [], priority: 0, pull: null,
  engine: null, init: null, platform: null, ulimits: [], tmpfs: {}, devices: [], cap_add: [], extra_hosts: [],
};
const STANDINGS = ['done', 'failed', 'status', 'running', 'paused', 'waiting'];
const EXPRESSION_NAMES = new Set([...Object.keys(EMPTY_FIELDS), ...STANDINGS]);

// Words that Rhai keeps for itself: none of them is a name, nor stands behind a dot.
const RESERVED = new Set(('let const is if else switch do while until loop for in continue break return throw try catch fn '
  + 'private import export as this var static shared goto match case public protected new use with module package super thread spawn go '
  + 'await async sync yield default void null nil print debug type_of eval Fn call curry is_shared is_def_fn is_def_var true '
  + 'false').split(' '));

const SIGNS = '!in == != <= >= && || ?? ?. ?[ < > ! ( ) [ ] , . + - *'.split(' ');
// Signs of Rhai that this page does not understand; the longest first.
const OTHER_SIGNS = ('<<= >>= **= ..= ... === !== :: => -> <- |> <| ++ -- += -= *= /= %= &= |= ^= << >> ** .. // /* #{ = / % & | ^ ~ '
  + '; { } : ` # @ $').split(' ');

const PRECEDENCE = {
  '||': 30, '&&': 60, '==': 90, '!=': 90, in: 110, '!in': 110, '<': 130, '<=': 130, '>': 130, '>=': 130, '??': 135, '+': 150,
  '-': 150, '*': 180,
};

const DEEPEST = 60;

// ---- tokens

function tokensOf(text) {
  const letters = [...text];
  const tokens = [];
  let at = 0;
  while (at < letters.length) {
    if (/\s/.test(letters[at])) {
      at += 1;
      continue;
    }
    const token = tokenAt(letters, at);
    tokens.push({ ...token, column: at + 1 });
    at = token.end;
  }
  tokens.push({ type: 'end', column: letters.length + 1 });
  return tokens;
}

function tokenAt(letters, at) {
  const letter = letters[at];
  if (/[0-9]/.test(letter)) return numberAt(letters, at);
  if (letter === '"' || letter === "'") return textAt(letters, at);
  if (/[A-Za-z_]/.test(letter)) {
    let end = at;
    while (end < letters.length && /\w/.test(letters[end])) end += 1;
    return { type: 'name', value: letters.slice(at, end).join(''), end };
  }
  const next = letters.slice(at, at + 4).join('');
  const other = OTHER_SIGNS.find((sign) => next.startsWith(sign));
  const sign = SIGNS.find((one) => next.startsWith(one) && !(one === '!in' && /\w/.test(next[3] ?? '')));
  if (sign && !(other && other.length > sign.length)) return { type: 'sign', value: sign, end: at + sign.length };
  if (other === '=') throw new ExpressionError('unexpected `=`', at + 1, 'equality is written `==`');
  if (other === '&' || other === '|') throw notHere(`\`${other}\` (and is \`&&\`, or is \`||\`)`, at + 1);
  if (other === '`') throw notHere('a text in backticks', at + 1);
  if (other) throw notHere(`\`${other}\``, at + 1);
  throw new ExpressionError(`unexpected \`${letter}\``, at + 1, 'another name is written `params["name"]`');
}

function numberAt(letters, at) {
  const rest = letters.slice(at, at + 400).join('');
  const based = /^0(?:[xX][0-9a-fA-F_]+|[oO][0-7_]+|[bB][01_]+)/.exec(rest)?.[0];
  const plain = based ?? /^[0-9][0-9_]*(?:\.(?![A-Za-z_.])[0-9_]*)?(?:[eE][+-]?[0-9][0-9_]*)?/.exec(rest)[0];
  const end = at + plain.length;
  if (/\w/.test(letters[end] ?? '')) throw new ExpressionError(`unexpected \`${letters[end]}\` in a number`, end + 1);
  const value = Number(plain.replaceAll('_', '').toLowerCase());
  if (!Number.isFinite(value)) throw new ExpressionError(`\`${plain}\` is no number`, at + 1);
  const isFraction = !based && /[.eE]/.test(plain);
  if (!isFraction && !Number.isSafeInteger(value)) throw notHere('a whole number of more than 15 digits', at + 1);
  return { type: 'number', value, isFraction, end };
}

function textAt(letters, at) {
  const quote = letters[at];
  let [end, text] = [at + 1, ''];
  for (;;) {
    const letter = letters[end];
    if (letter === undefined || letter === '\n') {
      throw new ExpressionError('the text has no end', at + 1, `a ${quote} is missing`);
    }
    end += 1;
    if (letter === quote) {
      if (letters[end] !== quote || quote === "'") break;
      text += quote;
      end += 1;
    } else if (letter === '\\') {
      const [meant, length] = escapeAt(letters, end);
      text += meant;
      end += length;
    } else text += letter;
  }
  if (quote === '"') return { type: 'text', value: text, end };
  if ([...text].length !== 1) throw new ExpressionError(`'${text}' is no letter`, at + 1, 'texts stand in double quotes');
  return { type: 'letter', value: new Letter(text), end };
}

const ESCAPES = { n: '\n', r: '\r', t: '\t', '\\': '\\', '"': '"', "'": "'" };

// What stands behind a backslash means, and how long it is.
function escapeAt(letters, at) {
  const letter = letters[at];
  if (Object.hasOwn(ESCAPES, letter ?? '')) return [ESCAPES[letter], 1];
  const length = { x: 2, u: 4, U: 8 }[letter];
  const digits = length ? letters.slice(at + 1, at + 1 + length).join('') : '';
  const point = /^[0-9a-fA-F]+$/.test(digits) && digits.length === length ? parseInt(digits, 16) : -1;
  if (point < 0 || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
    const hint = 'they are \\n \\r \\t \\\\ \\" \\\' \\xHH \\uHHHH \\UHHHHHHHH';
    throw new ExpressionError(`\`\\${letter ?? ''}${digits}\` is no escape`, at, hint);
  }
  return [String.fromCodePoint(point), 1 + length];
}

// ---- parser: each part becomes a function of a trial

function parseExpression(text) {
  const parser = new Parser(text);
  const whole = parser.binary(0, 0);
  const rest = parser.peek();
  if (rest.type !== 'end') throw parser.unexpected(rest);
  return {
    text,
    named: parser.named,
    // Truth of the expression for a trial.
    holds(trial) {
      try {
        const answer = whole.of(trial);
        if (typeof answer === 'boolean') return answer;
        throw new ExpressionError(`the expression gives ${kindText(answer)}, not true or false`, null);
      } catch (problem) {
        if (!(problem instanceof ExpressionError)) throw problem;
        throw new ExpressionError(`of the trial \`${trial.name}\`: ${problem.message}`, problem.column, problem.hint);
      }
    },
  };
}

class Parser {
  constructor(text) {
    this.tokens = tokensOf(text);
    this.place = 0;
    // The params and metrics that are named: `{group, name, column}`.
    this.named = [];
  }

  peek() {
    return this.tokens[this.place];
  }

  next() {
    const token = this.tokens[this.place];
    if (token.type !== 'end') this.place += 1;
    return token;
  }

  is(sign) {
    const token = this.peek();
    return token.type === 'sign' && token.value === sign;
  }

  expect(sign, why) {
    const token = this.next();
    if (token.type !== 'sign' || token.value !== sign) {
      throw token.type === 'end' ? new ExpressionError(`a \`${sign}\` is missing ${why}`, token.column) : this.unexpected(token);
    }
    return token;
  }

  unexpected(token) {
    if (token.type === 'end') return new ExpressionError('the expression has no end', token.column);
    if (token.type === 'name' && RESERVED.has(token.value) && token.value !== 'in') {
      return notHere(`\`${token.value}\``, token.column);
    }
    const shown = token.type === 'text' ? `"${token.value}"` : token.type === 'letter' ? `'${token.value.text}'` : token.value;
    const word = { and: '&&', or: '||', not: '!' }[shown];
    return new ExpressionError(`unexpected \`${shown}\``, token.column, word ? `it is written \`${word}\`` : null);
  }

  operator() {
    const token = this.peek();
    if (token.type === 'name' && token.value === 'in') return 'in';
    return token.type === 'sign' && Object.hasOwn(PRECEDENCE, token.value) ? token.value : null;
  }

  binary(least, depth) {
    if (depth > DEEPEST) throw notHere('an expression so deeply nested', this.peek().column);
    let left = this.unary(depth + 1);
    for (;;) {
      const operator = this.operator();
      if (operator === null || PRECEDENCE[operator] <= least) return left;
      const { column } = this.next();
      const right = this.binary(PRECEDENCE[operator], depth + 1);
      left = operation(operator, left, right, column);
    }
  }

  unary(depth) {
    if (depth > DEEPEST) throw notHere('an expression so deeply nested', this.peek().column);
    const token = this.peek();
    if (token.type === 'sign' && ['!', '-', '+'].includes(token.value)) {
      this.next();
      const inner = this.unary(depth + 1);
      return {
        of: (trial) => unaryOf(token.value, inner.of(trial), token.column),
        literal: token.value === '!' ? null : inner.literal,
      };
    }
    return this.chain(this.primary(depth), depth);
  }

  primary(depth) {
    const token = this.next();
    const constant = (value, literal) => ({ of: () => value, literal, isFraction: token.isFraction });
    if (token.type === 'number') return constant(token.value, 'a number');
    if (token.type === 'text') return constant(token.value, 'a text');
    if (token.type === 'letter') return constant(token.value, 'a letter');
    if (token.type === 'name') return this.name(token, depth);
    if (token.type === 'sign' && token.value === '(') {
      if (this.is(')')) {
        this.next();
        return constant(null, 'nothing, `()`');
      }
      const inner = this.binary(0, depth + 1);
      this.expect(')', `for the \`(\` in column ${token.column}`);
      return { ...inner, root: inner.root };
    }
    if (token.type === 'sign' && token.value === '[') {
      const items = this.items(']', token, depth);
      return { of: (trial) => items.map((item) => item.of(trial)), literal: 'a list' };
    }
    throw this.unexpected(token);
  }

  items(end, start, depth) {
    const items = [];
    while (!this.is(end)) {
      items.push(this.binary(0, depth + 1));
      if (this.is(end)) break;
      this.expect(',', `or a \`${end}\` for the \`${start.value}\` in column ${start.column}`);
    }
    this.next();
    return items;
  }

  name(token, depth) {
    const name = token.value;
    if (name === 'true' || name === 'false') return { of: () => name === 'true', literal: null };
    if (this.is('(')) {
      const made = FUNCTIONS[name];
      if (!Object.hasOwn(FUNCTIONS, name)) throw notHere(`the function \`${name}\``, token.column);
      const given = this.items(')', this.next(), depth);
      if (given.length !== 1) throw new ExpressionError(`\`${name}\` takes one text`, token.column);
      return { of: (trial) => made(given[0].of(trial), token.column), literal: null };
    }
    if (RESERVED.has(name)) throw name === 'in' ? this.unexpected(token) : notHere(`\`${name}\``, token.column);
    if (!EXPRESSION_NAMES.has(name)) {
      throw new UnknownNameError(name, token.column);
    }
    return { of: (trial) => fieldOf(trial, name), literal: null, root: name };
  }

  // What stands behind a value: `.name`, `.name(..)`, `["name"]`, `[0]`, and the same with `?` before, which gives nothing of
  // nothing.
  chain(base, depth) {
    const links = [];
    for (;;) {
      const token = this.peek();
      if (token.type !== 'sign' || !['.', '?.', '[', '?['].includes(token.value)) break;
      if (links.at(-1)?.isAskedPlace) throw notHere('what stands behind `?[..]`', token.column);
      this.next();
      const isAsked = token.value.startsWith('?');
      links.push(token.value.endsWith('.') ? this.property(isAsked, depth) : this.index(isAsked, token, depth));
      if (links.length === 1) this.note(base, links[0], token);
    }
    if (!links.length) return base;
    return {
      literal: null,
      of(trial) {
        let current = base.of(trial);
        for (const link of links) {
          if (link.isAsked && current === null) return null;
          current = link.of(current, trial);
        }
        return current;
      },
    };
  }

  note(base, link, token) {
    if ((base.root === 'params' || base.root === 'metrics') && link.key !== undefined) {
      this.named.push({ group: base.root, name: link.key, column: token.column + 1 });
    }
  }

  property(isAsked, depth) {
    const token = this.next();
    if (token.type !== 'name' || RESERVED.has(token.value)) {
      throw new ExpressionError('a name is missing behind the dot', token.column, 'another name is written `params["name"]`');
    }
    const { value: name, column } = token;
    if (!this.is('(')) return { isAsked, key: name, of: (value) => propertyOf(value, name, column) };
    const given = this.items(')', this.next(), depth);
    if (!Object.hasOwn(METHODS, name)) throw notHere(`\`.${name}()\``, column);
    return { isAsked, of: (value, trial) => methodOf(value, name, given.map((one) => one.of(trial)), column) };
  }

  index(isAsked, token, depth) {
    const inner = this.binary(0, depth + 1);
    this.expect(']', `for the \`[\` in column ${token.column}`);
    if (inner.isFraction) throw new ExpressionError('a place in a list is a whole number', token.column + 1);
    const key = inner.literal === 'a text' ? inner.of(null) : undefined;
    return { isAsked, isAskedPlace: isAsked, key, of: (value, trial) => indexOf(value, inner.of(trial), token.column) };
  }
}

class UnknownNameError extends ExpressionError {
  constructor(name, column) {
    const near = nearest(name, EXPRESSION_NAMES);
    super(`a trial has no \`${name}\``, column, near ? `did you mean \`${near}\`?`
      : `a param is written \`params.${name}\`, a metric \`metrics.${name}\`, a text \`"${name}"\``);
    this.unknown = name;
  }
}

function operation(operator, left, right, column) {
  if (operator === '&&' || operator === '||') {
    for (const side of [left, right]) {
      if (side.literal) throw new ExpressionError(`\`${operator}\` takes true or false, not ${side.literal}`, column);
    }
    const ends = operator === '||';
    return {
      literal: null,
      of(trial) {
        const first = truthOf(left.of(trial), operator, column);
        return first === ends ? first : truthOf(right.of(trial), operator, column);
      },
    };
  }
  if (operator === '??') return { literal: null, of: (trial) => left.of(trial) ?? right.of(trial) };
  const operate = OPERATIONS[operator];
  return { literal: null, of: (trial) => operate(left.of(trial), right.of(trial), column) };
}

// The candidate nearest to a mistyped word, if one is near enough to be meant.
function nearest(word, candidates) {
  const lower = word.toLowerCase();
  let [best, least, beginning] = [null, Infinity, null];
  for (const candidate of candidates) {
    const known = candidate.toLowerCase();
    const longest = Math.max(1, Math.floor(Math.max(lower.length, known.length) / 3));
    if (Math.abs(lower.length - known.length) <= longest) {
      const steps = slips(lower, known);
      if (steps <= longest && steps < least) [best, least] = [candidate, steps];
    }
    if (beginning === null && lower.length > 2 && known.startsWith(lower)) beginning = candidate;
  }
  return best ?? beginning;
}

// How many slips of the keyboard lie between two words: a letter wrong, missing, doubled, or two swapped.
function slips(one, other) {
  const rows = Array.from({ length: one.length + 1 }, (_, row) => [row]);
  for (let column = 0; column <= other.length; column += 1) rows[0][column] = column;
  for (let row = 1; row <= one.length; row += 1) {
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      let steps = Math.min(rows[row - 1][column] + 1, rows[row][column - 1] + 1, rows[row - 1][column - 1] + (isSame ? 0 : 1));
      const isSwapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (isSwapped) steps = Math.min(steps, rows[row - 2][column - 2] + 1);
      rows[row][column] = steps;
    }
  }
  return rows[one.length][other.length];
}
