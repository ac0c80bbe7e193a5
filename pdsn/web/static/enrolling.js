// Enrolling, wherever it is offered: the form for a name, and what became of a photo.

import * as api from "./api.js";
import { make, working } from "./dom.js";
import * as names from "./names.js";

/** A photo that was enrolled under a name that it speaks against, with a way to take it back. */
function doubted(done, enrolled) {
  const button = make("button", { type: "button" }, "Remove this photo again");
  const note = make("div.note.stack", {}, make("p", {}, `${enrolled} But ${done.doubts.join("; ")}.`), make("div.row", {}, button));
  button.addEventListener("click", () => working([button], async () => {
    const removed = await api.removePhoto(done.photo);
    note.replaceChildren(make("p", {}, `The photo is removed, and not enrolled as ${done.person.name}.`));
    note.dispatchEvent(new CustomEvent("photo-removed", { bubbles: true, detail: removed }));
  }));
  return note;
}

/** What became of an enrolment, as a note; `again` enrols a refused photo in spite of its quality. */
export function outcome(done, name, again) {
  if (done.outcome === "added") {
    const notes = done.warnings.length ? ` Note: ${done.warnings.join("; ")}.` : "";
    const enrolled = `Enrolled as ${done.person.name}.${notes}`;
    return done.doubts.length ? doubted(done, enrolled) : make("p.note.good", {}, enrolled);
  }
  if (done.outcome === "known") {
    return make("p.note", {}, `Nothing to do: this photo is ${done.reason.replace(/ \([^()]*\)$/, "")}. If that name is wrong, remove the photo there first.`);
  }
  const button = make("button", { type: "button", onclick: () => working([button], again) }, "Enrol it anyway");
  return make("div.note.bad.stack", {}, make("p", {}, `Not enrolled as ${name}: ${done.reason}. Such a photo makes mistakes more likely: another one is better.`), button);
}

/** A form that asks for a name. */
export function nameForm(label, action, onname) {
  const input = make("input", { type: "text", list: "names", required: true, maxlength: 200, autocomplete: "off" });
  const button = make("button.main", {}, action);
  const hint = make("p.hint.small.faint");
  const submit = (event) => {
    event.preventDefault();
    if (!input.value.trim()) return;
    working([button], async () => {
      const name = await names.settled(input.value);
      if (name === null) input.focus();
      else await onname(name);
    });
  };
  names.field(input, hint);
  return make("form.row.end", { onsubmit: submit }, make("label.field", {}, make("span", {}, label), input), button, hint);
}
