// expression.js: see below.
class ExpressionError extends Error {
  constructor(message, column) { super(message); this.column = column; }
  told() { return this.column ? `column ${this.column}: ${this.message}` : this.message; }
}
function isPlainWord(text) { return /^[\w.-]+$/.test(text); }
function parseExpression() { throw new ExpressionError('not there yet'); }
