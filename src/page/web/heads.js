// The heads of the axes of parallel coordinates: buttons that are dragged to move an axis, each with a menu for the keyboard.

// Heads in `inner`, and a menu in `body`. `acts`: {shown(): {axes, gap}, range(id), setRange(id, range), setAxes(ids),
// turnLog(axis)}. `fill(width)` makes them anew after a draw, `close()` closes the menu.
function axisHeads(body, inner, acts) {
  const heads = el('div', { class: 'parallel-heads' });
  inner.prepend(heads);
  const menu = el('div', { class: 'parallel-menu', hidden: true });
  body.append(menu);
  const axisOf = (id) => acts.shown().axes.find((axis) => axis.id === id);
  const headOf = (id) => [...heads.children].find((head) => head.dataset.axis === id);
  const move = (id, to) => {
    const ids = acts.shown().axes.map((axis) => axis.id).filter((other) => other !== id);
    ids.splice(to, 0, id);
    heads.dataset.now = '';
    acts.setAxes(ids);
  };
  const open = (id) => {
    fillMenu(menu, axisOf(id), acts, move, () => {
      menu.hidden = true;
      headOf(id)?.focus();
    });
    menu.hidden = false;
    const left = headOf(id).getBoundingClientRect().left - body.getBoundingClientRect().left;
    menu.style.left = `${Math.max(0, Math.min(left, body.clientWidth - menu.offsetWidth))}px`;
    menu.querySelector('button:not(:disabled)')?.focus();
  };
  document.addEventListener('pointerdown', (event) => {
    if (!menu.hidden && !menu.contains(event.target) && !heads.contains(event.target)) menu.hidden = true;
  });
  const fill = (width) => {
    const { axes, gap } = acts.shown();
    const now = JSON.stringify(axes.map((axis) => [axis.id, axis.x, axis.name, axis.log]));
    if (heads.dataset.now === now) return;
    heads.dataset.now = now;
    const focused = heads.contains(document.activeElement) ? document.activeElement.dataset.axis : null;
    heads.replaceChildren(...axes.map((axis) => axisHead(axis, gap, acts, move, open)));
    for (const [i, head] of [...heads.children].entries()) {
      const left = Math.max(0, Math.min(width - head.offsetWidth, axes[i].x - head.offsetWidth / 2));
      head.style.left = `${(left / width) * 100}%`;
    }
    if (focused) headOf(focused)?.focus();
  };
  return { fill, close: () => { menu.hidden = true; } };
}

// One head: it follows the pointer while it is dragged, and opens its menu when it is pressed.
function axisHead(axis, gap, acts, move, open) {
  const title = `${axis.name}: press for its menu, drag to move it`;
  const head = el('button', { type: 'button', class: 'parallel-head', 'aria-haspopup': 'true', title },
    el('span', {}, axis.name), axis.log && el('small', {}, 'log'));
  head.dataset.axis = axis.id;
  head.style.maxWidth = `${Math.max(40, gap - 6)}px`;
  let from = null;
  let isMoved = false;
  head.addEventListener('pointerdown', (event) => {
    from = { x: event.clientX, left: head.offsetLeft };
    isMoved = false;
    head.setPointerCapture(event.pointerId);
  });
  head.addEventListener('pointermove', (event) => {
    if (!from) return;
    isMoved ||= Math.abs(event.clientX - from.x) > 4;
    if (isMoved) head.style.left = `${from.left + event.clientX - from.x}px`;
  });
  head.addEventListener('pointercancel', () => { from = null; });
  head.addEventListener('pointerup', (event) => {
    const by = from ? event.clientX - from.x : 0;
    from = null;
    if (!isMoved) return;
    const last = acts.shown().axes.length - 1;
    move(axis.id, Math.max(0, Math.min(last, Math.round((axis.x + by - AXIS_LEFT) / gap))));
  });
  head.addEventListener('click', () => {
    if (!isMoved) open(axis.id);
    isMoved = false;
  });
  return head;
}

function fillMenu(menu, axis, acts, move, close) {
  const ids = acts.shown().axes.map((one) => one.id);
  const at = ids.indexOf(axis.id);
  const act = (label, go, off) => el('button', { type: 'button', disabled: off, onclick: () => { close(); go(); } }, label);
  const remove = () => {
    acts.setRange(axis.id, null);
    acts.setAxes(ids.filter((id) => id !== axis.id));
  };
  refill(menu,
    el('b', {}, axis.name),
    act('← move left', () => move(axis.id, at - 1), at === 0),
    act('move right →', () => move(axis.id, at + 1), at === ids.length - 1),
    axis.number && !axis.few && act(axis.log ? 'linear axis' : 'log axis', () => acts.turnLog(axis)),
    act('remove axis', remove, ids.length <= 2),
    rangeForm(axis, acts.range(axis.id), (range) => {
      acts.setRange(axis.id, range);
      close();
    }));
  menu.onkeydown = (event) => {
    if (event.key !== 'Escape') return;
    event.preventDefault();
    close();
  };
}

// Fields to type the range of an axis, or to choose the first and the last of its categories: what dragging does, for the keyboard.
function rangeForm(axis, range, done) {
  if (axis.scale.type === 'category') {
    if (axis.scale.domain.length > 12) return '';
    const at = (i) => !range || (i + 0.5 >= range[0] && i + 0.5 <= range[1]);
    const first = el('select', { 'aria-label': 'from' }, ...axis.scale.domain.map((v, i) => el('option', { value: String(i) }, v)));
    const last = first.cloneNode(true);
    last.setAttribute('aria-label', 'to');
    first.value = String(axis.scale.domain.findIndex((_, i) => at(i)));
    last.value = String(axis.scale.domain.findLastIndex((_, i) => at(i)));
    const keep = () => {
      const [a, b] = [Number(first.value), Number(last.value)];
      done([Math.min(a, b), Math.max(a, b) + 1]);
    };
    return el('div', { class: 'parallel-range' }, 'keep', first, 'to', last, el('button', { type: 'button', onclick: keep }, 'keep'),
      range ? el('button', { type: 'button', onclick: () => done(null) }, 'all') : '');
  }
  const field = (label, v) => el('input',
    { type: 'text', inputmode: 'decimal', 'aria-label': label, value: String(Number(v.toPrecision(4))) });
  const [low, high] = range ?? axis.scale.domain;
  const [from, to] = [field('from', low), field('to', high)];
  const keep = () => {
    const ends = [Number(from.value), Number(to.value)].sort((a, b) => a - b);
    if (ends.every(Number.isFinite)) done(ends);
  };
  for (const input of [from, to]) input.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    keep();
  });
  return el('div', { class: 'parallel-range' }, from, 'to', to, el('button', { type: 'button', onclick: keep }, 'keep'),
    range ? el('button', { type: 'button', onclick: () => done(null) }, 'all') : '');
}
