// JSON as a tree that folds, made of elements whose text is never markup.

const MAX_MEMBERS = 500; // of one object or array

const leaf = (value) => {
  const span = document.createElement('span');
  span.className = value === null ? 'null' : typeof value;
  span.textContent = JSON.stringify(value);
  return span;
};

const branch = (value, depth) => {
  const details = document.createElement('details');
  const summary = document.createElement('summary');
  const list = document.createElement('ul');
  const entries = Object.entries(value);
  const many = `${entries.length} ${Array.isArray(value) ? 'items' : 'members'}`;
  summary.textContent = Array.isArray(value) ? `[ ${many} ]` : `{ ${many} }`;
  const fill = () => {
    if (list.childElementCount) return;
    for (const [name, member] of entries.slice(0, MAX_MEMBERS)) {
      const item = document.createElement('li');
      const key = document.createElement('span');
      key.className = 'key';
      key.textContent = `${name}: `;
      item.append(key, tree(member, depth + 1));
      list.append(item);
    }
    if (entries.length > MAX_MEMBERS) {
      const item = document.createElement('li');
      item.textContent = `… ${entries.length - MAX_MEMBERS} more`;
      list.append(item);
    }
  };
  details.append(summary, list);
  details.addEventListener('toggle', () => details.open && fill());
  if (depth === 0) {
    details.open = true;
    fill();
  }
  return details;
};

/** An element that shows a value that JSON.parse has returned. */
export const tree = (value, depth = 0) =>
  value !== null && typeof value === 'object' ? branch(value, depth) : leaf(value);
