// Small tools: elements, messages, the question "are you sure?".

/** An element with attributes, properties that begin with "on", and children: nodes or texts. */
export function make(tag, about = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(about)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const find = (id) => document.getElementById(id);

let hiding;

/** A line that screen readers read out, of what others see anyway. */
export function announce(text) {
  find("said").textContent = text;
}

/** A line at the foot of the window, read out by screen readers; "" takes it away. */
export function say(text) {
  const toast = find("toast");
  toast.textContent = text;
  clearTimeout(hiding);
  hiding = setTimeout(() => { toast.textContent = ""; }, 6000);
}

/** Whether the user says yes; `undoable` if that can be taken back. */
export function sure(title, text, yes, undoable = false) {
  const dialog = find("dialog");
  find("dialog-title").textContent = title;
  find("dialog-text").textContent = text;
  find("dialog-yes").textContent = yes;
  find("dialog-yes").className = undoable ? "main" : "danger";
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** What goes wrong is said below the form or the row of the button, and stays there until the next try. */
function complain(button, text) {
  const place = button.closest("form, .row") ?? button;
  if (place.isConnected) place.after(make("p.note.bad.problem", { role: "alert" }, text));
  else say(text);
}

/** Run something once for each click or submit; meanwhile its buttons rest, and what goes wrong is said. */
export async function working(buttons, task) {
  const place = buttons[0].closest("form, .row") ?? buttons[0];
  if (place.nextElementSibling?.matches(".problem")) place.nextElementSibling.remove();
  for (const one of buttons) { one.disabled = true; one.classList.add("working"); }
  try {
    return await task();
  } catch (error) {
    complain(buttons[0], error.message);
    return undefined;
  } finally {
    for (const one of buttons) { one.disabled = false; one.classList.remove("working"); }
  }
}

export const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

export const initials = (name) =>
  name.split(/[\s_.-]+/).filter(Boolean).map((word) => [...word][0]).slice(0, 2).join("").toUpperCase();

/** Two digits after the point, as likenesses are told. */
export const cosine = (value) => value.toFixed(2);

/** "2026-03-01T10:20:30+00:00" as this computer's user writes times. */
export const when = (time) => new Date(time).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
