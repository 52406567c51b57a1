// provenance.js
