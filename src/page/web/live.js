// live.js
function startLive() {}
