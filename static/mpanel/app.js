// Small comforts over pages that work without them. Everything listens on the document, so what
// htmx swaps in later needs no set-up.
"use strict";

const announce = (text) => {
  const region = document.getElementById("announcer");
  region.textContent = "";
  setTimeout(() => (region.textContent = text), 50); // an empty region first, so repeats are read
};

// --- Toasts: Django messages in the page, `HX-Trigger: {"toast": {"text": …, "tone": …}}` later ---

const STAYS = 8000; // ms; warnings and errors stay until dismissed

const expire = (toast) => {
  if (!toast.matches(".tone-info, .tone-success")) return;
  const leave = () => (toast.matches(":hover, :focus-within") ? setTimeout(leave, STAYS) : toast.remove());
  setTimeout(leave, STAYS);
};

const toast = (text, tone = "info") => {
  const shown = [...document.querySelectorAll(".toast-text")];
  if (shown.some((line) => line.textContent === text)) return; // a poll that fails again
  const template = document.getElementById(`toast-${tone}`) ?? document.getElementById("toast-info");
  const item = template.content.firstElementChild.cloneNode(true);
  item.querySelector(".toast-text").textContent = text;
  document.getElementById("toasts").append(item);
  expire(item);
};

document.querySelectorAll(".toast").forEach(expire);
document.addEventListener("toast", ({ detail }) => toast(detail.text ?? detail.value, detail.tone));
document.addEventListener("htmx:sendError", () =>
  toast("The server cannot be reached. Your page may be out of date.", "warning"),
);
document.addEventListener("htmx:responseError", ({ detail }) => {
  if (detail.xhr.status === 422) return; // a form with its errors, which htmx swaps in
  if (detail.xhr.getResponseHeader("HX-Trigger")) return; // it brought its own sentence
  toast(`That did not work (${detail.xhr.status}). Please try again.`, "danger");
});

// --- Copy ---------------------------------------------------------------------------------------

const write = async (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Plain HTTP on another machine has no clipboard API; the old way still works there.
  const area = Object.assign(document.createElement("textarea"), { value: text, className: "sr-only" });
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("copying is not allowed");
};

const copy = async (button) => {
  try {
    await write(button.dataset.copy);
  } catch {
    toast("Copying is not allowed here. Select the text instead.", "warning");
    return;
  }
  announce("Copied");
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1600);
};

// --- Dialogs: <a href="…/delete" data-dialog> shows that page's [data-dialog-content] here ---------

const openDialog = async (link) => {
  const response = await fetch(link.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const content = page.querySelector("[data-dialog-content]");
  if (!response.ok || response.redirected || !content) {
    location.href = link.href;
    return;
  }
  const dialog = document.createElement("dialog");
  dialog.append(document.adoptNode(content));
  dialog.setAttribute("aria-labelledby", content.querySelector("h1, h2").id);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  htmx.process(dialog);
  dialog.showModal();
};

// --- Clicks -------------------------------------------------------------------------------------

const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
};

document.addEventListener("click", (event) => {
  const { target } = event;
  closeMenus(target.closest("details.menu"));

  const copyButton = target.closest("[data-copy]");
  if (copyButton) copy(copyButton);

  target.closest("[data-dismiss]")?.closest(".toast, .alert")?.remove();

  const dialog = target.closest("dialog");
  if (dialog && (target === dialog || target.closest("[data-dialog-close]"))) {
    event.preventDefault();
    dialog.close();
  }

  const link = target.closest("a[data-dialog]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    closeMenus();
    openDialog(link).catch(() => (location.href = link.href));
  }

  if (target.closest("[data-print]")) print();

  const step = target.closest("[data-step]");
  if (step) {
    const input = step.parentElement.querySelector("input");
    if (step.dataset.step === "up") input.stepUp();
    else input.stepDown();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  const reveal = target.closest("[data-reveal]");
  if (reveal) {
    const input = document.getElementById(reveal.dataset.reveal);
    input.type = input.type === "password" ? "text" : "password";
    reveal.setAttribute("aria-pressed", String(input.type === "text"));
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = event.target.closest("details.menu[open]");
  closeMenus();
  menu?.querySelector("summary").focus();
});

// --- Inputs -------------------------------------------------------------------------------------

document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-autosubmit]")) target.form.requestSubmit();
  if (target.matches("[data-select-all], [data-row]")) selectRows(target);
});

