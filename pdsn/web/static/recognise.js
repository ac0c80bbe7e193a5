// Photos are dropped, chosen or taken; each gets a card with its faces.

import * as api from "./api.js";
import * as camera from "./camera.js";
import { announce, count, find, make, say, working } from "./dom.js";
import { faceItem } from "./faces.js";

const WIDEST = 1200;
const RATES = [0.1, 0.05, 0.02, 0.01, 0.005, 0.001];
const LARGEST = 20e6;

let changed = () => {};
const asked = [];

/** The photo with a numbered box around each face. */
async function draw(canvas, file, found) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch { // such as TIFF, which the server reads and browsers do not
    canvas.remove();
    return;
  }
  const scale = Math.min(1, WIDEST / bitmap.width);
  [canvas.width, canvas.height] = [Math.round(bitmap.width * scale), Math.round(bitmap.height * scale)];
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const unit = canvas.width / found.width;
  const thick = Math.max(2, canvas.width / 250);
  for (const face of found.faces) {
    const [left, top, right, bottom] = face.box.map((edge) => edge * unit);
    const letters = Math.max(13, Math.min((right - left) / 4, canvas.width / 22));
    pen.lineWidth = thick;
    pen.strokeStyle = face.person ? "#1a6b34" : "#a3251b";
    pen.setLineDash(face.person ? [] : [3 * thick, 2 * thick]);
    pen.strokeRect(left, top, right - left, bottom - top);
    pen.font = `600 ${letters}px system-ui, sans-serif`;
    const named = `${face.number} ${face.person?.name ?? ""}`.trim();
    const room = Math.min(1.5 * (right - left), canvas.width - left) - letters * 0.7;
    const text = pen.measureText(named).width < room ? named : String(face.number);
    const wide = pen.measureText(text).width + letters * 0.7;
    const high = Math.max(top - letters * 1.35, 0);
    pen.fillStyle = pen.strokeStyle;
    pen.fillRect(left - thick / 2, high, wide, letters * 1.35);
    pen.fillStyle = "#ffffff";
    pen.fillText(text, left + letters * 0.35 - thick / 2, high + letters * 1.03);
  }
}

/** "3 faces: Ann, Ben and 1 unknown". */
function summary(faces) {
  const who = faces.filter((face) => face.person).map((face) => face.person.name);
  const unknown = faces.length - who.length;
  if (unknown) who.push(who.length ? `${unknown} unknown` : "unknown");
  const last = who.pop();
  return `${count(faces.length, "face", "faces")}: ${who.length ? `${who.join(", ")} and ${last}` : last}`;
}

/** Say which of the photos may be answered otherwise now, and offer what is for all of them. */
function follow() {
  find("results-bar").hidden = !asked.length;
  find("stale").hidden = asked.every((entry) => entry.version === undefined || entry.version === api.version);
  find("close-results").hidden = asked.length < 2;
}

function close(entry) {
  entry.card.remove();
  if (asked.includes(entry)) asked.splice(asked.indexOf(entry), 1);
  follow();
}

function closeButton(entry) {
  return make("button.plain", { type: "button", "aria-label": `Close ${entry.file.name}`, onclick: () => close(entry) }, "Close");
}

/** After an enrolment whoever types goes on with the next face that has no name yet, or at the head of the card. */
function goOn(card, items, number) {
  if (document.activeElement !== document.body) return;
  const next = items.slice(number).find((item) => item.querySelector(".ask > form"));
  (next?.querySelector("input") ?? card.querySelector("h3")).focus();
}

