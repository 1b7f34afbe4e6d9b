// The map of points: keyboard, search, zoom, lasso, and one card that follows what is selected. The same
// module stands in JupyterLab, where anywidget calls `render`, and in reports, which have no kernel.
// Texts go in as text nodes or onto the canvas, never as HTML: they were written by models and strangers.

// Outlines in a box from -1 to 1, in the order of the shapes in charts/theme.py.
const OUTLINES = [
  "M-.86 0a.86 .86 0 1 0 1.72 0a.86 .86 0 1 0-1.72 0z", "M-.76-.76h1.52v1.52h-1.52z", "M0-.95 .95 .75h-1.9z",
  "M0-1 .9 0 0 1-.9 0z", "M-.32-.92h.64v.6h.6v.64h-.6v.6h-.64v-.6h-.6v-.64h.6z", "M0 .95-.95-.75h1.9z",
  "M.95 0-.75 .95v-1.9z",
].map((outline) => [outline, new Path2D(outline)]);
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
const HUES = 6; // that tell groups apart; smaller groups are quiet
const SHADES = 8; // of a ramp
const NAMED = 10; // groups named on the map
const SPREAD = 2000; // points; of more, those on one spot are not drawn beside each other
const CLOSE = 30; // pixels within which a click means a point
const HELP = "Map of points. Arrow keys move to the nearest point, Enter opens its card, plus and minus zoom, Escape clears the selection.";

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function button(label, act, attributes = {}) {
  const node = make("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", act);
  return node;
}

function sign(kind, look) {
  const [svg, path] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg.setAttribute("viewBox", "-1.1 -1.1 2.2 2.2");
  svg.setAttribute("class", `sign ${look}`);
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", OUTLINES[kind % OUTLINES.length][0]);
  svg.append(path);
  return svg;
}

const number = (value) => (value === null ? "–" : String(Number(value.toPrecision(3))).replace("-", "−"));
const short = (text, length) => (text.length > length ? `${[...text].slice(0, length - 1).join("")}…` : text);

