// /openapi.json as a page that can be read.

import { make } from "./dom.js";

const described = await (await fetch("/openapi.json")).json();

/** The name of a type, such as "array of Face". */
function type(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(type).join(" or ");
  if (schema.type === "array") return `list of ${type(schema.items)}`;
  return schema.format === "binary" ? "bytes" : schema.type ?? "";
}

function table(head, rows) {
  const line = (cells, tag) => make("tr", {}, cells.map((cell) => make(tag, tag === "th" ? { scope: "col" } : {}, cell)));
  return make("div.scroll", {}, make("table", {}, make("thead", {}, line(head, "th")), make("tbody", {}, rows.map((row) => line(row, "td")))));
}

const code = (text) => make("code", {}, text);

/** A text in which `code` stands in backticks. */
const text = (words) => words.split("`").map((part, place) => (place % 2 ? code(part) : part));

function operation(method, path, about) {
  const body = Object.entries(about.requestBody?.content ?? {}).map(([kind, content]) => ["body", `${type(content.schema)}, ${kind}`, about.requestBody.description ?? ""]);
  const rows = (about.parameters ?? []).map((one) => [code(one.name), `${type(one.schema)}${one.required ? "" : ", optional"}`, one.description ?? one.schema.description ?? ""]);
  const [status, answer] = Object.entries(about.responses)[0];
  const [kind, content] = Object.entries(answer.content ?? {}).at(-1) ?? [];
  return make("article", {}, make("h3", {}, code(`${method.toUpperCase()} ${path}`)), make("p", {}, about.description ?? about.summary),
    rows.length + body.length > 0 && table(["give", "type", ""], [...rows, ...body]),
    make("p.faint", {}, `Answers ${status}`, kind ? `: ${type(content.schema)}, ${kind}` : ""));
}

function schema(name, about) {
  const rows = Object.entries(about.properties ?? {}).map(([key, one]) => [code(key), type(one), one.description ?? ""]);
  return make("article", { id: name }, make("h3", {}, name), make("p", {}, about.description ?? ""), table(["field", "type", ""], rows));
}

const own = location.origin;
const example = `curl --data-binary @door.jpg -H 'X-Pdsn: 1' '${own}/api/identify'
curl --data-binary @ann.jpg -H 'X-Pdsn: 1' '${own}/api/photos?name=Ann'
curl '${own}/api/people'`;
const operations = Object.entries(described.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, about]) => operation(method, path, about)));
const schemas = Object.entries(described.components.schemas).filter(([name]) => !name.includes("Validation"));
document.getElementById("reference").append(
  make("h2", {}, `${described.info.title} ${described.info.version}`), make("p", {}, text(described.info.description)),
  make("pre", { tabindex: 0, role: "region", "aria-label": "Examples" }, code(example)),
  ...operations, make("h2", {}, "What is answered"), ...schemas.map(([name, about]) => schema(name, about)));
document.documentElement.dataset.ready = "yes";
