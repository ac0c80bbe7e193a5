// Enrolling, wherever it is offered: the form for a name, and what became of a photo.

import { make, working } from "./dom.js";

/** What became of an enrolment, as a note; `again` enrols a refused photo in spite of its quality. */
export function outcome(done, name, again) {
  if (done.outcome === "added") {
    const warnings = done.warnings.length ? ` To know of this photo: ${done.warnings.join("; ")}.` : "";
    return make("p.note.good", {}, `Enrolled as ${done.person.name}.${warnings}`);
  }
  if (done.outcome === "known") return make("p.note", {}, `Nothing to do: this photo is ${done.reason.replace(/ \(.*\)$/, "")}.`);
  const button = make("button", { type: "button", onclick: () => working([button], again) }, "Enrol it anyway");
  return make("div.note.bad.stack", {}, make("p", {}, `Not enrolled as ${name}: ${done.reason}. Such a photo makes mistakes more likely.`), button);
}

/** A form that asks for a name. */
export function nameForm(label, action, onname) {
  const input = make("input", { type: "text", list: "names", required: true, maxlength: 200, autocomplete: "off" });
  const button = make("button.main", {}, action);
  const submit = (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name) working([button], () => onname(name));
  };
  return make("form.row.end", { onsubmit: submit }, make("label.field", {}, make("span", {}, label), input), button);
}
