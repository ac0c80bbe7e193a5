// Who is enrolled: the list, one person, and what can be changed.

import * as api from "./api.js";
import { count, find, initials, make, say, sure, when, working } from "./dom.js";
import { outcome } from "./enrolling.js";
import * as names from "./names.js";

const PAGE = 100;
const MOST = 1000;
const FEW = 8;

let changed = () => {};
let wanted = PAGE;
let asked = 0;

/** Enrol some files one after the other; a note for each goes into `place`. */
async function enrolAll(files, typed, place) {
  const name = await names.settled(typed);
  if (name === null) return false;
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
  return true;
}

function item(person) {
  const open = () => { location.hash = `#people/${person.id}`; };
  return make("li", {}, make("button", { type: "button", onclick: open },
    make("span.initials", { "aria-hidden": "true" }, initials(person.name)),
    make("span", {}, make("strong", {}, person.name), make("span.faint.small", {}, count(person.photos, "photo", "photos")))));
}

/** Read the list anew: the first page of the names that are searched for, and as many more as were asked for. */
export async function refresh() {
  const mine = ++asked;
  const search = find("search").value.trim();
  const page = await api.people({ search, count: wanted });
  if (mine !== asked) return;
  const shown = page.people.length;
  find("people").replaceChildren(...page.people.map(item));
  find("nobody").hidden = shown > 0;
  find("nobody").textContent = search ? "Nobody has such a name." : "Nobody is enrolled yet.";
  if (!search) find("search-row").hidden = page.total < FEW;
  find("more-row").hidden = shown === page.total;
  find("more-text").textContent = `${shown} of ${page.total}. ${wanted < MOST ? "" : "Search for a name to find the others."}`;
  find("more").hidden = wanted >= MOST;
}

/** Say who seems to be known under another name than the one that the server learnt. */
export function showTwoNames(found) {
  find("two-names").replaceChildren(...found.map(({ run, name }) => {
    const button = make("button", { type: "button" }, `Rename ${name} to ${run}`);
    button.addEventListener("click", () => working([button], async () => {
      const person = await names.called(name);
      if (person) await api.rename(person.id, run);
      else await changed(); // renamed or removed elsewhere: this note goes
    }));
    const text = `${name} looks like ${run}, one of the people whose photos this server learnt from. Under two names one person counts as two, and everybody has to be more alike to be named. If they are one person, give the same name:`;
    return make("div.note.stack", {}, make("p", {}, text), make("div.row", {}, button));
  }));
}

function photoItem(photo, name, follow) {
  const remove = make("button.danger", { type: "button", "aria-label": `Remove photo ${photo.source}` }, "Remove photo");
  remove.addEventListener("click", async () => {
    if (!(await sure("Remove this photo?", `${photo.source} of ${name}. With the last photo the person goes, too.`, "Remove photo"))) return;
    await working([remove], async () => {
      const done = await api.removePhoto(photo.id);
      say("The photo is removed.");
      await follow(done);
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
  const input = make("input", { type: "text", name: "name", value: person.name, required: true, maxlength: 200, autocomplete: "off" });
  const button = make("button", {}, "Rename");
  const submit = (event) => {
    event.preventDefault();
    working([button], async () => {
      const now = await api.rename(person.id, input.value);
      say(`Renamed to ${now.name}.`);
      await reload();
    });
  };
  return make("form.row.end", { onsubmit: submit }, make("label.field", {}, make("span", {}, "Name"), input), button);
}

function mergeForm(person) {
  const input = make("input", { type: "text", list: "names", name: "into", required: true, maxlength: 200, autocomplete: "off" });
  const button = make("button", {}, "Merge");
  const submit = (event) => {
    event.preventDefault();
    working([button], async () => {
      const into = await names.called(input.value);
      if (!into) throw new Error(`Nobody is called ${input.value.trim()}: give the name of somebody who is enrolled.`);
      if (into.id === person.id) throw new Error(`This is ${person.name}: give the other name of the same person.`);
      if (!(await sure("Are both one person?", `All photos of ${person.name} become photos of ${into.name}. This cannot be undone.`, "Merge"))) return;
      await api.merge(person.id, into.id);
      location.hash = `#people/${into.id}`;
      say(`${person.name} and ${into.name} are one person now.`);
    });
  };
  names.field(input);
  return make("form.row.end", { onsubmit: submit }, make("label.field", {}, make("span", {}, "The same person is enrolled also as"), input), button);
}

function moreForm(person, reload, follow) {
  const place = make("div.stack", { role: "status" });
  place.addEventListener("photo-removed", (event) => follow(event.detail, place).catch((error) => say(error.message)));
  const input = make("input", { type: "file", accept: "image/*", multiple: true, required: true });
  const button = make("button", {}, "Enrol");
  const submit = (event) => {
    event.preventDefault();
    working([button], async () => {
      await enrolAll([...input.files], person.name, place);
      await reload(place);
    });
  };
  return make("form.stack", { onsubmit: submit }, make("div.row.end", {}, make("label.field", {}, make("span", {}, `More photos of ${person.name}`), input), button), place);
}

/** Show one person; `outcomes` is what is to be said of photos that were just enrolled. */
export async function showPerson(id, outcomes) {
  const place = find("person");
  const person = await api.person(id);
  const reload = (notes) => showPerson(id, notes);
  const follow = async (removed, notes) => {
    if (removed.person) location.hash = "#people";
    else await reload(notes);
  };
  const remove = make("button.danger", { type: "button" }, `Remove ${person.name}`);
  remove.addEventListener("click", async () => {
    const photos = count(person.photos.length, "photo", "photos");
    if (!(await sure(`Remove ${person.name}?`, `With ${photos}, and every trace. This cannot be undone.`, "Remove"))) return;
    await working([remove], async () => {
      await api.remove(id);
      say(`${person.name} is removed.`);
      location.hash = "#people";
    });
  });
  const parts = [
    make("p", {}, make("a", { href: "#people" }, "← All people")),
    make("div.row", {}, make("span.initials", { "aria-hidden": "true" }, initials(person.name)),
      make("div", {}, make("h2", { tabindex: -1 }, person.name), make("p.faint", {}, count(person.photos.length, "photo", "photos")))),
    !person.photos.some((photo) => photo.picture) && make("p.faint.small", {}, "No pictures of these photos are kept: only their names tell them apart. A server that is started with --keep-crops keeps the faces of photos that are enrolled from then on."),
    make("ul.album", {}, person.photos.map((photo) => photoItem(photo, person.name, follow))),
    make("div.card.stack", {}, moreForm(person, reload, follow), renameForm(person, reload), mergeForm(person), make("div.row", {}, remove)),
  ];
  place.replaceChildren(...parts.filter(Boolean));
  if (outcomes) place.querySelector(".card [role=status]").append(...outcomes.childNodes);
}

export function start(onchange) {
  changed = onchange;
  const search = () => {
    wanted = PAGE;
    refresh().catch((error) => say(error.message));
  };
  find("search").addEventListener("input", names.paused(search));
  find("more").addEventListener("click", () => {
    wanted = Math.min(wanted + PAGE, MOST);
    working([find("more")], refresh);
  });
  const form = find("enrol");
  names.field(form.elements.name, find("enrol-hint"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const files = [...form.elements.photos.files];
    working([form.querySelector("button")], async () => {
      if (!(await enrolAll(files, form.elements.name.value, find("enrol-outcome")))) return;
      form.reset();
      find("enrol-hint").textContent = "";
    });
  });
}
