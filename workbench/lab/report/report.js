// Draws every chart of the page from the JSON beside it, in the page's colours, and offers its data as a file.
// Charts and Vega are packed in the page; where they cannot be unpacked, the still pictures stay.
// Nothing is fetched: the loader below refuses, and the page's policy would refuse once more.

const narrow = matchMedia("(max-width: 620px)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const refuse = () => Promise.reject(new Error("A report loads nothing."));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse, options: {} };

// The palette of charts/theme.py, lightened until each colour stands out from a dark page.
const ON_DARK = {
  "#0072b2": "#4aa3df", "#d55e00": "#f0803c", "#009e73": "#2fbf93", "#cc79a7": "#e295c0",
  "#e69f00": "#f0b429", "#56b4e9": "#9ad3f5", "#222222": "#e7e4dd", "#666666": "#a9a59c",
  "#e6e6e3": "#34373a", "#8a8a86": "#7d7a73", "#b3aea5": "#5f5d58",
};

function recolour(node) {
  if (typeof node === "string") return ON_DARK[node.toLowerCase()] ?? node;
  if (Array.isArray(node)) return node.map(recolour);
  if (node === null || typeof node !== "object") return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, key === "datasets" ? value : recolour(value)]),
  );
}

// On a phone the title of a horizontal axis stands in lines of so many letters.
const LINE = 26;

function lines(title) {
  const words = title.split(" ");
  const parts = [words.shift()];
  for (const word of words) {
    if (`${parts.at(-1)} ${word}`.length > LINE) parts.push(word);
    else parts[parts.length - 1] += ` ${word}`;
  }
  return parts;
}

function wrapTitles(node) {
  if (node === null || typeof node !== "object") return;
  const x = node.encoding?.x;
  if (typeof x?.title === "string" && x.title.length > LINE) x.title = lines(x.title);
  for (const [key, child] of Object.entries(node)) if (key !== "datasets") wrapTitles(child);
}

const isComposed = (spec) =>
  ["facet", "hconcat", "vconcat", "concat", "repeat"].some((key) => key in spec) ||
  ["row", "column", "facet"].some((key) => key in (spec.encoding ?? {}));

function themed(source) {
  const spec = isDark() ? recolour(source) : structuredClone(source);
  const config = (spec.config ??= {});
  config.background = "transparent";
  if (isDark()) {
    const mark = { ...config.mark, color: config.mark?.color ?? ON_DARK["#0072b2"] };
    Object.assign(config, { mark, style: { ...config.style, cell: { stroke: null } } });
  }
  if (isComposed(spec)) {
    config.legend = { ...config.legend, orient: "bottom", offset: 8 };
  }
  if (narrow.matches) {
    const legend = { orient: "bottom", columns: 2, labelLimit: 140, offset: 8 };
    config.legend = { ...config.legend, ...legend };
    config.axis = { ...config.axis, labelLimit: 110 };
    config.axisX = { ...config.axisX, tickCount: 5 };
    wrapTitles(spec);
  }
  if (!isComposed(spec) && typeof (spec.width ?? 0) === "number") {
    spec.width = "container";
    spec.autosize = { type: "fit-x", contains: "padding" };
  }
  return spec;
}

// Text goes in as text, never as HTML: it was written by models.
function tooltip(_handler, event, _item, value) {
  const box = document.getElementById("tooltip");
  if (value === null || value === undefined || value === "") {
    box.hidden = true;
    return;
  }
  const pairs = typeof value === "object" ? Object.entries(value) : [["", value]];
  const list = document.createElement("dl");
  for (const [name, entry] of pairs) {
    const term = list.appendChild(document.createElement("dt"));
    const shown = list.appendChild(document.createElement("dd"));
    term.textContent = name;
    shown.textContent = typeof entry === "object" ? JSON.stringify(entry) : String(entry);
    shown.dir = "auto";
  }
  box.replaceChildren(list);
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  const left = event.clientX + 14 + width > innerWidth ? event.clientX - width - 14 : event.clientX + 14;
  const top = event.clientY + 14 + height > innerHeight ? event.clientY - height - 14 : event.clientY + 14;
  box.style.left = `${Math.max(4, left)}px`;
  box.style.top = `${Math.max(4, top)}px`;
}

