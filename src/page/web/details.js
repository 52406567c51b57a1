// details.js
