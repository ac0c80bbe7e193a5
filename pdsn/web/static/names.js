// Names that are enrolled: offered while one is typed, and looked up before one is used.

import * as api from "./api.js";
import { announce, count, find, make, sure } from "./dom.js";

const OFFERED = 20;
const PAUSE = 150;

const alike = (name) => name.trim().toLowerCase().replace(/[\s_]+/g, " ");

/** The enrolled person of a name, or else whoever is called so but for capitals, spaces and underscores; null for nobody. */
export async function called(name) {
  const pages = await Promise.all([...new Set([name.trim(), alike(name), alike(name).replaceAll(" ", "_")])].map((search) => api.people({ search, count: OFFERED })));
  const found = pages.flatMap((page) => page.people);
  return found.find((person) => person.name === name.trim()) ?? found.find((person) => alike(person.name) === alike(name)) ?? null;
}

/** The name to enrol by: as it was typed, or that of the person who is meant; null if the user thinks it over. */
export async function settled(name) {
  const known = await called(name);
  if (!known || known.name === name.trim()) return name.trim();
  const text = `${known.name} is enrolled with ${count(known.photos, "photo", "photos")}. If “${name.trim()}” is somebody else, cancel, and give a name that tells both apart.`;
  return (await sure(`Is this ${known.name}?`, text, `Yes, it is ${known.name}`, true)) ? known.name : null;
}

/** Call a function once the user has stopped typing for a moment. */
export function paused(task) {
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(task, PAUSE);
  };
}

/** A field for a name: it offers those that are enrolled, and says in `hint` whose photos those of a known name join. */
export function field(input, hint = null) {
  let asked = 0;
  const offer = async () => {
    const mine = ++asked;
    const page = await api.people({ search: input.value, count: OFFERED }).catch(() => null);
    if (!page || mine !== asked || !input.isConnected) return;
    find("names").replaceChildren(...page.people.map((person) => make("option", { value: person.name })));
    const known = page.people.find((person) => person.name === input.value.trim());
    if (!hint) return;
    hint.textContent = known ? `Enrolled already with ${count(known.photos, "photo", "photos")}: this adds to them. Somebody else of this name needs another one, such as “${known.name} (2)”.` : "";
    if (known && document.activeElement === input) announce(hint.textContent);
  };
  input.addEventListener("focus", offer);
  input.addEventListener("input", paused(offer));
}
