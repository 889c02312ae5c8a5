// Draws /openapi.json as a page: one section per tag, one entry per operation. Loads nothing else.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DEPTH_MAX = 8; // of schemas within each other; deeper ones are named

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function resolve(description, reference) {
  const steps = reference.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return steps.reduce((value, step) => value[step], description);
}

// A schema as an example of its values: {"customer": "string", "points": "integer"}.
function shape(description, schema, depth = 0) {
  if (schema === undefined || schema === true) return "any";
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop();
    return depth > DEPTH_MAX ? name : shape(description, resolve(description, schema.$ref), depth + 1);
  }
  const choice = schema.oneOf || schema.anyOf;
  if (choice) return either(choice.map((option) => shape(description, option, depth + 1)));
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === "array") return [shape(description, schema.items, depth + 1)];
  if (schema.properties) return fields(description, schema, depth);
  if (schema.additionalProperties) return { "<name>": shape(description, schema.additionalProperties, depth + 1) };
  const name = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  return schema.format ? `${name} (${schema.format})` : name;
}

function either(options) {
  const composite = options.find((option) => typeof option === "object");
  return composite ?? [...new Set(options)].join(" | ");
}

function fields(description, schema, depth) {
  const required = new Set(schema.required || []);
  const drawn = Object.entries(schema.properties).map(([name, inner]) => [
    required.has(name) ? name : `${name}?`,
    shape(description, inner, depth + 1),
  ]);
  return Object.fromEntries(drawn);
}

function body(description, title, holder) {
  const drawn = [];
  for (const [type, { schema, example }] of Object.entries(holder?.content || {})) {
    drawn.push(element("p", {}, `${title} `, element("code", {}, type)));
    if (schema) drawn.push(element("pre", {}, JSON.stringify(shape(description, schema), null, 2)));
    if (example) drawn.push(element("p", {}, "Example"), element("pre", {}, JSON.stringify(example, null, 2)));
  }
  return drawn;
}

function parameters(operation) {
  if (!operation.parameters?.length) return [];
  const rows = operation.parameters.map(({ name, in: place, required, description, schema }) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, name)),
      element("td", { class: "muted" }, `${place}${required ? ", required" : ""}`),
      element("td", {}, description || schema?.description || ""),
    ),
  );
  return [element("table", {}, element("tbody", {}, ...rows))];
}

function answers(description, operation) {
  return Object.entries(operation.responses || {}).flatMap(([status, answer]) => [
    element("p", {}, element("strong", {}, status), ` ${answer.description || ""}`),
    ...(status < "400" ? body(description, "Answer", answer) : []),
  ]);
}

function drawOperation(description, path, method, operation) {
  const head = element(
    "summary",
    {},
    element("span", { class: "method" }, method.toUpperCase()),
    element("code", {}, path),
    element("span", { class: "muted" }, ` ${operation.summary || ""}`),
  );
  const inner = element(
    "div",
    {},
    element("p", {}, operation.description || ""),
    ...parameters(operation),
    ...body(description, "Body", operation.requestBody),
    ...answers(description, operation),
  );
  const drawn = element("details", { id: operation.operationId || `${method}${path}` }, head, inner);
  drawn.dataset.text = `${method} ${path} ${operation.summary || ""}`.toLowerCase();
  return drawn;
}

function draw(description) {
  document.getElementById("title").textContent = `${description.info.title} ${description.info.version}`;
  document.getElementById("description").textContent = description.info.description || "";
  const sections = new Map();
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const method of METHODS.filter((name) => name in operations)) {
      const tag = operations[method].tags?.[0] || "Other";
      if (!sections.has(tag)) sections.set(tag, element("section", {}, element("h2", {}, tag)));
      sections.get(tag).append(drawOperation(description, path, method, operations[method]));
    }
  }
  document.getElementById("operations").replaceChildren(...sections.values());
}

function filter(words) {
  for (const entry of document.querySelectorAll("details")) {
    entry.hidden = !words.toLowerCase().split(/\s+/).every((word) => entry.dataset.text.includes(word));
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
}

document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));
fetch("/openapi.json")
  .then((answer) => answer.json())
  .then(draw)
  .catch((error) => {
    document.getElementById("operations").textContent = `The description could not be loaded: ${error.message}`;
  });
