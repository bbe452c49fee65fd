// Dialogs: the platform's own <dialog>, which keeps the keyboard inside and closes with Escape.
import { fieldErrors, words } from "./api.js";
import { button, freshId, h, name, put } from "./dom.js";

// Opens one; `fill(dialog, close)` gives its content. The promise has what it was closed with, or null.
export function open(kind, title, fill, wide = false) {
  return new Promise((resolve) => {
    const heading = h("h2", { id: freshId("title") }, title);
    const dialog = h("dialog", { "data-dialog": kind, "aria-labelledby": heading.id, class: wide ? "wide" : null });
    let result = null;
    const close = (value = null) => {
      result = value;
      dialog.close();
    };
    const before = document.activeElement;
    dialog.append(heading, ...[fill(close, dialog)].flat());
    dialog.addEventListener("close", () => {
      // What was said inside it is still to be read.
      document.getElementById("toasts").append(...dialog.querySelectorAll(":scope > .toast"));
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

const withNames = (parts) => [parts].flat().map((p) => (p?.name === undefined ? p : name(p.name, "strong")));

// Asks before something that cannot be taken back. `text` is a list of paragraphs, and each of those a text or a list
// of texts and {name} parts, which are shown as names.
export function confirm(title, text, action) {
  return open("confirm", title, (close) => [
    ...text.map((paragraph) => h("p", null, ...withNames(paragraph))),
    h("div.actions", null,
      button("Cancel", "cancel", () => close(false)),
      button(action, "confirm", () => close(true), { class: "danger" })),
  ]).then(Boolean);
}

// A form: fields are {name, label, hint, type, value, options, required, rows, min, max, placeholder}. `send(values)`
// does the work; what it throws is shown at the fields that it names.
export function form(kind, title, { intro, fields, action, send, wide }) {
  return open(kind, title, (close) => {
    const made = fields.map(field);
    const general = h("p.trouble", { role: "alert", hidden: true, "data-error": "" });
    const submit = h("button.primary", { "data-action": "submit" }, action);
    const el = h("form", { novalidate: true, "data-form": kind },
      intro ? h("p.soft", null, ...[intro].flat()) : null, h("div.fields", null, ...made.map((f) => f.el)), general,
      h("div.actions", null, button("Cancel", "cancel", () => close()), submit));
    el.addEventListener("submit", async (event) => {
      event.preventDefault();
      submit.disabled = true;
      made.forEach((f) => f.fail(""));
      general.hidden = true;
      try {
        close({ done: await send(Object.fromEntries(made.map((f) => [f.name, f.read()]))) });
      } catch (error) {
        showErrors(error, made, general);
      } finally {
        submit.disabled = false;
      }
    });
    return el;
  }, wide);
}

function showErrors(error, fields, general) {
  const left = [];
  let first = null;
  for (const [path, text] of fieldErrors(error)) {
    const found = fields.find((f) => path && (f.path === path || path.startsWith(`${f.path}[`)));
    if (found) {
      found.fail(text);
      first ??= found;
    } else {
      left.push(path ? `${path}: ${text}` : text);
    }
  }
  if (left.length) {
    put(general, words({ message: left.join("; "), hint: error.hint }));
    general.hidden = false;
  }
  first?.focus();
}

function field(spec) {
  const id = freshId("field");
  const hint = spec.hint ? h("p.hint", { id: `${id}-hint` }, ...[spec.hint].flat()) : null;
  const error = h("p.field-error", { id: `${id}-error`, "data-error": spec.name, hidden: true });
  const input = control(spec, id, [hint && hint.id, error.id].filter(Boolean).join(" "));
  const label = h("label", { for: id }, spec.label, spec.required ? h("span.soft", null, " (required)") : null);
  const isCheck = spec.type === "checkbox";
  return {
    name: spec.name,
    path: spec.path ?? spec.name,
    el: h(isCheck ? "div.field.check" : "div.field", spec.half ? { class: "field half" } : null,
      ...(isCheck ? [input, label] : [label, input]), hint, error),
    read: () => (isCheck ? input.checked : input.value.trim()),
    focus: () => input.focus(),
    fail(text) {
      put(error, text);
      error.hidden = !text;
      if (text) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    },
  };
}

function control(spec, id, described) {
  const common = { id, name: spec.name, "aria-describedby": described, autocomplete: "off", spellcheck: "false" };
  if (spec.options) {
    return h("select", common, ...spec.options.map(([value, text]) =>
      h("option", { value, selected: value === spec.value }, text)));
  }
  if (spec.rows) return h("textarea", { ...common, rows: spec.rows, value: spec.value ?? "" });
  const { type = "text", placeholder, min, max, inputmode } = spec;
  const given = type === "checkbox" ? { checked: Boolean(spec.value) } : { value: spec.value ?? "" };
  return h("input", { ...common, type, placeholder, min, max, inputmode, required: spec.required, ...given });
}
