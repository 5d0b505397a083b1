// A list of which only the visible rows are in the document: 100,000 entries cost as much as 40.

const MARGIN = 8; // rows beyond each edge

export class Rows {
  #box; #space; #entries = []; #height; #render; #choose; #selected = -1; #first = -1; #pending = false;
  #follows = true; #shown = new Map();

  /** `box` scrolls; `render(entry)` returns the element of a row; `choose(entry)`: it is selected. */
  constructor(box, render, choose) {
    this.#box = box;
    this.#render = render;
    this.#choose = choose;
    this.#space = document.createElement('div');
    this.#space.className = 'space';
    this.#space.setAttribute('role', 'presentation');
    box.append(this.#space);
    box.addEventListener('scroll', () => this.#onScroll(), { passive: true });
    box.addEventListener('keydown', (event) => this.#onKey(event));
    box.addEventListener('click', (event) => {
      const row = event.target.closest('[data-index]');
      if (row) this.select(Number(row.dataset.index));
    });
    new ResizeObserver(() => this.update()).observe(box);
    this.#measure();
    matchMedia('(pointer: coarse)').addEventListener('change', () => { this.#measure(); this.update(); });
  }

  #measure() {
    this.#height = parseFloat(getComputedStyle(this.#box).getPropertyValue('--row')) || 30;
    for (const row of this.#shown.values()) row.remove();
    this.#shown.clear();
  }

  get entries() { return this.#entries; }

  get follows() { return this.#follows; }

  get selected() { return this.#entries[this.#selected]; }

  /** The list has changed at its end, or (`dropped`) has lost so many at its beginning. */
  changed(dropped = 0) {
    if (dropped > 0) {
      for (const row of this.#shown.values()) row.remove();
      this.#shown.clear();
      this.#selected = this.#selected < dropped ? -1 : this.#selected - dropped;
      if (!this.#follows) this.#box.scrollTop -= dropped * this.#height;
    }
    this.update();
  }

  /** Shows other entries. */
  reset(entries) {
    for (const row of this.#shown.values()) row.remove();
    this.#shown.clear();
    this.#selected = -1;
    this.#entries = entries;
    this.update();
  }

  update() {
    if (this.#pending) return;
    this.#pending = true;
    requestAnimationFrame(() => {
      this.#pending = false;
      this.#draw();
    });
  }

  toEnd() {
    this.#follows = true;
    this.update();
  }

  select(index, scrolls = false) {
    if (index < 0 || index >= this.#entries.length) return;
    const before = this.#shown.get(this.#selected);
    before?.setAttribute('aria-selected', 'false');
    this.#selected = index;
    this.#shown.get(index)?.setAttribute('aria-selected', 'true');
    if (scrolls) this.#reveal(index);
    this.#choose(this.#entries[index]);
    this.#draw();
  }

  #reveal(index) {
    const top = index * this.#height, box = this.#box;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + this.#height > box.scrollTop + box.clientHeight)
      box.scrollTop = top + this.#height - box.clientHeight;
  }

  #onScroll() {
    const box = this.#box;
    this.#follows = box.scrollTop + box.clientHeight >= box.scrollHeight - this.#height;
    this.update();
  }

  #onKey(event) {
    const page = Math.max(1, Math.floor(this.#box.clientHeight / this.#height) - 1);
    const last = this.#entries.length - 1;
    const from = this.#selected < 0 ? last + 1 : this.#selected;
    const goal = { ArrowUp: from - 1, ArrowDown: from + 1, PageUp: from - page, PageDown: from + page,
      Home: 0, End: last }[event.key];
    if (goal === undefined || last < 0) return;
    event.preventDefault();
    this.select(Math.min(last, Math.max(0, goal)), true);
  }

  #draw() {
    const box = this.#box, height = this.#height, count = this.#entries.length;
    this.#space.style.height = `${count * height}px`;
    if (this.#follows) box.scrollTop = count * height;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - MARGIN);
    const end = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / height) + MARGIN);
    for (const [index, row] of this.#shown) {
      if (index >= first && index < end) continue;
      row.remove();
      this.#shown.delete(index);
    }
    let behind = null;
    for (let index = end - 1; index >= first; index--) {
      let row = this.#shown.get(index);
      if (!row) {
        row = this.#render(this.#entries[index]);
        row.dataset.index = index;
        row.id = `row-${index}`;
        row.setAttribute('role', 'option');
        row.setAttribute('aria-posinset', index + 1);
        row.setAttribute('aria-selected', index === this.#selected);
        row.style.transform = `translateY(${index * height}px)`;
        this.#shown.set(index, row);
        this.#space.insertBefore(row, behind);
      }
      row.setAttribute('aria-setsize', count);
      behind = row;
    }
    if (this.#shown.has(this.#selected)) box.setAttribute('aria-activedescendant', `row-${this.#selected}`);
    else box.removeAttribute('aria-activedescendant');
  }
}