// <input data-filter="#table"> hides rows whose data-filter-text has not what is typed.
document.addEventListener("input", ({ target }) => {
  if (!target.matches("[data-filter]")) return;
  const wanted = target.value.trim().toLowerCase();
  const rows = document.querySelectorAll(`${target.dataset.filter} [data-filter-text]`);
  for (const row of rows) row.hidden = !row.dataset.filterText.includes(wanted);
});

const selectRows = (target) => {
  const all = target.form.querySelector("[data-select-all]");
  const rows = [...target.form.querySelectorAll("[data-row]")];
  if (target === all) rows.forEach((row) => (row.checked = all.checked));
  const chosen = rows.filter((row) => row.checked).length;
  if (all) {
    all.checked = chosen > 0 && chosen === rows.length;
    all.indeterminate = chosen > 0 && chosen < rows.length;
  }
  for (const tally of target.form.querySelectorAll("[data-selected]")) tally.textContent = chosen;
};

// A plain form is sent once; its button shows that it is on its way. One that answers with a file
// says data-download, since the page stays.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || "download" in form.dataset) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  keepTyped(form);
  event.submitter?.setAttribute("aria-busy", "true");
});

// Back from the browser's cache, the form may be sent again.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
  }
});

// --- A session that ended: what was typed waits in this tab until its page is back ----------------

const TYPED = "mpanel-typed";
const isTyped = (field) =>
  field.name &&
  !field.matches("[type=hidden], [type=password], [type=file], [data-secret], [autocomplete=one-time-code]") &&
  field.matches("input, textarea, select");

const keepTyped = (form) => {
  if (document.querySelector(".bare")) return; // signing in is no part of it
  const fields = [...form.elements].filter(isTyped).map((field) => [field.name, field.value, field.checked]);
  sessionStorage.setItem(TYPED, JSON.stringify({ page: location.pathname, action: form.action, fields }));
};

const bringBack = () => {
  if (document.querySelector(".bare")) return;
  const kept = JSON.parse(sessionStorage.getItem(TYPED) ?? "null");
  sessionStorage.removeItem(TYPED);
  if (!kept || kept.page !== location.pathname || !document.querySelector("[data-undone]")) return;
  const form = [...document.forms].find(({ method, action }) => method === "post" && action === kept.action);
  for (const [name, value, checked] of kept.fields) {
    const fields = [...(form?.elements ?? [])].filter((field) => field.name === name && isTyped(field));
    const choices = fields.filter((field) => field.matches("[type=checkbox], [type=radio]"));
    for (const field of choices) if (field.value === value) field.checked = checked;
    if (fields.length === 1 && !choices.length) fields[0].value = value;
  }
};
bringBack();

// --- A form that came back with errors: focus goes to the first, and it is read with its reason ----

document.querySelector("[aria-invalid='true'], form .alert[role='alert']")?.focus();

// --- Live parts: what a person has opened, ticked or copied stays when news is swapped in ---------

const KEPT = new Set(["open", "checked", "indeterminate", "data-copied", "data-sent", "aria-busy"]);
Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name) => !KEPT.has(name);

// Nobody looks: no polling.
document.addEventListener("htmx:beforeRequest", (event) => {
  const polls = event.detail.elt.getAttribute("hx-trigger")?.startsWith("every");
  if (polls && document.hidden) event.preventDefault();
});

// --- Seconds that run out: <p data-countdown="90">… <b data-countdown-left>90</b> …</p> -------------

for (const line of document.querySelectorAll("[data-countdown]")) {
  const end = performance.now() + 1000 * Number(line.dataset.countdown);
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000));
    line.querySelector("[data-countdown-left]").textContent = left;
    if (left > 0) return;
    clearInterval(timer);
    line.textContent = line.dataset.countdownOver;
    announce(line.textContent);
  }, 500);
}

// --- Logs stay at their end unless somebody has scrolled up --------------------------------------

const positions = new Map();
const logs = () => document.querySelectorAll("[data-autoscroll][id]");

const remember = () => {
  for (const log of logs()) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    positions.set(log.id, atEnd ? Infinity : log.scrollTop);
  }
};

const restore = () => {
  for (const log of logs()) log.scrollTop = Math.min(positions.get(log.id) ?? Infinity, log.scrollHeight);
};

document.addEventListener("htmx:beforeSwap", remember);
document.addEventListener("htmx:afterSettle", restore);
restore();
