// The live models of a figure: type a beginning, switch heads off, steer a neuron, and see text, loss and
// attention follow. It stands behind `live.js` in one module, in JupyterLab and in reports alike.

const PAUSE = 120; // milliseconds after a key before the models read
const BARS = 6;
const TOKENS = 80; // that a model writes
const CHIPS = 7; // examples that stand side by side; more are a menu
// The page before any script has drawn in it, to save it with another state.
const pristine = document.querySelector("figure.playground") && document.documentElement.cloneNode(true);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Models and strangers wrote it: what cannot be seen, or turns the line around, becomes a sign.
function visible(text) {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (sign) => (sign === "\n" || sign === "\t" ? sign : "\ufffd"));
}

function quoted(text) {
  const plain = visible(text).replaceAll("\n", "↵").replaceAll("\t", "⇥");
  return `“${plain.trim() || plain.replaceAll(" ", "·") || "∅"}”`;
}

// The last words of a text.
function ending(text, most = 28) {
  return text.length > most ? `… ${text.slice(-most).replace(/^\S*\s+/, "")}` : text;
}

function signed(value, digits = 2) {
  return (value < 0 ? "−" : value > 0 ? "+" : "") + Math.abs(value).toFixed(digits);
}

// The mean of losses as text; of one token there is none.
function written(values, sign = false) {
  if (!values.length) return "–";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return sign ? signed(mean, 3) : mean.toFixed(3);
}

const same = ([a, b], [c, d]) => a === c && b === d;

// ---- Controls ----

function slider(name, value, low, high, step, change) {
  const input = make("input", { type: "range", min: low, max: high, step, value });
  const shown = make("output", {}, String(value));
  input.addEventListener("input", () => {
    shown.textContent = input.value;
    change(Number(input.value));
  });
  const node = make("label", { class: "slider" }, name, input, shown);
  return { node, set: (next) => { input.value = next; shown.textContent = input.value; } };
}

function button(text, act) {
  const node = make("button", { type: "button" }, text);
  node.addEventListener("click", act);
  return node;
}

// A key for every head; a pressed one is off. The one touched last is looked at.
function headKeys(shape, state, change) {
  const grid = make("div", { class: "heads", role: "group", "aria-label": "Heads; press one to switch it off" });
  grid.style.setProperty("--n", shape.heads);
  const keys = [];
  for (let layer = 0; layer < shape.layers; layer += 1) {
    grid.append(make("span", { class: "side", "aria-hidden": "true" }, `layer ${layer}`));
    for (let head = 0; head < shape.heads; head += 1) {
      const key = button(String(head), () => {
        const off = state.heads.some((one) => same(one, [layer, head]));
        state.heads = off ? state.heads.filter((one) => !same(one, [layer, head])) : [...state.heads, [layer, head]];
        state.head = [layer, head];
        change();
      });
      key.setAttribute("aria-label", `Layer ${layer}, head ${head}`);
      key.addEventListener("pointerenter", () => look([layer, head]));
      key.addEventListener("focus", () => look([layer, head]));
      keys.push([[layer, head], grid.appendChild(key)]);
    }
  }
  function look(head) {
    if (same(state.head, head)) return;
    state.head = head;
    change(true);
  }
  function draw() {
    for (const [head, key] of keys) {
      key.setAttribute("aria-pressed", String(state.heads.some((one) => same(one, head))));
      key.classList.toggle("looked", same(state.head, head));
    }
  }
  const kind = make("select", { "aria-label": "What a head that is off puts out" });
  for (const name of ["mean", "zero"]) kind.append(make("option", { value: name }, name === "mean" ? "its mean" : "nothing"));
  kind.addEventListener("change", () => {
    state.ablation = kind.value;
    change();
  });
  const all = button("all on", () => {
    state.heads = [];
    change();
  });
  const line = make("p", { class: "row" }, "A head that is off puts out ", kind, all);
  return { node: make("div", { class: "switches" }, grid, line), draw: () => { kind.value = state.ablation; draw(); } };
}

