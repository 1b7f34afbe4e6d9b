// The atlas: a map of cells and the card of the chosen one. The same module stands in JupyterLab, where
// anywidget calls `render` and Python makes the cards, and in reports, which carry their cards as JSON.
// Texts go in as text nodes, never as HTML: they were written by models and strangers.

// Outlines in a box from -1 to 1, in the order of the shapes in charts/theme.py.
const SHAPES = [
  "M-.86 0a.86 .86 0 1 0 1.72 0a.86 .86 0 1 0-1.72 0z", "M-.76-.76h1.52v1.52h-1.52z", "M0-.95 .95 .75h-1.9z",
  "M0-1 .9 0 0 1-.9 0z", "M-.32-.92h.64v.6h.6v.64h-.6v.6h-.64v-.6h-.6v-.64h.6z", "M0 .95-.95-.75h1.9z",
  "M.95 0-.75 .95v-1.9z",
];
const SVG = "http://www.w3.org/2000/svg";
const STEPS = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
const MISSING = "This cell's card is not in the report: run the notebook to see this one.";

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function number(value, signed = false, digits = 3) {
  if (value === null) return "–";
  const short = String(Number(Math.abs(value).toPrecision(digits)));
  return (value < 0 ? "−" : signed && value > 0 ? "+" : "") + short;
}

function glyph(kind, size, quiet = false) {
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS(SVG, tag));
  const attributes = { viewBox: "-1.1 -1.1 2.2 2.2", class: `glyph ${quiet ? "quiet" : `c${kind}`}`, "aria-hidden": "true" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  path.setAttribute("d", SHAPES[kind]);
  svg.append(path);
  svg.style.width = `${16 + 84 * Math.sqrt(size)}%`;
  return svg;
}

// ---- The map ----

function mapOf(record, choose) {
  const at = new Map(record.cells.map((cell) => [`${cell.row},${cell.column}`, cell.id]));
  const columns = record.columns.length;
  const side = columns <= 12 ? 38 : columns <= 24 ? 27 : columns <= 64 ? 20 : 14;
  const every = columns <= 24 ? 1 : columns <= 100 ? 5 : 10;
  const tip = make("p", { class: "tip" });
  const grid = make("div", { class: "grid", role: "group", "aria-label": "Map; arrow keys move" });
  grid.style.gridTemplateColumns = `auto repeat(${columns}, ${side}px)`;
  grid.style.gridTemplateRows = "auto";
  grid.style.gridAutoRows = `${Math.max(side * 0.82, 14)}px`;

  const label = (text, row, column, name) => {
    const node = grid.appendChild(make("span", { class: name, "aria-hidden": "true" }, text));
    [node.style.gridRow, node.style.gridColumn] = [row, column];
  };
  record.columns.forEach((text, index) => index % every || label(text, 1, index + 2, "top"));
  record.rows.forEach((text, index) => label(text, index + 2, 1, "side"));

  const buttons = new Map();
  for (const cell of record.cells) {
    const name = `${cell.label}, ${record.classes[cell.class]}. ${cell.tip}`;
    const button = make("button", { type: "button", "aria-label": name, "data-cell": cell.id });
    button.append(glyph(cell.class, cell.size, cell.class === record.quiet));
    [button.style.gridRow, button.style.gridColumn] = [cell.row + 2, cell.column + 2];
    button.addEventListener("click", () => choose(cell.id));
    button.addEventListener("pointerenter", () => hint(cell));
    button.addEventListener("focus", () => hint(cell));
    button.addEventListener("keydown", (event) => walk(event, cell));
    buttons.set(cell.id, grid.appendChild(button));
  }

  function walk(event, { row, column }) {
    if (!STEPS[event.key]) return;
    event.preventDefault();
    const [down, right] = STEPS[event.key];
    let next;
    do {
      [row, column] = [row + down, column + right];
      next = buttons.get(at.get(`${row},${column}`));
    } while (!next && row in record.rows && column in record.columns); // over the holes of the map
    next?.focus();
    next?.click();
  }

  function hint(cell) {
    tip.replaceChildren(make("b", {}, cell.label), ` ${record.classes[cell.class]} · ${cell.tip}`);
  }
  let pressed;
  const rest = () => hint(record.cells.find((cell) => cell.id === pressed) ?? record.cells[0]);
  function press(id) {
    pressed = id;
    for (const [name, button] of buttons) {
      button.setAttribute("aria-pressed", String(name === id));
      button.tabIndex = name === id ? 0 : -1;
    }
    rest();
    bring();
  }
  grid.addEventListener("pointerleave", rest);

  const scroll = make("div", { class: "scroll-map" }, grid);
  const bring = () => {
    const { offsetLeft, offsetWidth } = buttons.get(pressed) ?? grid;
    const { scrollLeft, clientWidth } = scroll;
    const seen = offsetLeft > scrollLeft + 40 && offsetLeft + offsetWidth < scrollLeft + clientWidth;
    if (!seen) scroll.scrollLeft = offsetLeft - clientWidth / 2;
  };
  new ResizeObserver(bring).observe(scroll); // its first call comes when the map is in the page
  const name = columns > 24 ? "map long" : "map";
  return { node: make("div", { class: name }, scroll, legend(record), tip), press };
}

