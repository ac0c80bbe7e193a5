// The queue: faces that wait for an answer.

import * as api from "./api.js";
import { cosine, find, make, say, when, working } from "./dom.js";
import { nameForm, outcome } from "./enrolling.js";
import { bar, nearestPicture } from "./faces.js";

let changed = () => {};

function item(question) {
  const place = make("div");
  const answered = async (name, poor = false) => {
    const done = await api.confirm(question.id, { name, accept_poor: poor });
    const whom = name ?? question.person.name;
    if (done.outcome === "refused") {
      place.replaceChildren(outcome(done, whom, () => answered(name, true)));
      return;
    }
    say(done.outcome === "added" ? `Enrolled as ${done.person.name}.` : `This face was enrolled already.`);
    await changed();
  };
  const title = question.person ? `Is this ${question.person.name}?` : "Who is this?";
  const no = make("button", { type: "button" }, question.person ? "No" : "Close without a name");
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
    question.cosine !== null && make("p.small", {}, `Cosine ${cosine(question.cosine)} to the nearest person, named above ${cosine(question.threshold)} (the line).`),
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
  return make("li.card", {}, make("h3", {}, title), pictures, ...facts, ...answers, place);
}

/** Read the queue anew. */
export async function refresh() {
  const found = await api.questions();
  find("questions").replaceChildren(...found.map(item));
  find("no-questions").hidden = found.length > 0;
}

export function start(onchange) {
  changed = onchange;
}