/** Ask about a photo, and fill its card; after an enrolment with the note on what became of that face, and of those before. */
async function look(entry, number, note) {
  const { card, file } = entry;
  const { version } = api;
  const rate = find("rate").value;
  const found = await api.identify(file, { ask: find("ask").checked, fpr: rate || null });
  const canvas = make("canvas.photo", { role: "img", "aria-label": `${file.name} with a box around each face` });
  const again = (face, text) => look(entry, face, text);
  const items = found.faces.map((face) => faceItem(file, face, again));
  const button = make("button.plain", { type: "button" }, "Recognise again");
  button.addEventListener("click", () => working([button], () => look(entry)));
  const head = make("header", {}, make("div", {}, make("h3", { tabindex: -1 }, summary(found.faces)), make("p.faint.small", {}, file.name)), make("div.row", {}, button, closeButton(entry)));
  card.replaceChildren(head, make("div.columns.wide", {}, canvas, make("ol.faces", {}, items)));
  card.classList.remove("working");
  entry.version = version;
  // What was just enrolled from this photo is not offered again, until somebody has it recognised again.
  if (note) entry.notes.set(String(number), note);
  else entry.notes.clear();
  for (const item of items) {
    const done = entry.notes.get(item.dataset.face);
    if (done) item.querySelector(".ask").replaceChildren(done);
  }
  if (note) {
    announce(note.textContent);
    goOn(card, items, number);
  }
  await draw(canvas, file, found);
  follow();
  await changed();
}

/** Ask about some files, one after the other; a card for each is there from the start. */
export async function take(files) {
  const entries = files.map((file) => {
    const card = make("article.card.photo-result.working", { "aria-label": file.name }, make("p.faint", {}, `${file.name} …`));
    return { card, file, notes: new Map() };
  });
  find("results").prepend(...entries.map((entry) => entry.card));
  asked.push(...entries);
  for (const entry of entries) {
    const { card, file } = entry;
    try {
      if (file.size > LARGEST) throw new Error(`It is larger than ${LARGEST / 1e6} MB: save it smaller, as JPEG.`);
      await look(entry);
      announce(card.querySelector("h3").textContent);
    } catch (error) {
      card.classList.remove("working");
      card.replaceChildren(make("header", {}, make("h3", {}, file.name), closeButton(entry)), make("p.note.bad", { role: "alert" }, error.message));
      follow();
    }
  }
}

/** Say what the status of the server means for recognition. */
export function show(status) {
  find("recognise-intro").textContent = status.people
    ? `Every face is compared with ${count(status.people, "enrolled person", "enrolled people")}, and named or called unknown. What covers it is found and left out.`
    : "Nobody is enrolled yet. Drop a photo of somebody, and write the name beside the face: from then on other photos of that person are recognised.";
  const select = find("rate");
  find("rate-row").hidden = !status.people;
  if (!status.people || status.fpr === null) return;
  const rates = [...new Set([...RATES.filter((rate) => rate >= status.finest_fpr), status.fpr])].sort((a, b) => b - a);
  const chosen = select.value;
  select.replaceChildren(...rates.map((rate) => make("option", { value: rate === status.fpr ? "" : rate }, `${Number((100 * rate).toPrecision(2))} % at most`)));
  select.value = [...select.options].some((option) => option.value === chosen) ? chosen : "";
}

export function start(onchange) {
  changed = onchange;
  const files = find("files");
  files.addEventListener("change", async () => {
    const chosen = [...files.files];
    files.value = "";
    await take(chosen);
  });
  const ask = find("ask");
  ask.checked = localStorage.getItem("ask") === "yes";
  ask.addEventListener("change", () => localStorage.setItem("ask", ask.checked ? "yes" : "no"));
  find("rate").addEventListener("change", async () => {
    for (const entry of asked.filter((one) => one.version !== undefined)) await look(entry).catch((error) => say(error.message));
  });
  document.addEventListener("people-changed", follow);
  const again = find("again");
  again.addEventListener("click", () => working([again], async () => {
    for (const entry of asked.filter((one) => one.version !== undefined && one.version !== api.version)) await look(entry);
    announce("All photos were looked at again.");
  }));
  find("close-results").addEventListener("click", () => { for (const entry of [...asked]) close(entry); });
  camera.start((photo) => take([photo]));
  const mark = (over) => (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("over", over);
  };
  document.addEventListener("dragover", mark(true));
  document.addEventListener("dragleave", mark(false));
  document.addEventListener("drop", async (event) => {
    mark(false)(event);
    const dropped = [...(event.dataTransfer?.files ?? [])];
    if (!dropped.length) return;
    if (find("recognise-view").hidden) location.hash = "#recognise";
    await take(dropped);
  });
}