// A spreadsheet would run text that begins like a formula; an apostrophe keeps it text.
function field(value) {
  const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// ---- Two texts beside each other ----

// Runs of two and more words that both texts hold, whatever their capitals and signs, are marked.
function shared(text, other) {
  const plain = (word) => word.toLowerCase().replace(/[.,;:!?"“”()*]/g, "");
  const there = ` ${other.split(/\s+/).map(plain).join(" ")} `;
  const words = text.split(/(\s+)/);
  const has = (at) => words[at] && words[at + 2] && there.includes(` ${plain(words[at])} ${plain(words[at + 2])} `);
  const node = make("div", { class: "text", dir: "auto" });
  for (let at = 0; at < words.length; at += 2) {
    let end = at;
    while (has(end)) end += 2;
    node.append(end > at ? make("mark", {}, words.slice(at, end + 1).join("")) : words[at], words[end + 1] ?? "");
    at = end;
  }
  return node;
}

// ---- Requests, or whatever the points are sheets of ----

function overview({ names, columns, values, title, measure, low, high }, choose) {
  const list = make("div", { class: "sheets", role: "listbox", "aria-label": `${title}; arrow keys move` });
  list.style.gridTemplateColumns = `minmax(0, 1fr) repeat(${columns.length}, min(34px, ${50 / columns.length}cqw))`;
  list.append(make("span", { class: "corner" }, title), ...columns.map((name) => make("span", { class: "upright" }, make("bdi", {}, short(name, 22)))));
  const rows = names.map((name, at) => {
    const said = values[at].map((value, column) => `${columns[column]}: ${number(value)}`);
    const row = make("div", { role: "option", tabindex: "-1", "aria-label": `${name}; ${said.join(", ")}` });
    row.append(make("span", { class: "name" }, make("bdi", {}, name)));
    values[at].forEach((value, column) => {
      const share = value === null ? null : Math.min(1, Math.max(0, (value - low) / (high - low || 1)));
      const shade = share === null ? "empty" : `r${Math.round(share * (SHADES - 1))}`;
      row.append(make("span", { class: `cell ${shade}`, title: said[column] }));
    });
    row.addEventListener("click", () => choose(at));
    list.append(row);
    return row;
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const at = rows.indexOf(document.activeElement) + (step ?? 0);
    if (!step || !rows[at]) return;
    event.preventDefault();
    rows[at].focus();
    choose(at);
  });
  const node = make("div", { class: "overview" }, list, ramp(measure, low, high));
  return { node, mark: (chosen) => rows.forEach((row, at) => {
    row.setAttribute("aria-selected", String(at === chosen));
    row.tabIndex = at === chosen ? 0 : -1;
  }) };
}

function ramp(title, low, high) {
  const shades = Array.from({ length: SHADES }, (_, at) => make("span", { class: `r${at}` }));
  const bar = make("span", { class: "ramp", "aria-hidden": "true" }, ...shades);
  return make("p", { class: "key" }, title, make("span", {}, number(low)), bar, make("span", {}, number(high)));
}

// ---- The map ----

function pointMap(place, record, { chosen: opened = record.chosen, chose = () => {}, selects = () => {} } = {}) {
  const { x, y, text, title, group, kind, value, sheet, beside, id } = record.points;
  const count = x.length;
  const known = value ? value.filter((one) => one !== null) : [];
  const [low, high] = known.length ? known.reduce(([a, b], one) => [Math.min(a, one), Math.max(b, one)], [Infinity, -Infinity]) : [0, 1];
  const state = { sheet: sheet ? sheet[opened] : 0, chosen: opened, focus: opened, scale: 1, left: 0, top: 0, groups: new Set(), kinds: new Set(), words: "", lasso: null, drawing: null };
  let here = [], spots = new Map(), selected = [], isIn = () => true, size = [1, 1], waiting = false;

  const canvas = make("canvas", { tabindex: "0", role: "application", "aria-label": HELP });
  const said = make("p", { class: "said", "aria-live": "polite" });
  const status = make("p", { class: "status", role: "status" });
  const card = make("section", { class: "card", "aria-label": "Card of the chosen point" });
  const lists = make("div", { class: "lists" });
  const search = make("input", { type: "search", placeholder: "Search the texts", "aria-label": "Search the texts" });
  const lasso = button("Lasso", () => lasso.setAttribute("aria-pressed", String(lasso.ariaPressed !== "true")), { "aria-pressed": "false", title: "Draw round points to select them (or hold Shift and drag)" });
  const clear = button("Clear", empty, { title: "Clear the selection" });
  const file = button("", () => save(selected), { class: "file" });
  const zooms = [["+", 1.5, "Zoom in"], ["−", 1 / 1.5, "Zoom out"]].map(([label, by, name]) => button(label, () => zoom(by), { "aria-label": name, title: name }));
  const whole = button("Whole map", fit);
  const tools = make("div", { class: "tools-line" }, search, lasso, ...zooms, whole, clear, file);
  const all = record.sheets && overview(record.sheets, turn);
  const key = value ? ramp(record.value_title, low, high) : make("p", { class: "key" });
  const drawn = make("div", { class: "drawn" }, canvas, make("p", { class: "axes" }, record.axes), key);
  const root = make("div", { class: "wb-map mathjax_ignore tex2jax_ignore", "data-lm-suppress-shortcuts": "true" });
  root.append(...(all ? [all.node] : []), tools, make("div", { class: "both" }, drawn, lists), said, status, card);
  place.replaceChildren(root);

  // -- where points stand --
  function arrange() {
    here = [...Array(count).keys()].filter((at) => !sheet || sheet[at] === state.sheet);
    const span = (values) => here.reduce(([a, b], at) => [Math.min(a, values[at]), Math.max(b, values[at])], [Infinity, -Infinity]);
    const [[left, right], [bottom, top]] = [span(x), span(y)];
    const share = (one, from, to) => (to > from ? (one - from) / (to - from) : 0.5);
    const beforeIt = new Map();
    spots = new Map(here.map((at) => {
      const spot = `${x[at]},${y[at]}`;
      const before = here.length > SPREAD ? 0 : beforeIt.get(spot) ?? 0;
      beforeIt.set(spot, before + 1);
      const away = 4.6 * Math.sqrt(before);
      return [at, [share(x[at], left, right), 1 - share(y[at], bottom, top), away * Math.cos(2.4 * before), away * Math.sin(2.4 * before)]];
    }));
  }
  const radius = () => (here.length > SPREAD ? 2.6 : here.length > 400 ? 3.8 : 5);
  function spot(at) {
    const [right, down, aside, below] = spots.get(at);
    const [width, height] = size, rim = 26;
    return [(rim + right * (width - 2 * rim)) * state.scale + state.left + aside, (rim + down * (height - 2 * rim)) * state.scale + state.top + below];
  }
  function nearest(px, py, most = Infinity) {
    let best = -1, least = most * most;
    for (const at of here) {
      const [sx, sy] = spot(at);
      const far = (sx - px) ** 2 + (sy - py) ** 2;
      if (far < least) [best, least] = [at, far];
    }
    return best;
  }
  function nextTo(at, [right, down]) {
    const [fx, fy] = spot(at);
    let best = at, least = Infinity;
    for (const other of here) {
      const [sx, sy] = spot(other);
      const along = (sx - fx) * right + (sy - fy) * down;
      const across = Math.abs((sx - fx) * down + (sy - fy) * right);
      if (other === at || along < 0.5 || across > 2 * along) continue;
      const far = along + 2 * across;
      if (far < least) [best, least] = [other, far];
    }
    return best;
  }

  // -- what is selected --
  const rank = (at) => record.groups[group[at]].rank;
  const look = (at) => {
    if (!value) return rank(at) < HUES ? `c${rank(at)}` : "quiet";
    return value[at] === null ? "quiet" : `r${Math.round(((value[at] - low) / (high - low || 1)) * (SHADES - 1))}`;
  };
  const shape = (at) => (kind && record.kinds.length <= OUTLINES.length ? kind[at] : 0);
  const spelled = (at) => `${title[at]} ${record.groups[group[at]].name} ${text[at]}`.toLowerCase();
  function refine() {
    const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    const holds = (at) => words.every((word) => spelled(at).includes(word));
    const parts = [
      state.groups.size && ((at) => state.groups.has(group[at])), state.kinds.size && ((at) => state.kinds.has(kind[at])),
      words.length && holds, state.lasso && ((at) => state.lasso.has(at)),
    ].filter(Boolean);
    isIn = (at) => parts.every((part) => part(at));
    selected = here.filter(isIn);
    const some = parts.length > 0;
    const elsewhere = words.length && sheet ? [...Array(count).keys()].filter((at) => sheet[at] !== state.sheet && holds(at)).length : 0;
    status.textContent = some ? `${selected.length.toLocaleString("en")} of ${here.length.toLocaleString("en")} selected${elsewhere ? `; ${elsewhere.toLocaleString("en")} elsewhere match these words` : ""}.` : "";
    file.textContent = some ? "CSV of the selection" : "CSV";
    file.disabled = !selected.length;
    clear.disabled = !some;
    selects(some ? selected.map((at) => id[at]) : []);
    if (selected.length && !selected.includes(state.chosen)) open(best(selected));
    else { tell(); paint(); }
    listing();
  }
  const best = (points) => (value ? points.reduce((a, b) => ((value[b] ?? -Infinity) > (value[a] ?? -Infinity) ? b : a)) : points[0]);
  function empty() {
    state.groups.clear(); state.kinds.clear();
    Object.assign(state, { words: "", lasso: null });
    search.value = "";
    refine();
  }
  function turn(at) {
    if (at === state.sheet) return;
    state.sheet = at;
    arrange();
    Object.assign(state, { scale: 1, left: 0, top: 0, lasso: null });
    state.groups.clear();
    all.mark(at);
    open(best(here));
    refine();
  }
  function save(points) {
    const columns = { number: id, ...(sheet ? { [record.sheets.title]: sheet.map((at) => record.sheets.names[at]) } : {}), title, [record.group_title]: group.map((at) => record.groups[at].name), ...(kind ? { [record.kind_title]: kind.map((at) => record.kinds[at]) } : {}), ...(value ? { [record.value_title]: value } : {}), ...Object.fromEntries(record.facts), text };
    const lines = points.map((at) => Object.values(columns).map((values) => field(values[at])).join(","));
    const link = make("a", { download: "selection.csv" });
    link.href = URL.createObjectURL(new Blob([[Object.keys(columns).map(field).join(","), ...lines].join("\r\n"), "\r\n"], { type: "text/csv;charset=utf-8" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  // -- lists --
  function listing() {
    const sizes = new Map();
    for (const at of here) sizes.set(group[at], record.groups[group[at]].size ?? (sizes.get(group[at]) ?? 0) + 1);
    const most = Math.max(1, ...sizes.values());
    const groups = [...sizes.keys()].sort((a, b) => a - b).map((at) => {
      const { name, note, rank: order } = record.groups[at];
      const bar = make("span", { class: "bar" });
      bar.style.width = `${(100 * sizes.get(at)) / most}%`;
      const swatch = value ? [] : [sign(0, order < HUES ? `c${order}` : "quiet")];
      return entry(state.groups, at, [...swatch, make("bdi", { class: "name" }, name), make("span", { class: "held" }, bar), make("span", { class: "count" }, sizes.get(at).toLocaleString("en")), ...(note ? [make("span", { class: "note" }, note)] : [])]);
    });
    const kinds = (record.kinds ?? []).map((name, at) => entry(state.kinds, at, [sign(record.kinds.length <= OUTLINES.length ? at : 0, "quiet"), make("bdi", { class: "name" }, name)]));
    const heading = (name) => make("h5", {}, name);
    const focused = lists.contains(document.activeElement) ? document.activeElement.dataset.entry : null;
    lists.replaceChildren(...(kinds.length ? [heading(record.kind_title), make("div", { class: "list" }, ...kinds)] : []), heading(record.group_title), make("div", { class: "list" }, ...groups));
    lists.querySelector(`[data-entry="${focused}"]`)?.focus();
  }
  function entry(chosen, at, parts) {
    const act = () => { chosen.delete(at) || chosen.add(at); refine(); };
    const node = button("", act, { "aria-pressed": String(chosen.has(at)), "data-entry": `${chosen === state.kinds}${at}` });
    node.append(...parts);
    return node;
  }

  // -- the card --
  const facts = (at) => record.facts.map(([name, values]) => [name, typeof values[at] === "number" ? number(values[at]) : values[at] ?? "–"]);
  function open(at) {
    Object.assign(state, { chosen: at, focus: at });
    chose(at);
    tell();
    show();
    paint();
  }
  function step(by) {
    const points = selected.length ? selected : here;
    const at = points.indexOf(state.chosen);
    open(points[(at + by + points.length) % points.length]);
    bring(state.chosen);
  }
  function show() {
    const at = state.chosen, other = beside?.[at];
    const both = other !== undefined && other !== null && other !== at;
    const pairs = [...(value ? [[record.value_title, number(value[at])]] : []), ...facts(at)].map(([name, one]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("bdi", {}, one))));
    const points = selected.length ? selected : here;
    const ofAll = `${(points.indexOf(at) + 1).toLocaleString("en")} of ${points.length.toLocaleString("en")}`;
    const walk = make("span", { class: "walk" }, button("‹", () => step(-1), { "aria-label": "Previous point" }), ofAll, button("›", () => step(1), { "aria-label": "Next point" }));
    const column = (head, body) => make("div", {}, make("h5", {}, make("bdi", {}, head)), body);
    const plain = (one) => make("div", { class: "text", dir: "auto" }, one);
    const texts = both
      ? [column(title[at], shared(text[at], text[other])), column(`${record.beside_title}: ${title[other]}`, shared(text[other], text[at]))]
      : [column(title[at], plain(text[at]))];
    card.replaceChildren(make("div", { class: "head" }, sign(shape(at), look(at)), make("h4", {}, make("bdi", {}, `${record.group_title}: ${record.groups[group[at]].name}`)), walk), ...(pairs.length ? [make("dl", {}, ...pairs)] : []), make("div", { class: "texts" }, ...texts));
    if (both) card.append(make("p", { class: "hint" }, "Marked: runs of words that both texts share."));
  }
  function tell() {
    const at = state.focus;
    const shown = [title[at], `${record.group_title} ${record.groups[group[at]].name}`, ...(value ? [`${record.value_title} ${number(value[at])}`] : [])].join(", ");
    said.replaceChildren(make("b", {}, make("bdi", {}, shown)), " ", make("bdi", {}, short(text[at].replace(/\s+/g, " "), 140)));
  }

  // -- pictures --
  function paint() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }
  function draw() {
    const [width, height] = size;
    const ratio = devicePixelRatio || 1;
    const colours = new Map();
    const probe = make("i", { class: "probe" });
    root.append(probe);
    const colour = (name) => {
      if (!colours.has(name)) {
        probe.className = `probe ${name}`;
        colours.set(name, getComputedStyle(probe).color);
      }
      return colours.get(name);
    };
    if (canvas.width !== Math.round(width * ratio)) [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const r = radius(), some = selected.length < here.length;
    for (const pass of some ? [false, true] : [true]) {
      for (const at of here) {
        if (some && isIn(at) !== pass) continue;
        const [px, py] = spot(at);
        if (px < -r || py < -r || px > width + r || py > height + r) continue;
        context.globalAlpha = pass ? 0.9 : 0.14;
        context.fillStyle = colour(look(at));
        context.setTransform(r * ratio, 0, 0, r * ratio, px * ratio, py * ratio);
        context.fill(OUTLINES[shape(at)][1]);
        if (pass && here.length <= SPREAD) {
          [context.strokeStyle, context.lineWidth] = [colour("paper"), 0.9 / r];
          context.stroke(OUTLINES[shape(at)][1]);
        }
      }
    }
    context.globalAlpha = 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const ring = (at, name, wide) => {
      if (!spots.has(at)) return;
      const [px, py] = spot(at);
      context.beginPath();
      context.arc(px, py, r + 5, 0, 7);
      [context.strokeStyle, context.lineWidth] = [colour(name), wide];
      context.stroke();
    };
    if (state.focus !== state.chosen) ring(state.focus, "soft", 1.5);
    ring(state.chosen, "ink", 2.4);
    label(context, colour);
    if (state.drawing) {
      context.beginPath();
      for (const corner of state.drawing) context.lineTo(...corner);
      context.closePath();
      [context.strokeStyle, context.lineWidth, context.globalAlpha] = [colour("ink"), 1.5, 0.7];
      context.stroke();
    }
    probe.remove();
  }
  function label(context, colour) {
    const sums = new Map();
    for (const at of here) {
      if (value || rank(at) < NAMED) {
        const [px, py] = spot(at);
        const [sx, sy, n] = sums.get(group[at]) ?? [0, 0, 0];
        sums.set(group[at], [sx + px, sy + py, n + 1]);
      }
    }
    const largest = [...sums].sort(([, a], [, b]) => b[2] - a[2]).slice(0, NAMED);
    context.font = `600 12px ${getComputedStyle(root).fontFamily}`;
    Object.assign(context, { textAlign: "center", textBaseline: "middle", lineJoin: "round", lineWidth: 4, strokeStyle: colour("paper"), fillStyle: colour("ink") });
    const boxes = [];
    for (const [at, [sx, sy, n]] of largest) {
      const name = short(record.groups[at].name, 24);
      const half = context.measureText(name).width / 2;
      const cx = Math.min(size[0] - half - 4, Math.max(half + 4, sx / n));
      const free = [0, 17, -17, 34, -34].map((shift) => sy / n - 15 + shift).find((cy) => cy > 8 && cy < size[1] - 8 && boxes.every(([bx, by, bh]) => Math.abs(bx - cx) > half + bh + 4 || Math.abs(by - cy) > 15));
      if (free === undefined) continue;
      boxes.push([cx, free, half]);
      context.strokeText(name, cx, free);
      context.fillText(name, cx, free);
    }
  }

  // -- hands --
  function zoom(by, [px, py] = [size[0] / 2, size[1] / 2]) {
    const scale = Math.min(60, Math.max(1, state.scale * by));
    const ratio = scale / state.scale;
    Object.assign(state, { scale, left: px - (px - state.left) * ratio, top: py - (py - state.top) * ratio });
    hold();
  }
  function fit() {
    Object.assign(state, { scale: 1, left: 0, top: 0 });
    hold();
  }
  function hold() { // some of the map stays in sight; a whole map scrolls with the page under a finger
    const within = (one, length) => Math.min(0, Math.max(length * (1 - state.scale), one));
    [state.left, state.top] = [within(state.left, size[0]), within(state.top, size[1])];
    canvas.style.touchAction = state.scale > 1 || lasso.ariaPressed === "true" ? "none" : "pan-y";
    paint();
  }
  function bring(at) {
    const [px, py] = spot(at);
    state.left += Math.max(0, 20 - px) - Math.max(0, px - size[0] + 20);
    state.top += Math.max(0, 20 - py) - Math.max(0, py - size[1] + 20);
    hold();
  }
  function within(corners) {
    const inside = ([px, py]) => corners.reduce((odd, [ax, ay], at) => {
      const [bx, by] = corners.at(at - 1);
      return ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax ? !odd : odd;
    }, false);
    return new Set(here.filter((at) => inside(spot(at))));
  }
  const hands = new Map();
  const under = (event) => { const { left, top } = canvas.getBoundingClientRect(); return [event.clientX - left, event.clientY - top]; };
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    hands.set(event.pointerId, under(event));
    moved = 0;
    if (event.shiftKey || lasso.ariaPressed === "true") state.drawing = [under(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = under(event), before = hands.get(event.pointerId);
    if (!before) {
      const near = nearest(px, py, 14);
      canvas.style.cursor = near < 0 ? "grab" : "pointer";
      if (near >= 0 && near !== state.focus) { state.focus = near; tell(); paint(); }
      return;
    }
    moved += Math.hypot(px - before[0], py - before[1]);
    if (state.drawing) { state.drawing.push([px, py]); paint(); }
    else if (hands.size === 2) {
      const other = [...hands].find(([name]) => name !== event.pointerId)[1];
      const apart = ([ax, ay]) => Math.hypot(ax - other[0], ay - other[1]) || 1;
      zoom(apart([px, py]) / apart(before), other);
    } else if (moved > 4) {
      Object.assign(state, { left: state.left + px - before[0], top: state.top + py - before[1] });
      hold();
    }
    hands.set(event.pointerId, [px, py]);
  });
  const lift = (event) => {
    const drawing = state.drawing;
    state.drawing = null;
    if (!hands.delete(event.pointerId) || event.type === "pointercancel") return paint();
    if (drawing?.length > 2) { state.lasso = within(drawing); refine(); }
    else if (moved <= 4) {
      const near = nearest(...under(event), CLOSE);
      if (near >= 0) open(near);
    }
    paint();
  };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("pointerleave", () => { state.focus = state.chosen; tell(); paint(); });
  // Until the map is clicked or reached by Tab, the wheel scrolls the page; pinching always zooms.
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas && root.getRootNode().activeElement !== canvas && !event.ctrlKey) return;
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / (event.ctrlKey ? 90 : 320)), under(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const direction = DIRECTIONS[event.key];
    if (direction) { state.focus = nextTo(state.focus, direction); tell(); bring(state.focus); }
    else if (event.key === "Enter" || event.key === " ") open(state.focus);
    else if (event.key === "+" || event.key === "=") zoom(1.5, spot(state.focus));
    else if (event.key === "-") zoom(1 / 1.5, spot(state.focus));
    else if (event.key === "Escape") empty();
    else return;
    event.preventDefault();
  });
  search.addEventListener("input", () => { state.words = search.value; refine(); });
  search.addEventListener("keydown", (event) => event.key === "Enter" && selected.length && step(1));
  lasso.addEventListener("click", hold);

  new ResizeObserver(() => {
    size = [canvas.clientWidth || 1, canvas.clientHeight || 1];
    canvas.width = 0;
    hold();
  }).observe(canvas);
  canvas.addEventListener("repaint", paint);
  arrange();
  all?.mark(state.sheet);
  refine();
  show();
  return { open: (one) => { if (one !== state.chosen && spots.has(one)) open(one); } };
}

function render({ model, el }) {
  const record = model.get("record");
  const heading = make("p", { class: "wb-map-title mathjax_ignore" }, record.title);
  const sentence = make("p", { class: "wb-map-sentence mathjax_ignore" }, record.sentence);
  const place = make("div");
  el.append(heading, sentence, place);
  const send = (name) => (value) => { model.set(name, value); model.save_changes(); };
  const map = pointMap(place, record, { chosen: model.get("chosen"), chose: send("chosen"), selects: send("selected") });
  const follow = () => map.open(model.get("chosen"));
  model.on("change:chosen", follow);
  return () => model.off("change:chosen", follow);
}

// The page turned light or dark: with the system, by a report's switch, or by JupyterLab, which notes it on the body.
const turned = () => document.querySelectorAll(".wb-map canvas").forEach((canvas) => canvas.dispatchEvent(new Event("repaint")));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", turned);
addEventListener("themechange", turned);
new MutationObserver(turned).observe(document.body, { attributeFilter: ["data-jp-theme-light"] });

// The figures of a report; in JupyterLab there are none.
for (const figure of document.querySelectorAll("figure.map")) {
  try {
    pointMap(figure.querySelector(".place"), JSON.parse(figure.querySelector("script.record").textContent));
    figure.querySelector("details.rows").open = false;
  } catch (error) {
    console.warn(`${figure.id}: shown as a table (${error.message})`);
  }
}

export default { render };
