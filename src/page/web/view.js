// view.js: the sections of the page. Each registers itself, is made when it is first needed, and is drawn when it is seen and
// something changed.
//
// `view({id, title, hint, when, make})`: `when()` says whether the section is there; `make(body, tools)` fills it once and gives
// `{draw(reasons)}`, and if it likes `{hover()}`, which is then called instead of `draw` where only the hovered trial changed.

const views = [];
let seenViews = null;

function view(told) {
  views.push({ when: () => true, hint: '', ...told, section: null, made: null, isSeen: false, stale: null });
}

// Makes the sections that are wanted now and hides the others.
function placeViews(main) {
  let before = null;
  for (const one of views) {
    const isWanted = one.when();
    if (isWanted && !one.section) makeSection(one);
    if (!one.section) continue;
    if (!one.section.isConnected) {
      if (before) before.after(one.section);
      else main.prepend(one.section);
      seenViews.observe(one.section);
    }
    if (one.section.hidden === isWanted) {
      one.section.hidden = !isWanted;
      one.link.hidden = !isWanted;
    }
    before = one.section;
  }
}

function makeSection(one) {
  one.body = el('div', { class: 'body' });
  one.tools = el('div', { class: 'tools' });
  const heading = el('h2', { id: `${one.id}-title` }, one.title);
  const hint = typeof one.hint === 'function' ? '' : one.hint;
  one.hintLine = el('p', { class: 'hint' }, hint);
  one.section = el('section', { id: one.id, class: 'view unmade', 'aria-labelledby': `${one.id}-title`, tabindex: '-1' },
    el('header', null, heading, one.hintLine, one.tools), one.body);
  one.link.hidden = false;
  one.stale = new Set(['data']);
}

// Draws a section, if it is stale; a view that fails says so and leaves the others alone.
function drawView(one) {
  if (!one.stale || !one.section || one.section.hidden) return;
  const reasons = one.stale;
  one.stale = null;
  try {
    if (!one.made) {
      one.made = one.make(one.body, one.tools) ?? { draw() {} };
      one.section.classList.remove('unmade');
    }
    if (reasons.size === 1 && reasons.has('hover') && one.made.hover) one.made.hover();
    else one.made.draw(reasons);
    if (typeof one.hint === 'function') one.hintLine.textContent = one.hint() ?? '';
  } catch (error) {
    console.error(error);
    refill(one.body, el('p', { class: 'problem' }, `this view could not be drawn: ${error.message}`));
  }
}

function drawSeenViews(reasons) {
  for (const one of views) {
    if (!one.section) continue;
    one.stale ??= new Set();
    for (const reason of reasons) one.stale.add(reason);
  }
  drawSomeViews();
}

// Draws the views that are seen and stale, the upper first, a few in each frame, so that keys and scrolling are not kept waiting.
let isDrawing = false;
// Whether some view was drawn, and whether since then all that were seen were.
let isAny = false;
let isDrawn = false;

function drawSomeViews() {
  isDrawing = false;
  const start = performance.now();
  for (const one of views) {
    if (!one.isSeen || !one.stale || !one.section || one.section.hidden) continue;
    if (performance.now() - start > 24) {
      drawViewsSoon();
      return;
    }
    drawView(one);
    isAny = true;
  }
  isDrawn ||= isAny;
}

function drawViewsSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(drawSomeViews);
}

// Draws everything, seen or not: for paper.
function drawAllViews() {
  for (const one of views) {
    if (!one.section || one.section.hidden) continue;
    one.stale ??= new Set(['theme']);
    drawView(one);
  }
}

// Follows which sections are near the window.
function watchViews() {
  seenViews = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const one = views.find((other) => other.section === entry.target);
      if (!one) continue;
      one.isSeen = entry.isIntersecting;
    }
    drawViewsSoon();
  }, { rootMargin: '300px 0px' });
}
