// One face of an answer: who it is, how sure that is, what is covered, and what can be done about it.

import * as api from "./api.js";
import { cosine, make, working } from "./dom.js";
import { nameForm, outcome } from "./enrolling.js";

const SVG = "http://www.w3.org/2000/svg";

function shape(tag, about) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(about)) node.setAttribute(key, value);
  return node;
}

/** A bar for the cosine, with a line at the threshold. */
export function bar(value, limit, known) {
  const place = (number) => 200 * Math.min(Math.max(number, 0), 1);
  const drawing = shape("svg", { viewBox: "0 0 200 14", class: "bar", "aria-hidden": "true", preserveAspectRatio: "none" });
  drawing.append(
    shape("rect", { x: 0, y: 3, width: 200, height: 8, rx: 2, class: "ground" }),
    shape("rect", { x: 0, y: 3, width: place(value), height: 8, rx: 2, class: known ? "value good" : "value" }),
    shape("line", { x1: place(limit), x2: place(limit), y1: 0, y2: 14, class: "limit" }),
  );
  return drawing;
}

/** A PNG in base64, drawn. */
function drawn(picture, text) {
  const canvas = make("canvas", { role: "img", "aria-label": text });
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  createImageBitmap(new Blob([bytes], { type: "image/png" })).then((bitmap) => {
    [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
  });
  return canvas;
}

/** The sentence that tells how like somebody a face is, and how like it has to be. */
export const likeness = (name, value, limit) => `Nearest: ${name}, likeness ${cosine(value)}. Named above ${cosine(limit)} (the line).`;

/** The kept face of the nearest photo. */
export function nearestPicture(photo, name) {
  const about = { src: api.photoPicture(photo), alt: `The enrolled photo of ${name} that is nearest` };
  return make("figure", {}, make("img", about), make("figcaption", {}, `Enrolled: ${name}`));
}

function badge(face) {
  if (face.person === null) return face.near && make("span.badge.warn", {}, "nearly recognised");
  return face.near ? make("span.badge.warn", {}, "only just recognised") : make("span.badge.good", {}, "recognised");
}

/** The sentence that tells how near the nearest person is. */
function measured(face) {
  const near = face.nearest[0];
  if (face.cosine === null || !near) return "Nobody is enrolled to compare with.";
  return likeness(near.name, face.cosine, face.threshold);
}

/** A list item for a face of a photo; `again` has the photo looked at anew. */
export function faceItem(file, face, again) {
  const ask = make("div.ask");
  const enrol = async (name, poor = false) => {
    const done = await api.enrol(file, { name, face: face.number, accept_poor: poor });
    if (done.outcome === "added") {
      await again(face.number, outcome(done, name));
    } else {
      ask.querySelector(".note")?.remove();
      ask.append(outcome(done, name, () => enrol(name, true)));
    }
  };
  const suggested = face.person ?? (face.near ? face.nearest[0] : null);
  if (suggested) {
    const yes = face.person ? `Yes, enrol this photo of ${suggested.name} too` : `Yes, it is ${suggested.name}`;
    const button = make("button", { type: "button" }, yes);
    button.addEventListener("click", () => working([button], () => enrol(suggested.name)));
    if (!face.person) ask.append(make("p", {}, `Perhaps ${suggested.name}?`));
    ask.append(make("div.row", {}, button));
    ask.append(make("details", {}, make("summary", {}, "It is somebody else"), nameForm("Who is it?", "Enrol this face", enrol)));
  } else {
    ask.append(nameForm("Who is it? A name enrols this face.", "Enrol this face", enrol));
  }
  const near = face.nearest[0];
  const name = face.person ? face.person.name : "Unknown";
  const pictures = make("div.pictures", {},
    face.picture && make("figure", {}, drawn(face.picture, `Face ${face.number}${face.covered.length ? ", covered parts tinted" : ""}`), make("figcaption", {}, "This photo")),
    near?.picture && nearestPicture(near.photo, near.name));
  const covered = face.covered.length
    ? make("p.small", {}, make("span.tinted", {}, "Covered (tinted): "), face.covered.join(", "))
    : make("p.small.faint", {}, face.cosine === null ? "" : "No part counts as covered.");
  const about = make("div", {},
    make("p.who", {}, make("strong", {}, `${face.number}. ${name}`), badge(face)),
    face.cosine !== null && bar(face.cosine, face.threshold, face.person !== null),
    make("p.small", {}, measured(face)), covered);
  return make("li.face", { "data-face": face.number, "aria-label": `Face ${face.number}: ${name}` }, pictures, about, ask);
}
