// Making and changing elements. Text goes in as text nodes alone: what a rig, a pool or a log says is never markup.

// h("button.primary", {onclick, disabled: true, "data-action": "stop"}, "Stop", icon)
export function h(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const el = document.createElement(name);
  if (classes.length) el.className = classes.join(" ");
  set(el, props);
  add(el, children);
  return el;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, props, ...children) {
  const [name, ...classes] = tag.split(".");
  const el = document.createElementNS(SVG, name);
  if (classes.length) el.setAttribute("class", classes.join(" "));
  for (const [key, value] of Object.entries(props ?? {})) if (value != null) el.setAttribute(key, value);
  add(el, children);
  return el;
}

// One of the drawings in index.html.
export function icon(name) {
  return svg("svg.icon", { "aria-hidden": "true" }, svg("use", { href: `#i-${name}` }));
}

export function set(el, props) {
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) {
      if (value === false && key in el) el[key] = false;
      else el.removeAttribute(key);
    } else if (typeof value === "function" || key === "value" || key === "checked" || key === "indeterminate") {
      el[key] = value;
    } else {
      el.setAttribute(key, value === true ? "" : value);
    }
  }
  return el;
}

function add(el, children) {
  for (const child of children.flat(3)) {
    if (child !== null && child !== undefined && child !== false) el.append(child);
  }
}

// Writes only what differs, so that a selection, a screen reader and the layout are left alone.
export function put(el, text) {
  if (el.firstChild?.nodeType === Node.TEXT_NODE && !el.firstChild.nextSibling) {
    if (el.firstChild.data !== text) el.firstChild.data = text;
  } else if (el.textContent !== text || el.firstElementChild) {
    el.textContent = text;
  }
  return el;
}

export function attr(el, name, value) {
  if (value === null || value === undefined || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
  } else if (el.getAttribute(name) !== String(value)) {
    el.setAttribute(name, value);
  }
}

export function cls(el, name, on) {
  if (el.classList.contains(name) !== Boolean(on)) el.classList.toggle(name, Boolean(on));
}

export function show(el, on) {
  if (el.hidden === Boolean(on)) el.hidden = !on;
}

// Brings the children of `parent` in line with `items`: makes, updates, moves and removes only where needed.
export function keyed(parent, items, key, make, update) {
  const there = new Map();
  for (const el of parent.children) there.set(el.dataset.key, el);
  let before = parent.firstElementChild;
  for (const item of items) {
    const id = String(key(item));
    let el = there.get(id);
    if (el) {
      there.delete(id);
    } else {
      el = make(item);
      el.dataset.key = id;
    }
    if (el === before) before = before.nextElementSibling;
    else parent.insertBefore(el, before);
    update?.(el, item);
  }
  for (const el of there.values()) el.remove();
}

// Names come from other machines: marks that turn the writing direction must not reach the text beside them.
export const name = (text, tag = "bdi") => h(tag, { class: "name" }, text);

export function button(label, action, onclick, props) {
  return h("button", { type: "button", "data-action": action, onclick, ...props }, label);
}

let ids = 0;
export const freshId = (stem) => `${stem}-${++ids}`;

// Copies `text`; the button says for a moment that it did.
export function copyButton(text, what) {
  const el = button("Copy", "copy", async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      put(el, "Copied");
    } catch {
      put(el, "Select it and press Ctrl+C");
    }
    setTimeout(() => put(el, "Copy"), 2000);
  }, { class: "small quiet", "aria-label": `Copy ${what}` });
  return el;
}

// A figure or a table's wide content for a file of the reader's.
export function download(fileName, text, type = "text/plain") {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: fileName.replace(/[^\w.-]+/g, "_") });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