function neuronKeys(shape, state, change) {
  const field = (name, most) => {
    const input = make("input", { type: "number", min: 0, max: most - 1, value: state[name] });
    input.addEventListener("input", () => {
      const value = Math.trunc(Number(input.value));
      if (input.value === "" || !(value >= 0 && value < most)) return;
      state[name] = value;
      change();
    });
    return [make("label", {}, `${name} `, input), input];
  };
  const [layer, layerInput] = field("layer", shape.layers);
  const [neuron, neuronInput] = field("neuron", shape.neurons);
  const off = make("input", { type: "checkbox" });
  off.addEventListener("change", () => {
    state.off = off.checked;
    change();
  });
  const push = slider("push", state.push, -8, 8, 0.5, (value) => {
    state.push = value;
    change();
  });
  const node = make("p", { class: "row switches" }, layer, neuron, make("label", {}, off, " off"), push.node);
  const draw = () => {
    [layerInput.value, neuronInput.value, off.checked] = [state.layer, state.neuron, state.off];
    push.set(state.push);
  };
  return { node, draw };
}

// ---- Texts ----

// Running text whose tokens are coloured by numbers; `tell(index)` hears of hover and focus.
function tokensOf(pieces, values, label, tell) {
  const known = values.filter((value) => Number.isFinite(value)).map(Math.abs);
  const most = Math.max(1e-9, ...known);
  const box = make("div", { class: "tokens", role: "group", dir: "auto", "aria-label": `${label}; arrow keys move` });
  const spans = pieces.map((piece, index) => {
    const span = make("span", { class: "token", tabindex: index ? "-1" : "0" }, visible(piece));
    const value = Number.isFinite(values[index]) ? values[index] : 0;
    span.style.setProperty("--shade", Math.abs(value) / most);
    if (value < 0) span.classList.add("down");
    box.append(span);
    return span;
  });
  const at = (event) => spans.indexOf(event.target.closest(".token"));
  for (const kind of ["pointerover", "focusin"]) box.addEventListener(kind, (event) => at(event) >= 0 && tell(at(event), spans));
  box.addEventListener("focusin", (event) => {
    box.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    event.target.setAttribute("tabindex", "0");
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    spans[at(event) + step]?.focus();
  });
  return box;
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;

function ranked(logits) {
  const shares = live.softmax(logits);
  return [shares, Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a])];
}

const nameOf = (model, id) => (model.ends.has(id) ? "(the end)" : quoted(model.tokenizer.decode([id])));