function legend({ classes, cells, quiet, size_name: sizeName }) {
  const kinds = classes.map((name, kind) => {
    const count = cells.filter((cell) => cell.class === kind).length;
    const mark = make("span", { class: "mark" }, glyph(kind, 0.55, kind === quiet));
    return make("li", count ? {} : { class: "none" }, mark, name, make("span", { class: "count" }, count));
  });
  const marks = [0, 0.2, 1].map((size) => make("span", { class: "mark plain" }, glyph(0, size)));
  return make("ul", { class: "legend" }, ...kinds, make("li", { class: "sizes" }, ...marks, sizeName));
}

// ---- Texts token by token ----

// What cannot be seen gets a sign; the newline itself stays, so that the text keeps its lines.
function readable(token) {
  if (token === "") return [make("i", {}, "∅")];
  if (/^ +$/.test(token)) return [make("i", {}, "·".repeat(token.length))];
  return token.split(/(\n|\t)/).flatMap((part) =>
    part === "\n" ? [make("i", {}, "↵"), "\n"] : part === "\t" ? [make("i", {}, "⇥"), "\t"] : [part],
  );
}

function short(token) {
  const plain = token.replaceAll("\n", "↵").replaceAll("\t", "⇥");
  return `“${plain.trim() || plain.replaceAll(" ", "·") || "∅"}”`;
}

// Running text; one token takes the keyboard, arrow keys pass it on. `tell` hears of hover and focus.
function running(tokens, label, tell, pin = () => {}) {
  const box = make("div", { class: "tokens", role: "group", dir: "auto", "aria-label": label });
  const spans = tokens.map((token) => {
    const [, blank, rest] = /^( ?)(.*)$/s.exec(token); // the blank before a word stays uncoloured
    const word = blank && rest.trim() ? rest : token;
    const span = make("span", { class: "token", tabindex: "-1" }, ...readable(word));
    box.append(word === token ? "" : blank, span);
    return span;
  });
  const heard = (act) => (event) => {
    const index = spans.indexOf(event.target.closest(".token"));
    if (index >= 0) act(index, event);
  };
  const moved = (index, event) => {
    const [down, right] = STEPS[event.key] ?? [0, 0];
    const pressed = event.key === "Enter" || event.key === " ";
    if (pressed) pin(index);
    else if (down || right) spans[index + down + right]?.focus();
    if (pressed || down || right) event.preventDefault();
  };
  const focused = (index) => {
    box.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    spans[index].tabIndex = 0;
    tell(index);
  };
  if (spans.length) spans[0].tabIndex = 0;
  box.addEventListener("pointerover", heard(tell));
  box.addEventListener("focusin", heard(focused));
  box.addEventListener("click", heard(pin));
  box.addEventListener("keydown", heard(moved));
  return { box, spans };
}

// ---- A head over a text ----

