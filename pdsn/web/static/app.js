// The page: which part of it is shown, and what the server says of itself.

import * as api from "./api.js";
import * as camera from "./camera.js";
import { count, find, say } from "./dom.js";
import * as people from "./people.js";
import * as questions from "./questions.js";
import * as recognise from "./recognise.js";

const VIEWS = ["recognise", "people", "questions"];

async function refreshStatus() {
  const status = await api.status();
  find("people-count").textContent = status.people;
  find("question-count").textContent = status.questions;
  people.showTwoNames(status.two_names);
  find("drawn").hidden = !status.drawn;
  find("log-out").hidden = !status.login;
  const kept = status.keeps_crops ? "Of enrolled photos the faces are kept as pictures." : "Of enrolled photos no picture is kept, only numbers that they are compared by.";
  find("foot").textContent = `${count(status.people, "person", "people")} with ${count(status.photos, "photo", "photos")} enrolled. ${kept} pdsn ${status.version}, strategy ${status.strategy}.`;
  recognise.show(status);
}

/** After every change of people or questions: all that is shown follows; what is not is read when it is opened. */
async function changed() {
  const shown = (name) => !find(name).hidden;
  await Promise.all([refreshStatus(), shown("people-view") && people.refresh(), shown("questions-view") && questions.refresh()]);
}

async function route() {
  const [name, id] = location.hash.slice(1).split("/");
  const view = VIEWS.includes(name) ? name : VIEWS[0];
  for (const one of VIEWS) {
    find(`${one}-view`).hidden = one !== view;
    const tab = document.querySelector(`.tabs a[href="#${one}"]`);
    if (one === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  if (view !== "recognise") camera.close();
  const single = view === "people" && /^\d+$/.test(id ?? "");
  find("people-all").hidden = single;
  find("person").hidden = !single;
  try {
    if (single) {
      await people.showPerson(Number(id));
      find("person").querySelector("h2").focus();
    } else if (view === "people") await people.refresh();
    else if (view === "questions") await questions.refresh();
  } catch (error) {
    say(error.message);
    if (single) location.hash = "#people";
  }
}

for (const part of [recognise, people, questions]) part.start(changed);
document.addEventListener("people-changed", () => changed().catch((error) => say(error.message)));
find("log-out").addEventListener("click", async () => {
  await api.logOut();
  location.assign("/login");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address says which part is shown, and stays
  find("main").focus();
});
addEventListener("hashchange", route);
await route();
await changed().catch((error) => say(error.message));
document.documentElement.dataset.ready = "yes";
