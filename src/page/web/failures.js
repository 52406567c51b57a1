// failures.js
