// Who is enrolled: the list, one person, and what can be changed.

import * as api from "./api.js";
import { count, find, initials, make, say, sure, when, working } from "./dom.js";
import { outcome } from "./enrolling.js";

let changed = () => {};
let everybody = [];

/** Enrol some files one after the other; a note for each goes into `place`. */
async function enrolAll(files, name, place) {
  place.replaceChildren();
  for (const file of files) {
    const line = make("div.stack", {}, make("p.faint.small.working", {}, `${file.name} …`));
    place.append(line);
    const one = async (poor) => {
      let note;
      try {
        const done = await api.enrol(file, { name, accept_poor: poor });
        note = outcome(done, name, () => one(true));
      } catch (error) {
        note = make("p.note.bad", {}, error.message);
      }
      line.replaceChildren(make("p.faint.small", {}, file.name), note);
    };
    await one(false);
  }
  await changed();
}

function item(person) {
  const open = () => { location.hash = `#people/${person.id}`; };
  return make("li", {}, make("button", { type: "button", onclick: open },
    make("span.initials", { "aria-hidden": "true" }, initials(person.name)),
    make("span", {}, make("strong", {}, person.name), make("span.faint.small", {}, count(person.photos, "photo", "photos")))));
}

function list() {
  const wanted = find("search").value.trim().toLowerCase();
  const shown = everybody.filter((person) => person.name.toLowerCase().includes(wanted));
  find("people").replaceChildren(...shown.slice(0, 300).map(item));
  find("nobody").hidden = shown.length > 0;
  find("nobody").textContent = everybody.length ? "Nobody has such a name." : "Nobody is enrolled yet.";
}

/** Read the list anew. */
export async function refresh() {
  everybody = await api.people();
  find("search-row").hidden = everybody.length < 8;
  find("names").replaceChildren(...everybody.map((person) => make("option", { value: person.name })));
  list();
}

function photoItem(photo, name, reload) {
  const remove = make("button.danger", { type: "button" }, "Remove photo");
  remove.addEventListener("click", async () => {
    if (!(await sure("Remove this photo?", `${photo.source} of ${name}. With the last photo the person goes, too.`, "Remove photo"))) return;
    await working([remove], async () => {
      const done = await api.removePhoto(photo.id);
      say("The photo is removed.");
      await changed();
      if (done.person) location.hash = "#people";
      else await reload();
    });
  });
  const facts = [`face ${Math.round(photo.size)} px`, photo.covered.length ? `covered: ${photo.covered.join(", ")}` : ""];
  const notes = photo.notes.filter((note) => !note.startsWith("covered"));
  return make("li", {},
    photo.picture && make("img.picture", { src: api.photoPicture(photo.id), alt: `Enrolled face of ${name}, ${photo.source}` }),
    make("strong.small", {}, photo.source), make("span.faint.small", {}, `added ${when(photo.added)}`),
    make("span.faint.small", {}, facts.filter(Boolean).join(", ")),
    notes.length > 0 && make("span.badge.warn", {}, notes.join("; ")), make("div.row", {}, remove));
}

function renameForm(person, reload) {
  const input = make("input", { type: "text", value: person.name, required: true, maxlength: 200, autocomplete: "off" });
  const button = make("button", {}, "Rename");
  const submit = (event) => {
    event.preventDefault();
    working([button], async () => {
      const now = await api.rename(person.id, input.value);
      say(`Renamed to ${now.name}.`);
      await changed();
      await reload();
    });
  };
  return make("form.row.end", { onsubmit: submit }, make("label.field", {}, make("span", {}, "Name"), input), button);
}

function mergeForm(person) {
  const others = everybody.filter((other) => other.id !== person.id);
  if (!others.length) return null;
  const select = make("select", { required: true }, make("option", { value: "" }, "Choose…"), others.map((other) => make("option", { value: other.id }, other.name)));
  const button = make("button", {}, "Merge");
  const submit = async (event) => {
    event.preventDefault();
    const into = others.find((other) => String(other.id) === select.value);
    if (!(await sure("Are both one person?", `All photos of ${person.name} become photos of ${into.name}. This cannot be undone.`, "Merge"))) return;
    await working([button], async () => {
      await api.merge(person.id, into.id);
      say(`${person.name} and ${into.name} are one person now.`);
      await changed();
      location.hash = `#people/${into.id}`;
    });
  };
  return make("form.row.end", { onsubmit: submit }, make("label.field", {}, make("span", {}, "The same person as"), select), button);
}

function moreForm(person, reload) {
  const place = make("div.stack", { role: "status" });
  const input = make("input", { type: "file", accept: "image/*", multiple: true, required: true });
  const button = make("button", {}, "Enrol");
  const submit = (event) => {
    event.preventDefault();
    working([button], async () => {
      await enrolAll([...input.files], person.name, place);
      await reload(place);
    });
  };
  return make("form.stack", { onsubmit: submit }, make("div.row.end", {}, make("label.field", {}, make("span", {}, "More photos"), input), button), place);
}

/** Show one person; `outcomes` is what is to be said of photos that were just enrolled. */
export async function showPerson(id, outcomes) {
  const place = find("person");
  const person = await api.person(id);
  const reload = (notes) => showPerson(id, notes);
  const remove = make("button.danger", { type: "button" }, `Remove ${person.name}`);
  remove.addEventListener("click", async () => {
    const photos = count(person.photos.length, "photo", "photos");
    if (!(await sure(`Remove ${person.name}?`, `With ${photos}, and every trace. This cannot be undone.`, "Remove"))) return;
    await working([remove], async () => {
      await api.remove(id);
      say(`${person.name} is removed.`);
      await changed();
      location.hash = "#people";
    });
  });
  place.replaceChildren(
    make("p", {}, make("a", { href: "#people" }, "← All people")),
    make("div.row", {}, make("span.initials", { "aria-hidden": "true" }, initials(person.name)),
      make("div", {}, make("h2", { tabindex: -1 }, person.name), make("p.faint", {}, count(person.photos.length, "photo", "photos")))),
    make("ul.album", {}, person.photos.map((photo) => photoItem(photo, person.name, reload))),
    make("div.card.stack", {}, moreForm(person, reload), renameForm(person, reload), mergeForm(person), make("div.row", {}, remove)));
  if (outcomes) place.querySelector(".card [role=status]").append(...outcomes.childNodes);
}

export function start(onchange) {
  changed = onchange;
  find("search").addEventListener("input", list);
  const form = find("enrol");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const files = [...form.elements.photos.files];
    working([form.querySelector("button")], async () => {
      await enrolAll(files, form.elements.name.value.trim(), find("enrol-outcome"));
      form.reset();
    });
  });
}