const ERRORS = 1; // warnings are for whoever draws the charts
const options = { mode: "vega-lite", actions: false, ast: true, loader, tooltip, logLevel: ERRORS };
const rowsOf = (spec) => Object.values(spec.datasets ?? {});

// A picture that is a little too wide is made smaller, one that is far too wide can be scrolled.
const SMALLEST = 0.7;
function fit(picture) {
  const width = Number(picture?.getAttribute("width"));
  if (width) Object.assign(picture.style, { maxWidth: `${width}px`, width: `max(100%, ${SMALLEST * width}px)` });
}

async function draw(figure, spec) {
  const place = figure.querySelector(".live");
  const many = rowsOf(spec).some((rows) => rows.length > 1500);
  const renderer = many ? "canvas" : "svg";
  try {
    figure.view?.finalize();
    // Vega measures its place, so the place must be seen before it is drawn in.
    figure.classList.add("drawn");
    figure.view = (await window.workbenchEmbed(place, themed(spec), { ...options, renderer })).view;
    fit(place.querySelector("svg"));
  } catch (error) {
    figure.classList.remove("drawn");
    place.textContent = "";
    console.warn(`${figure.id}: shown as a still picture (${error.message})`);
  }
}

// A spreadsheet would run text that begins like a formula; an apostrophe keeps it text.
function field(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const csv = (columns, rows) => [columns, ...rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";

// All data sets of a chart as one table, laid out by tidy.py.
function tidy(spec, { columns, parts }) {
  return parts.flatMap(({ data, panel, fields }) =>
    (spec.datasets[data] ?? []).map((row) =>
      columns.map((name) => (name === "panel" && !("panel" in fields) ? panel : row[fields[name]])),
    ),
  );
}

const fileOf = (figure) => `${document.body.dataset.notebook}-${figure.id.replace("figure-", "")}`;

function offer(figure, label, name, make, type) {
  const button = figure.querySelector(".tools").appendChild(document.createElement("button"));
  button.type = "button";
  button.textContent = label;
  button.addEventListener("click", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await make()], { type }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

function offerData(figure, columns, rows) {
  offer(figure, "CSV", `${fileOf(figure)}.csv`, () => csv(columns, rows()), "text/csv;charset=utf-8");
}

// For paper: light whatever the screen's colours, at the size its author gave it.
async function still(spec) {
  const { view } = await window.workbenchEmbed(document.createElement("div"), structuredClone(spec), options);
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}

async function unpacked(script) {
  const bytes = Uint8Array.from(atob(script.textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

// The page's policy knows the hash of what comes out, and runs nothing else.
async function loadVega(bundle) {
  const script = document.createElement("script");
  script.textContent = await unpacked(bundle);
  document.head.append(script);
}

async function offered(figure) {
  const spec = JSON.parse(await unpacked(figure.querySelector("script.spec")));
  const layout = figure.querySelector("script.layout");
  if (layout) {
    const table = JSON.parse(layout.textContent);
    offerData(figure, table.columns, () => tidy(spec, table));
  }
  offer(figure, "SVG", `${fileOf(figure)}.svg`, () => still(spec), "image/svg+xml");
  return [figure, spec];
}

for (const figure of document.querySelectorAll("figure.table")) {
  const { columns, rows } = JSON.parse(figure.querySelector("script.rows").textContent);
  offerData(figure, columns, () => rows);
}

let charts = [];
try {
  const bundle = document.getElementById("bundle");
  if (bundle) await loadVega(bundle);
  charts = await Promise.all([...document.querySelectorAll("figure.chart")].map(offered));
} catch (error) {
  console.warn(`The charts are still pictures here (${error.message})`);
}

const drawAll = () => Promise.all(charts.map(([figure, spec]) => draw(figure, spec)));
dark.addEventListener("change", drawAll);
addEventListener("themechange", drawAll);
narrow.addEventListener("change", drawAll);
addEventListener("scroll", () => (document.getElementById("tooltip").hidden = true), { passive: true });
await drawAll();
document.documentElement.classList.add("ready");
