// The queue: faces that wait for an answer.

import * as api from "./api.js";
import { count, find, make, say, sure, when, working } from "./dom.js";
import { nameForm, outcome } from "./enrolling.js";
import { bar, likeness, nearestPicture } from "./faces.js";

let changed = () => {};
const shown = new Map();

function item(question) {
  const place = make("div", { role: "status" });
  const answered = async (name, poor = false) => {
    const done = await api.confirm(question.id, { name, accept_poor: poor });
    const whom = name ?? question.person.name;
    if (done.outcome === "refused") {
      place.replaceChildren(outcome(done, whom, () => answered(name, true)));
      return;
    }
    const note = outcome(done, whom);
    if (done.doubts.length) find("questions-outcome").prepend(make("div.stack", {}, make("p.faint.small", {}, question.source), note));
    else say(note.textContent);
    if (done.outcome === "known") await changed(); // nobody was enrolled, but the question is closed
  };
  const title = question.person ? `Is this ${question.person.name}?` : "Who is this?";
  const no = make("button", { type: "button" }, question.person ? "No, and close" : "Close without a name");
  no.addEventListener("click", () => working([no], async () => {
    await api.reject(question.id);
    say("The question is closed, and its picture deleted.");
    await changed();
  }));
  const pictures = make("div.pictures", {},
    make("figure", {}, make("img", { src: api.questionPicture(question.id), alt: "The face in question" }), make("figcaption", {}, "In question")),
    question.person && question.photo && nearestPicture(question.photo, question.person.name));
  const facts = [
    question.cosine !== null && bar(question.cosine, question.threshold, question.cosine > question.threshold),
    question.cosine !== null && make("p.small", {}, likeness(question.person?.name ?? "somebody who is enrolled", question.cosine, question.threshold)),
    question.covered.length > 0 && make("p.small", {}, `Covered: ${question.covered.join(", ")}`),
    make("p.small.faint", {}, `${question.source}, ${when(question.asked)}`),
  ];
  const naming = nameForm(question.person ? "Who is it?" : "Name", "Enrol this face", (name) => answered(name));
  let answers;
  if (question.person) {
    const yes = make("button.main", { type: "button" }, `Yes, it is ${question.person.name}`);
    yes.addEventListener("click", () => working([yes], () => answered(null)));
    answers = [make("div.row", {}, yes, no), make("details", {}, make("summary", {}, "It is somebody else"), naming)];
  } else {
    answers = [naming, make("div.row", {}, no)];
  }
  return make("li.card", {}, make("h3", { tabindex: -1 }, title), pictures, ...facts, ...answers, place);
}

/** Read the queue anew. What is still open stays as it is, with what was typed into it. */
export async function refresh() {
  const found = await api.questions();
  const list = find("questions");
  const open = new Set(found.map((question) => question.id));
  for (const [id, one] of shown) {
    if (open.has(id)) continue;
    const next = one.node.nextElementSibling ?? one.node.previousElementSibling;
    const here = one.node.contains(document.activeElement);
    one.node.remove();
    shown.delete(id);
    if (here) (next?.querySelector("h3") ?? find("questions-title")).focus();
  }
  for (const question of found) {
    const said = JSON.stringify(question);
    const one = shown.get(question.id);
    if (one?.said === said) continue;
    const node = item(question);
    if (one) one.node.replaceWith(node);
    else list.append(node);
    shown.set(question.id, { node, said });
  }
  find("no-questions").hidden = found.length > 0;
  find("close-all").hidden = found.length < 2;
}

export function start(onchange) {
  changed = onchange;
  addEventListener("hashchange", () => find("questions-outcome").replaceChildren());
  const button = find("close-all");
  button.addEventListener("click", async () => {
    const ids = [...shown.keys()];
    const text = "Their pictures are deleted, and the same faces are not asked about again.";
    if (!(await sure(`Close ${count(ids.length, "question", "questions")} without a name?`, text, "Close all"))) return;
    await working([button], async () => {
      for (const id of ids) await api.reject(id);
    });
    await changed();
    find("questions-title").focus();
  });
}
