// Photos from the camera. Where there is none, or it may not be used, the page says so and goes on without.

import { find } from "./dom.js";

const REASONS = {
  NotAllowedError: "The camera was not allowed. Allow it in the browser's settings for this page, or choose a photo instead.",
  NotFoundError: "No camera was found. Choose a photo instead.",
  NotReadableError: "The camera is in use by another program. Close that, or choose a photo instead.",
};

let stream = null;

function problem(text) {
  const note = find("camera-problem");
  note.textContent = text;
  note.hidden = text === "";
}

async function open() {
  problem("");
  if (!navigator.mediaDevices?.getUserMedia) {
    problem("Browsers give the camera only to pages from this computer (localhost) or over https. Choose a photo instead.");
    return;
  }
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } }, audio: false });
  } catch (error) {
    problem(REASONS[error.name] ?? `The camera cannot be used (${error.message}). Choose a photo instead.`);
    return;
  }
  find("video").srcObject = stream;
  find("camera").hidden = false;
  await find("video").play();
  find("camera-take").focus();
}

/** Let go of the camera. */
export function close() {
  if (stream === null) return;
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  find("video").srcObject = null;
  find("camera").hidden = true;
}

/** What the camera sees now, as a JPEG file. */
async function take() {
  const video = find("video");
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.95); });
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  return new File([blob], `camera-${time}.jpg`, { type: "image/jpeg" });
}

/** Make the buttons work; `onphoto` is given each photo that is taken. */
export function start(onphoto) {
  find("camera-open").addEventListener("click", open);
  find("camera-close").addEventListener("click", () => { close(); find("camera-open").focus(); });
  find("camera-take").addEventListener("click", async () => onphoto(await take()));
}
