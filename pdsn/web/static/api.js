// What the server is asked. Everything goes to this server, nothing elsewhere.

/** Raised with every change of who can be recognised: what was looked at before may be named otherwise now. */
export let version = 0;

/** The JSON that answers a request; an Error with the server's line where it is refused. */
async function ask(method, path, body) {
  const photo = body instanceof Blob;
  const headers = { "X-Pdsn": "1" };
  if (body !== undefined) headers["Content-Type"] = photo ? "application/octet-stream" : "application/json";
  let answer;
  if (photo) {
    await body.slice(0, 1).arrayBuffer().catch(() => { throw new Error(`${body.name} cannot be read. Is it a folder, or gone?`); });
  }
  try {
    answer = await fetch(path, { method, headers, body: photo || body === undefined ? body : JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.status === 401) {
    location.assign("/login");
    throw new Error("Log in first.");
  }
  if (answer.status === 204) return null;
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(found.detail ?? `The server answers ${answer.status}.`);
  return found;
}

/** An answer to a change, which every page that shows people hears of. */
async function change(...about) {
  const done = await ask(...about);
  if (!done?.outcome || done.outcome === "added") {
    version += 1;
    document.dispatchEvent(new Event("people-changed"));
  }
  return done;
}

const query = (values) =>
  new URLSearchParams(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));

export const status = () => ask("GET", "/api/status");
export const identify = (file, about) => ask("POST", `/api/identify?${query({ file: file.name, pictures: true, ...about })}`, file);
export const enrol = (file, about) => change("POST", `/api/photos?${query({ file: file.name, ...about })}`, file);
export const people = (about) => ask("GET", `/api/people?${query(about)}`);
export const person = (id) => ask("GET", `/api/people/${id}`);
export const rename = (id, name) => change("PATCH", `/api/people/${id}`, { name });
export const merge = (id, into) => change("POST", `/api/people/${id}/merge`, { into });
export const remove = (id) => change("DELETE", `/api/people/${id}`);
export const removePhoto = (id) => change("DELETE", `/api/photos/${id}`);
export const questions = () => ask("GET", "/api/questions");
export const confirm = (id, answer) => change("POST", `/api/questions/${id}/confirm`, answer);
export const reject = (id) => ask("POST", `/api/questions/${id}/reject`);
export const logOut = () => ask("POST", "/logout");
export const photoPicture = (id) => `/api/photos/${id}/picture`;
export const questionPicture = (id) => `/api/questions/${id}/picture`;