// `kept` outlives the card: the next head is seen from the same token.
function headView({ tokens, scales, weights }, kept) {
  const codes = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const weight = (i, j) => scales[i] * (codes[(i * (i + 1)) / 2 + j] / 255) ** 2;
  // Eight bits hold two digits, and fewer of the smallest.
  const written = (i, j) => (weight(i, j) < 0.001 ? "< 0.001" : number(weight(i, j), false, 2));
  function shades(i) {
    const row = tokens.slice(0, i + 1).map((_, j) => (kept.without && j === 0 ? 0 : weight(i, j)));
    const most = Math.max(...row) || 1;
    return row.map((value) => Math.sqrt(value / most));
  }

  const reads = make("p", { class: "reads", "aria-live": "polite" });
  const targets = make("ol", { class: "targets" });
  const { box, spans } = running(tokens, "Text; arrow keys move, Enter pins a token", hover, pin);
  const matrix = matrixOf(tokens.length, shades, pin, (i, j) => {
    show(kept.pinned ? kept.reader : i, j);
    reveal(box, spans[kept.reader]);
  });

  function show(i, j = -1) {
    kept.reader = i;
    const shade = shades(i);
    spans.forEach((span, k) => {
      span.style.setProperty("--shade", shade[k] ?? 0);
      span.className = `token${k === i ? " reader" : k > i ? " later" : k === j ? " partner" : ""}`;
    });
    box.classList.toggle("pinned", kept.pinned);
    matrix.mark(i);
    const pair = j >= 0 && j <= i ? ` → ${short(tokens[j])} ${written(i, j)}` : " looks at";
    reads.replaceChildren(make("b", {}, short(tokens[i])), pair, kept.pinned ? " · pinned" : "");
    const best = [...shade.keys()].filter((k) => shade[k] > 0).sort((k, l) => shade[l] - shade[k]);
    targets.replaceChildren(...best.slice(0, 5).map((k) => {
      const bar = make("span", { class: "bar" });
      bar.style.width = `${100 * shade[k] ** 2}%`;
      const name = make("bdi", { class: "name" }, short(tokens[k]));
      return make("li", {}, name, make("span", {}, bar), make("span", {}, written(i, k)));
    }));
  }
  function hover(index) {
    if (kept.pinned) show(kept.reader, index);
    else show(index);
  }
  function pin(index) {
    kept.pinned = !(kept.pinned && kept.reader === index);
    show(index);
  }

  const tick = make("input", { type: "checkbox" });
  tick.checked = kept.without;
  tick.addEventListener("change", () => {
    kept.without = tick.checked;
    matrix.paint();
    show(kept.reader);
  });
  const toggle = make("label", { class: "toggle" }, tick, " without the first token");
  const note = "Shades are relative to the largest weight of the row, on a square-root scale.";
  show(kept.reader >= 0 && kept.reader < tokens.length ? kept.reader : Math.min(tokens.length - 1, 30));
  const beside = make("div", {}, matrix.node, reads, targets);
  const below = make("p", { class: "key-line" }, toggle, make("span", {}, note));
  return make("section", { class: "head" }, make("div", { class: "both" }, box, beside), below);
}

// Row i of the picture is what token i looks at; `point` hears of (row, column) under the pointer.
function matrixOf(count, shades, pin, point) {
  const label = "Attention matrix; the text beside it says the same";
  const canvas = make("canvas", { width: count, height: count, role: "img", "aria-label": label });
  canvas.classList.toggle("fine", count > 240);
  const line = make("div", { class: "line" });
  const node = make("div", { class: "matrix" }, canvas, line);
  function paint() {
    if (!canvas.isConnected) return;
    const ink = getComputedStyle(canvas).color.match(/[\d.]+/g).slice(0, 3);
    const context = canvas.getContext("2d");
    const image = context.createImageData(count, count);
    for (let i = 0; i < count; i += 1) {
      shades(i).forEach((shade, j) => image.data.set([...ink, 255 * shade], 4 * (i * count + j)));
    }
    context.putImageData(image, 0, 0);
  }
  function mark(i) {
    line.style.top = `${(100 * i) / count}%`;
    line.style.height = `${100 / count}%`;
  }
  function under(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const place = (share) => Math.min(count - 1, Math.max(0, Math.floor(share * count)));
    return [place((event.clientY - top) / height), place((event.clientX - left) / width)];
  }
  node.addEventListener("pointermove", (event) => point(...under(event)));
  node.addEventListener("click", (event) => pin(under(event)[0]));
  new ResizeObserver(paint).observe(canvas); // its first call comes when the card is in the page
  canvas.addEventListener("repaint", paint);
  return { node, paint, mark };
}

function reveal(box, { offsetTop, offsetHeight }) {
  if (offsetTop < box.scrollTop || offsetTop + offsetHeight > box.scrollTop + box.clientHeight) {
    box.scrollTop = offsetTop - box.clientHeight / 2;
  }
}

// ---- Strips, texts, facts ----

function strip({ title, tokens, values, unit, diverging }) {
  const known = values.filter((value) => value !== null);
  const most = Math.max(0, ...known.map(Math.abs)) || 1;
  const [low, high] = diverging ? [-most, most] : [Math.min(0, ...known), Math.max(0, ...known) || 1];
  const readout = make("span", { class: "readout", "aria-live": "polite" });
  const tell = (index) => {
    const said = ` ${number(values[index], diverging)} ${values[index] === null ? "" : unit}`;
    readout.replaceChildren(make("bdi", {}, short(tokens[index])), make("b", {}, said));
  };
  const { box, spans } = running(tokens, `${title}; arrow keys move`, tell, tell);
  spans.forEach((span, index) => {
    const value = values[index];
    if (value === null) return;
    span.style.setProperty("--shade", diverging ? Math.abs(value) / most : (value - low) / (high - low));
    span.classList.add(diverging ? (value < 0 ? "down" : "up") : "heat");
  });
  const ramp = make("span", { class: `ramp ${diverging ? "two" : "one"}`, "aria-hidden": "true" });
  const ends = [number(low), ramp, `${number(high, diverging)}${unit && ` ${unit}`}`];
  const head = make("h5", {}, make("span", {}, title), make("span", { class: "ends" }, ...ends), readout);
  return make("section", { class: "strip" }, head, box);
}