// The likeliest next words, and those that `marks` holds shares of, drawn as strokes across the bars.
function bars(model, logits, marks) {
  const [shares, order] = ranked(logits);
  const markOf = (id) => (marks.size ? marks.get(model.tokenizer.decode([id])) : undefined);
  const likely = (id, at) => !at || (at < BARS && shares[id] >= 0.005);
  return order.filter((id, at) => likely(id, at) || markOf(id) !== undefined).map((id) => {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${100 * shares[id]}%`;
    const line = make("span", { class: "line" }, bar);
    const mark = markOf(id);
    if (mark !== undefined) {
      const stroke = make("span", { class: "stroke", role: "img", "aria-label": `people: ${percent(mark)}` });
      stroke.style.left = `${100 * mark}%`;
      line.append(stroke);
    }
    return make("li", {}, make("bdi", {}, nameOf(model, id)), line, make("span", {}, percent(shares[id])));
  });
}

// What the model would say behind the last token if it stopped after each layer (the logit lens).
function layers(model, streams) {
  return streams.map((stream, layer) => {
    const [shares, [id]] = ranked(model.unembed(stream, 1));
    const inside = layer ? `after layer ${layer - 1}` : "the word itself";
    const name = layer === model.shape.layers ? "the end" : inside;
    return make("li", {}, make("span", {}, name), make("bdi", {}, nameOf(model, id)), make("span", {}, percent(shares[id])));
  });
}

// ---- Tasks: words behind which an answer is read ----

// What is true behind each word; undefined where nothing is known. Clauses are three words: a move, a value or
// the name of one, and the name that gets what the move leads to. Without clauses the moves follow a value.
function truths(words, { moves, clauses }) {
  const leads = new Map(Object.entries(moves).map(([value, to]) => [value, new Map(Object.entries(to))]));
  if (!clauses) {
    let at;
    return words.map((word) => (at = leads.has(word) ? word : leads.get(at)?.get(word)));
  }
  const known = new Map(Array.from(leads.keys(), (value) => [value, value]));
  for (let before = 0; before < known.size;) {
    before = known.size;
    for (let at = 0; at + 2 < words.length; at += 3) {
      const value = leads.get(known.get(words[at + 1]))?.get(words[at]);
      if (value !== undefined && !known.has(words[at + 2])) known.set(words[at + 2], value);
    }
  }
  return words.map((word) => known.get(word));
}

// ---- One figure ----

const START = { temperature: 0, seed: 0, heads: [], head: [0, 0], ablation: "mean", layer: 0, neuron: 0, off: false, push: 0 };

class Playground {
  // `keep(state)` writes the state into the address, where there is one; `given` is what such an address held.
  constructor(record, keep = null, given = null, id = "") {
    // What the records of older runs do not say stands first.
    Object.assign(this, { record: { writes: true, examples: [], task: null, ...record }, keep, id });
    this.models = record.models.map(({ name, block }) => [name, new live.Model(block)]);
    this.state = { ...this.first(), ...(given && this.sound(given)) };
    this.turns = { answer: 0, next: 0, look: 0, task: 0 };
    this.build();
  }

  sound(given) {
    return typeof given === "object" ? sound(given, this.models[0][1].shape) : {};
  }

  // Shows a state that came by an address.
  take(given) {
    Object.assign(this.state, this.first(), this.sound(given));
    this.refresh(false);
  }

  first() {
    return { ...START, ...this.record.state, text: this.record.text };
  }

  build() {
    const { record, state } = this;
    const shape = this.models[0][1].shape;
    this.field = make("textarea", { rows: 3, spellcheck: "false", maxlength: 4000 });
    this.field.addEventListener("input", () => {
      state.text = this.field.value;
      this.later();
    });
    for (const kind of ["keyup", "click"]) this.field.addEventListener(kind, () => this.nextWords());
    this.heat = slider("temperature", 0, 0, 1.5, 0.1, (value) => {
      state.temperature = value;
      this.later();
    });
    const again = button("another draw", () => {
      state.seed += 1;
      if (!state.temperature) state.temperature = 0.8;
      this.refresh();
    });
    const reset = button("start again", () => {
      Object.assign(state, this.first());
      this.refresh();
    });
    const tools = make("p", { class: "row" }, ...(record.writes ? [this.heat.node, again] : []), reset);
    if (this.keep) tools.append(this.copier(), button("save this page", () => this.save()));
    this.parts = [];
    const change = (looking) => (looking === true ? this.look() : this.refresh());
    if (record.parts.includes("heads")) this.parts.push(headKeys(shape, state, change));
    if (record.parts.includes("neurons")) this.parts.push(neuronKeys(shape, state, change));
    this.status = make("p", { class: "status", role: "status" });
    this.columns = make("div", { class: "columns" });
    this.strip = make("div", { class: "strip" });
    const label = make("label", { class: "yours" }, make("b", {}, record.task ? "Your words" : "Your beginning"), this.field);
    this.hint = make("p", { class: "hint" });
    this.node = make("div", { class: "wb-live mathjax_ignore tex2jax_ignore", "data-lm-suppress-shortcuts": "true" },
      label, ...this.examples(), this.hint, tools, ...this.parts.map((part) => part.node), this.status, this.columns, this.strip);
    this.refresh(false);
  }

  // Texts to try at a touch; `example` is the one that stands there unchanged.
  examples() {
    const { examples } = this.record;
    const take = (text) => {
      this.state.text = text;
      this.refresh();
    };
    if (!examples.length) return [];
    if (examples.length <= CHIPS) {
      return [make("p", { class: "row", role: "group", "aria-label": "Texts to try" }, "Try ",
        ...examples.map(({ label, text }) => button(label, () => take(text))))];
    }
    this.menu = make("select", {}, make("option", { value: "" }, "your own"));
    examples.forEach(({ label }, at) => this.menu.append(make("option", { value: String(at) }, label)));
    this.menu.addEventListener("change", () => this.menu.value && take(examples[Number(this.menu.value)].text));
    return [make("p", { class: "row" }, make("label", {}, "Try ", this.menu))];
  }

  get example() {
    return this.record.examples.findIndex(({ text }) => text === this.state.text);
  }

  // The page as it was sent, but for the state in which this figure begins.
  save() {
    const page = pristine.cloneNode(true);
    const script = page.querySelector(`#${CSS.escape(this.id)} script.record`);
    const record = { ...this.record, state: this.state, text: this.state.text };
    script.textContent = JSON.stringify(record).replaceAll("<", "\\u003c");
    const link = make("a", { download: `${this.id}.html` });
    link.href = URL.createObjectURL(new Blob([`<!doctype html>\n${page.outerHTML}`], { type: "text/html" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  copier() {
    const copy = button("copy link", async () => {
      this.keep(this.state);
      try {
        await navigator.clipboard.writeText(location.href);
        copy.textContent = "copied";
      } catch {
        copy.textContent = "the address holds it";
      }
      setTimeout(() => { copy.textContent = "copy link"; }, 1500);
    });
    return copy;
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), PAUSE);
  }

  // Works unless work of the same kind has begun since, which makes it stale: nobody hears of it then.
  async only(kind, work) {
    this.turns[kind] += 1;
    const turn = this.turns[kind];
    const stale = () => turn !== this.turns[kind];
    try {
      await work(stale);
    } catch (error) {
      if (!stale()) this.complain(error);
    }
  }

  // Everything anew; what is still being worked out is stale.
  refresh(touched = true) {
    const { state } = this;
    if (this.field.value !== state.text) this.field.value = state.text;
    this.heat.set(state.temperature);
    if (this.menu) this.menu.value = this.example < 0 ? "" : String(this.example);
    this.hint.textContent = this.record.examples[this.example]?.hint ?? "";
    this.parts.forEach((part) => part.draw());
    if (touched) this.keep?.(state);
    this.turns.look += 1;
    this.only("answer", (stale) => this.answer(stale));
  }

  complain(error) {
    this.status.textContent = error instanceof live.Refused ? error.message : `This went wrong: ${error.message}`;
  }

  // What is changed in the models by heads and neurons; null where nothing is.
  changes() {
    const { record, state } = this;
    const change = {};
    if (record.parts.includes("heads") && state.heads.length) {
      Object.assign(change, { heads: state.heads, ablation: state.ablation });
    }
    if (record.parts.includes("neurons")) {
      if (state.off) change.neurons = [[state.layer, state.neuron]];
      if (state.push) change.steer = [[state.layer, state.neuron, state.push]];
    }
    return Object.keys(change).length ? change : null;
  }

  async answer(stale) {
    const change = this.changes();
    const runs = this.models.flatMap(([name, model]) => [
      { name, model, changes: {} },
      ...(change ? [{ name: `${name}, changed`, model, changes: change }] : []),
    ]);
    this.runs = runs;
    this.columns.replaceChildren(...runs.map((run) => {
      const about = visible(Object.values(run.model.about).join(", "));
      run.box = make("p", { class: "written", dir: "auto", "aria-live": "polite", "aria-busy": "true" });
      run.next = make("ol", { class: "next" });
      run.after = make("p", { class: "after" });
      run.layers = make("ol", { class: "layers", "aria-label": "What it would say after each layer" });
      run.task = make("div", { class: "task" });
      const shown = [this.record.task && run.task, this.record.writes && run.box, run.after, run.next, run.layers];
      return make("section", {}, make("h5", {}, run.name, make("span", {}, about)), ...shown.filter(Boolean));
    }));
    this.status.textContent = "";
    if (this.record.task) await this.answerTask();
    await this.nextWords();
    if (this.record.parts.length && !stale()) await this.look();
    if (!this.record.writes) return;
    const { text, temperature, seed } = this.state;
    for (const run of runs) {
      if (stale()) return;
      const begun = make("span", { class: "begun" }, visible(ending(text, 200)));
      const rest = make("span");
      run.box.replaceChildren(begun, rest);
      const say = (written) => {
        rest.textContent = visible(written);
        return !stale();
      };
      const ids = run.model.tokenizer.encode(text);
      const options = { tokens: TOKENS, temperature, topP: 0.95, seed, changes: run.changes, say };
      if (ids.length) await run.model.goOn(ids, options);
      run.box.setAttribute("aria-busy", "false");
    }
  }

  // What may follow at the cursor, or behind the text.
  nextWords() {
    const at = document.activeElement === this.field ? this.field.selectionStart : this.state.text.length;
    const before = this.state.text.slice(0, at);
    const given = Object.entries(this.record.examples[this.example]?.shares ?? {});
    const marks = new Map(given.map(([word, share]) => [` ${word}`, share]));
    return this.only("next", async (stale) => {
      for (const run of this.runs) {
        const ids = run.model.tokenizer.encode(before);
        const { tokenizer, shape } = run.model;
        // Nothing follows where nothing begins, where all is read both ways, or where a word is not known.
        const strange = ids.slice(tokenizer.first.length).includes(tokenizer.unknown);
        if (!ids.length || !shape.causal || strange) return;
        const streams = [];
        const watch = (layer, name, values) => {
          if (name === "residual") streams[layer] = values.slice(-run.model.shape.hidden);
        };
        const options = { changes: run.changes, watch: this.record.parts.includes("layers") ? watch : null };
        const logits = await run.model.read(run.model.start(), ids, options);
        if (stale()) return;
        run.after.replaceChildren("after ", make("bdi", {}, quoted(ending(before))));
        run.next.replaceChildren(...bars(run.model, logits, marks));
        if (streams.length) run.layers.replaceChildren(...layers(run.model, streams));
      }
    });
  }

  // The answers behind the words of a task, each beside what is true; a touch puts another word in a word's place.
  answerTask() {
    const { task } = this.record;
    const words = this.state.text.match(/\S+/g) ?? [];
    const right = truths(words, task);
    return this.only("task", async (stale) => {
      for (const run of this.runs) {
        const { tokenizer, shape } = run.model;
        const ids = words.map((word) => tokenizer.encode(` ${word}`).slice(tokenizer.first.length));
        const strange = words.filter((_, at) => ids[at].length !== 1 || ids[at][0] === tokenizer.unknown);
        if (strange.length) {
          live.refuse(`No word of this task: ${strange.slice(0, 3).map(quoted).join(", ")}. It knows ${task.classes.flat().join(", ")}.`);
        }
        const options = { all: true, changes: run.changes };
        const logits = await run.model.read(run.model.start(), [...tokenizer.first, ...ids.flat()], options);
        if (stale()) return;
        const choices = task.answers.map((answer) => tokenizer.encode(` ${answer}`).at(-1));
        let [answered, hits] = [0, 0];
        const items = words.map((word, at) => {
          const item = make("span", { class: "word" }, this.wordKey(words, at));
          if (!task.asked.includes(word)) return item;
          const row = (at + tokenizer.first.length) * shape.vocabulary;
          const scores = choices.map((id) => logits[row + id]);
          const shares = live.softmax(scores);
          const best = scores.indexOf(Math.max(...scores));
          const answer = make("span", { class: "said" }, task.answers[best]);
          answer.title = `${percent(shares[best])} of the answers' probability`;
          item.append(answer);
          if (right[at] !== undefined) {
            const hit = task.answers[best] === right[at];
            [answered, hits] = [answered + 1, hits + hit];
            answer.classList.add(hit ? "right" : "wrong");
            answer.append(hit ? " ✓" : " ✗");
            if (!hit) item.append(make("span", { class: "said" }, `is ${right[at]}`));
          }
          return item;
        });
        const size = task.clauses ? 3 : words.length;
        const groups = Array.from({ length: Math.ceil(words.length / size) }, (_, at) => items.slice(size * at, size * (at + 1)));
        run.task.replaceChildren(...groups.map((group) => make("p", { class: "clause" }, ...group)),
          make("p", { class: "after" }, answered ? `${hits} of ${answered} right` : ""));
      }
    });
  }

  // A word of a task; pressed, the next word of its kind stands there.
  wordKey(words, at) {
    const kind = this.record.task.classes.find((one) => one.includes(words[at]));
    if (!kind) return make("span", {}, visible(words[at]));
    const key = button(visible(words[at]), () => {
      const next = kind[(kind.indexOf(words[at]) + 1) % kind.length];
      this.state.text = words.with(at, next).join(" ");
      this.refresh();
    });
    key.setAttribute("aria-label", `${words[at]}; press for another word`);
    return key;
  }

  // The text token by token: how surprising each is, what changes it, what the head looks at, where the neuron fires.
  look() {
    this.parts.forEach((part) => part.draw());
    return this.only("look", (stale) => this.readThrough({ ...this.state }, stale));
  }

  async readThrough(state, stale) {
    const { record } = this;
    const [, model] = this.models[0];
    const ids = model.tokenizer.encode(state.text);
    const pieces = ids.map((id, index) => (index < model.tokenizer.first.length ? "" : model.tokenizer.decode([id])));
    const change = this.changes();
    const patterns = ids.map(() => []);
    const fired = [];
    const { heads, neurons } = model.shape;
    const watch = (layer, name, values, from) => {
      if (stale()) throw new Error("another head or text is looked at by now");
      if (name === "pattern" && layer === state.head[0]) this.rows(values, from, heads, state.head[1], patterns);
      if (name === "neuron" && layer === state.layer) {
        for (let t = 0; t < values.length / neurons; t += 1) fired[from + t] = values[t * neurons + state.neuron];
      }
    };
    const whole = await model.losses(ids, {}, watch);
    const off = change ? await model.losses(ids, change) : null;
    if (stale()) return;
    const known = (values) => values.slice(1);
    const now = off ? off.map((value, index) => value - whole[index]) : whole;
    const reads = make("span", { class: "readout", "aria-live": "polite" });
    const told = (unit, values) => (index, spans) => {
      reads.replaceChildren(make("bdi", {}, quoted(pieces[index])), ` ${Number.isFinite(values[index]) ? signed(values[index]) : "–"} ${unit}`);
      if (!record.parts.includes("heads")) return;
      const most = Math.max(...patterns[index], 1e-9);
      spans.forEach((span, k) => {
        span.style.setProperty("--seen", k <= index ? (patterns[index][k] ?? 0) / most : 0);
        span.classList.toggle("reader", k === index);
      });
    };
    const title = off
      ? `Your text: ${written(known(whole))} → ${written(known(off))} nats a token (${written(known(now), true)})`
      : `Your text: ${written(known(whole))} nats a token`;
    const unit = off ? "nats more" : "nats";
    const shown = [make("h5", {}, title, reads), tokensOf(pieces, now, "Surprise at each token", told(unit, now))];
    if (record.parts.includes("heads")) {
      shown.push(make("p", { class: "hint" }, `Point at a word: underlined is what layer ${state.head[0]}, head ${state.head[1]} looks at from there.`));
    }
    if (record.parts.includes("neurons")) {
      shown.push(make("h5", {}, `Where neuron ${state.neuron} of layer ${state.layer} fires`));
      shown.push(tokensOf(pieces, fired, "Activation at each token", told("", fired)));
    }
    this.strip.replaceChildren(...shown);
  }

  rows(values, from, heads, head, patterns) {
    // A slice of t tokens behind `from` holds t rows of heads x (from + t) weights.
    const count = (Math.sqrt(from * from + (4 * values.length) / heads) - from) / 2;
    const width = from + count;
    for (let t = 0; t < count; t += 1) {
      const at = (t * heads + head) * width;
      patterns[from + t] = Array.from(values.subarray(at, at + from + t + 1));
    }
  }
}

// ---- Where it stands ----

// The state in an address that begins with this name; null where there is none.
function stateOf(name) {
  try {
    const address = decodeURIComponent(location.hash.slice(1));
    if (!address.startsWith(name)) return null;
    const bytes = Uint8Array.from(atob(address.slice(name.length)), (letter) => letter.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

// Only what is of the right kind is taken over from an address that anyone may have written.
function sound(given, shape) {
  const state = {};
  const whole = (value, most) => Number.isInteger(value) && value >= 0 && value < most;
  const between = (value, low, high) => typeof value === "number" && value >= low && value <= high;
  const head = (one) => Array.isArray(one) && whole(one[0], shape.layers) && whole(one[1], shape.heads);
  const heads = Array.isArray(given.heads) ? given.heads.slice(0, shape.layers * shape.heads).filter(head) : [];
  if (typeof given.text === "string") state.text = given.text.slice(0, 4000);
  if (between(given.temperature, 0, 1.5)) state.temperature = given.temperature;
  if (whole(given.seed, 1e9)) state.seed = given.seed;
  state.heads = heads.map(([layer, one]) => [layer, one]).filter((one, at, all) => all.findIndex((other) => same(one, other)) === at);
  if (head(given.head)) state.head = [given.head[0], given.head[1]];
  if (["mean", "zero"].includes(given.ablation)) state.ablation = given.ablation;
  if (whole(given.layer, shape.layers)) state.layer = given.layer;
  if (whole(given.neuron, shape.neurons)) state.neuron = given.neuron;
  if (typeof given.off === "boolean") state.off = given.off;
  if (between(given.push, -8, 8)) state.push = given.push;
  return state;
}

function still(figure) {
  const record = JSON.parse(figure.querySelector("script.record").textContent);
  const name = `${figure.id}=`;
  const keep = (state) => {
    const text = btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(state))));
    try {
      history.replaceState(null, "", `#${name}${text}`);
    } catch {
      // A frame without an address of its own, or too many changes a second: the figure goes on without it.
    }
  };
  const given = stateOf(name);
  const playground = new Playground(record, keep, given, figure.id);
  figure.querySelector(".place").replaceChildren(playground.node);
  if (given) figure.scrollIntoView();
  window.addEventListener("hashchange", () => {
    const pasted = stateOf(name);
    if (pasted) playground.take(pasted);
  });
}

function render({ model, el }) {
  const show = (node) => el.replaceChildren(node);
  try {
    show(new Playground(model.get("record")).node);
  } catch (error) {
    show(make("p", { class: "wb-live status" }, error.message));
  }
}

for (const figure of document.querySelectorAll("figure.playground")) {
  try {
    still(figure);
  } catch (error) {
    figure.querySelector(".place").replaceChildren(make("p", { class: "wb-live status" }, error.message));
  }
}

export default { render };
