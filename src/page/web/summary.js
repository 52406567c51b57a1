// summary.js