// Cards kept before colours had roles have no looks.
function textCards(items, kinds, looks = kinds.map((_, at) => at % 6)) {
  const marked = (text, kind) => make("mark", { class: `k${looks[kinds.indexOf(kind)]}`, title: kind }, text);
  const cards = items.map(({ label, pieces }) => {
    const parts = pieces.map(([text, kind]) => (kind === null ? text : marked(text, kind)));
    const body = make("div", { class: "told", dir: "auto", tabindex: "0" }, ...parts);
    return make("section", {}, make("h5", {}, make("bdi", {}, label)), body);
  });
  const key = make("p", { class: "kinds" }, ...kinds.map((kind) => marked(kind, kind)));
  return [...(kinds.length ? [key] : []), make("div", { class: "texts" }, ...cards)];
}

function cardOf({ title, facts, attention, strips, texts, kinds, looks }, kept) {
  const pairs = facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
  return [
    make("h4", {}, title),
    ...(pairs.length ? [make("dl", { class: "pairs-list" }, ...pairs)] : []),
    ...(attention ? [headView(attention, kept)] : []),
    ...strips.map(strip),
    ...(texts.length ? textCards(texts, kinds, looks) : []),
  ];
}

// ---- One atlas in its place ----

function atlas(place, choose) {
  const kept = { reader: -1, pinned: false, without: false };
  const shown = {};
  const above = make("div");
  const status = make("p", { class: "status", role: "status" });
  const card = make("div", { class: "card" });
  // JupyterLab would take arrows and Enter for the notebook.
  const root = make("div", { class: "wb-atlas mathjax_ignore tex2jax_ignore", "data-lm-suppress-shortcuts": "true" }, above, status, card);
  let map;
  place.replaceChildren(root);
  return function draw(now) {
    if (now.record !== shown.record) {
      map = mapOf(now.record, (id) => id !== shown.chosen && choose(id));
      above.replaceChildren(map.node);
    }
    if (now.record !== shown.record || now.chosen !== shown.chosen) map.press(now.chosen);
    if (now.card !== shown.card) card.replaceChildren(...(now.card?.id ? cardOf(now.card, kept) : []));
    card.classList.toggle("waiting", Boolean(now.card?.id) && now.card.id !== now.chosen);
    status.textContent = now.status;
    Object.assign(shown, now);
  };
}

function render({ model, el }) {
  const heading = make("p", { class: "wb-atlas-title mathjax_ignore" });
  const sentence = make("p", { class: "wb-atlas-sentence mathjax_ignore" });
  const place = make("div");
  el.append(heading, sentence, place);
  const draw = atlas(place, (id) => {
    model.set("chosen", id);
    model.set("status", "drawing…");
    model.save_changes();
  });
  const update = () => {
    const names = ["record", "card", "chosen", "status"];
    const now = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    heading.textContent = now.record.title;
    sentence.textContent = now.record.sentence;
    draw(now);
  };
  model.on("change", update);
  update();
  return () => model.off("change", update);
}

function still(figure) {
  const record = JSON.parse(figure.querySelector("script.record").textContent);
  const draw = atlas(figure.querySelector(".place"), show);
  function show(chosen) {
    const card = record.cards[chosen] ?? null;
    draw({ record, chosen, card, status: card ? "" : MISSING });
  }
  show(record.chosen);
  figure.querySelector("details.rows").open = false;
}

// The page turned light or dark: JupyterLab notes it on the body, a report follows the system.
function turned() {
  const canvases = document.querySelectorAll(".wb-atlas canvas");
  canvases.forEach((canvas) => canvas.dispatchEvent(new Event("repaint")));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", turned);
addEventListener("themechange", turned); // by a page's own switch
new MutationObserver(turned).observe(document.body, { attributeFilter: ["data-jp-theme-light"] });

// The figures of a report; in JupyterLab there are none.
for (const figure of document.querySelectorAll("figure.atlas")) {
  try {
    still(figure);
  } catch (error) {
    console.warn(`${figure.id}: shown as a table (${error.message})`);
  }
}

export default { render };
