// A small language model that runs in the page: tokenizer, forward pass, sampling, and hooks on heads and
// neurons. `engine/live.py` writes the block that it reads; nothing is loaded from anywhere. Long texts are
// read a few tokens at a time, with a rest for the page in between.

const LIMITS = {
  layers: 64, hidden: 4096, heads: 64, kv_heads: 64, head_dim: 1024, neurons: 16384, vocabulary: 65536, context: 4096,
};
const NUMBERS = 1e7; // of all weights together
const REST = 24; // milliseconds of work before the page gets its turn

// What a reader can do nothing about but know: shown as it is, one sentence.
class Refused extends Error {}

function refuse(sentence) {
  throw new Refused(sentence);
}

// ---- The block ----

function crc32(bytes) {
  const table = Int32Array.from({ length: 256 }, (_, n) => {
    for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n;
  });
  let sum = -1;
  for (const byte of bytes) sum = (sum >>> 8) ^ table[(sum ^ byte) & 255];
  return (sum ^ -1) >>> 0;
}

function within(value, most, name) {
  if (!Number.isInteger(value) || value < 1 || value > most) {
    refuse(`This page cannot run the model: its ${name} is ${value}, and 1 to ${most} fit.`);
  }
  return value;
}

function bytesOf(text) {
  let plain;
  try {
    plain = atob(text);
  } catch {
    refuse("The model in this page is damaged: its weights are not base64. Make the page again.");
  }
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

// Weights as float32, by name: rows of whole numbers with a scale each, or float32 as they stand.
function tensorsOf(block) {
  const bytes = bytesOf(block.weights);
  if (crc32(bytes) !== block.checksum) {
    refuse("The model in this page is damaged: its checksum does not fit. Make the page again.");
  }
  const view = new DataView(bytes.buffer);
  const tensors = new Map();
  let at = 0;
  for (const [name, rows, columns, kind] of block.tensors) {
    const size = { int8: 1, int16: 2, fp32: 4 }[kind];
    const n = rows * columns;
    const first = at + (kind === "fp32" ? 0 : 4 * rows); // behind the scales
    const end = first + size * n;
    if (!Number.isSafeInteger(n) || n < 1 || !(end <= bytes.length)) {
      refuse(`The model in this page is damaged: ${name} lies outside its weights. Make the page again.`);
    }
    const values = new Float32Array(n);
    const read = { int8: (i) => view.getInt8(i), int16: (i) => view.getInt16(i, true), fp32: (i) => view.getFloat32(i, true) }[kind];
    for (let row = 0; row < rows; row += 1) {
      const scale = kind === "fp32" ? 1 : view.getFloat32(at + 4 * row, true);
      for (let i = row * columns; i < (row + 1) * columns; i += 1) values[i] = read(first + size * i) * scale;
    }
    tensors.set(name, values);
    at = end;
  }
  return tensors;
}

// ---- Tokens: byte-level BPE, or whole words ----

const WORDS = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;
const BYTES = byteLetters();

// The letter that byte-level BPE writes for each byte: itself where it can be seen, else one from U+0100 on.
function byteLetters() {
  const seen = (byte) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(seen(byte) ? byte : next++));
}

class Tokenizer {
  constructor({ tokens, merges = [], special, nfc, prefix_space: prefixSpace, first, unknown }) {
    Object.assign(this, { tokens, nfc, prefixSpace, first, unknown });
    if (special.some((id) => !tokens[id])) refuse("The tokenizer in this page is damaged: a special token is empty.");
    this.ids = new Map(tokens.map((token, id) => [token, id]));
    this.special = new Map(special.map((id) => [tokens[id], id]));
    this.known = new Map();
    this.ranks = new Map(merges.map(([left, right], rank) => {
      const whole = this.ids.get(tokens[left] + tokens[right]);
      if (whole === undefined) refuse("The tokenizer in this page is damaged: a merge has no token.");
      return [left * tokens.length + right, [rank, whole]];
    }));
    const bytes = new Map(BYTES.map((letter, byte) => [letter, byte]));
    this.bytes = tokens.map((token) => Uint8Array.from(token, (letter) => bytes.get(letter) ?? 63));
    for (const [text, id] of this.special) this.bytes[id] = new TextEncoder().encode(text);
  }

  // Tokens of a text, with what begins every text in front.
  encode(text) {
    const ids = [...this.first];
    for (const piece of this.split(text.toWellFormed?.() ?? text)) {
      if (this.special.has(piece)) ids.push(this.special.get(piece));
      else ids.push(...this.plain(piece));
    }
    return ids;
  }

  split(text) {
    const pieces = [];
    while (text) {
      let [at, name] = [text.length, ""];
      for (const special of this.special.keys()) {
        const found = text.indexOf(special);
        if (found >= 0 && (found < at || (found === at && special.length > name.length))) {
          [at, name] = [found, special];
        }
      }
      pieces.push(...[text.slice(0, at), name].filter(Boolean));
      text = text.slice(at + name.length);
    }
    return pieces;
  }

  plain(text) {
    let whole = this.nfc ? text.normalize("NFC") : text;
    if (this.prefixSpace && !/^\p{White_Space}/u.test(whole)) whole = ` ${whole}`;
    return (whole.match(WORDS) ?? []).flatMap((word) => this.word(word));
  }

  word(word) {
    if (!this.known.has(word)) {
      if (this.known.size > 20000) this.known.clear();
      const letters = Array.from(new TextEncoder().encode(word), (byte) => this.ids.get(BYTES[byte]));
      if (letters.includes(undefined)) refuse("The tokenizer in this page cannot write every byte.");
      this.known.set(word, this.merge(letters));
    }
    return this.known.get(word);
  }

  merge(ids) {
    for (;;) {
      let [best, whole] = [Infinity, -1];
      for (let i = 1; i < ids.length; i += 1) {
        const [rank, merged] = this.ranks.get(ids[i - 1] * this.tokens.length + ids[i]) ?? [Infinity];
        if (rank < best) [best, whole] = [rank, merged];
      }
      if (best === Infinity) return ids;
      const next = [];
      for (let i = 0; i < ids.length; i += 1) {
        const pair = this.ranks.get(ids[i] * this.tokens.length + ids[i + 1]);
        if (i + 1 < ids.length && pair?.[0] === best) {
          next.push(whole);
          i += 1;
        } else next.push(ids[i]);
      }
      ids = next;
    }
  }

  // Text of tokens; of a character whose bytes are not all there, its replacement sign. A model may have more
  // rows than there are tokens: those say nothing.
  decode(ids) {
    const all = ids.flatMap((id) => Array.from(this.bytes[id] ?? []));
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(all));
  }
}

// A token for each word of a closed language; every other word is read as `unknown`.
class WordTokenizer extends Tokenizer {
  constructor(block) {
    super(block);
    if (!this.tokens[this.unknown]) refuse("The tokenizer in this page is damaged: it has no token for unknown words.");
  }

  plain(text) {
    return (text.match(/\P{White_Space}+/gu) ?? []).map((word) => this.ids.get(word) ?? this.unknown);
  }

  // A text that follows another one: each word behind a space.
  decode(ids) {
    return ids.map((id) => ` ${this.tokens[id] ?? ""}`).join("");
  }
}

// ---- Arithmetic ----

// y[t, r] = x[t] · w[r] + b[r]. Two rows and four tokens at a time, or four rows and one token: what is read
// from memory serves several sums. An odd row is computed twice.
function linear(x, count, w, bias, width, height) {
  const y = new Float32Array(count * height);
  let t = 0;
  for (; t + 4 <= count; t += 4) {
    const [p0, p1, p2, p3] = [t * width, (t + 1) * width, (t + 2) * width, (t + 3) * width];
    for (let r = 0; r < height; r += 2) {
      const u = r * width;
      const v = r + 1 < height ? u + width : u;
      let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let i = 0; i < width; i += 1) {
        const [wa, wb] = [w[u + i], w[v + i]];
        const [x0, x1, x2, x3] = [x[p0 + i], x[p1 + i], x[p2 + i], x[p3 + i]];
        a0 += wa * x0;
        a1 += wa * x1;
        a2 += wa * x2;
        a3 += wa * x3;
        b0 += wb * x0;
        b1 += wb * x1;
        b2 += wb * x2;
        b3 += wb * x3;
      }
      const at = t * height + r;
      y[at] = a0;
      y[at + height] = a1;
      y[at + 2 * height] = a2;
      y[at + 3 * height] = a3;
      if (v === u) continue;
      y[at + 1] = b0;
      y[at + height + 1] = b1;
      y[at + 2 * height + 1] = b2;
      y[at + 3 * height + 1] = b3;
    }
  }
  for (; t < count; t += 1) {
    const p = t * width;
    for (let r = 0; r < height; r += 4) {
      const u = r * width;
      const [v, q, s] = [Math.min(r + 1, height - 1) * width, Math.min(r + 2, height - 1) * width, Math.min(r + 3, height - 1) * width];
      let [a, b, c, d] = [0, 0, 0, 0];
      for (let i = 0; i < width; i += 1) {
        const value = x[p + i];
        a += w[u + i] * value;
        b += w[v + i] * value;
        c += w[q + i] * value;
        d += w[s + i] * value;
      }
      const at = t * height + r;
      y[at] = a;
      if (v > u) y[at + 1] = b;
      if (q > v) y[at + 2] = c;
      if (s > q) y[at + 3] = d;
    }
  }
  if (bias) for (let at = 0; at < y.length; at += 1) y[at] += bias[at % height];
  return y;
}

function normed(x, count, width, weight, bias, eps) {
  const y = new Float32Array(x.length);
  for (let t = 0; t < count; t += 1) {
    const from = t * width;
    let [sum, squares] = [0, 0];
    for (let i = 0; i < width; i += 1) sum += x[from + i];
    const mean = bias ? sum / width : 0; // RMSNorm has neither
    for (let i = 0; i < width; i += 1) squares += (x[from + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i += 1) y[from + i] = (x[from + i] - mean) * scale * weight[i] + (bias ? bias[i] : 0);
  }
  return y;
}

const ACTIVATIONS = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(0.7978845608028654 * x * (1 + 0.044715 * x * x))),
};

function plus(x, y) {
  for (let i = 0; i < x.length; i += 1) x[i] += y[i];
}

// The logarithm of the sum of the exponentials of `n` logits from `at` on.
function logSum(logits, at = 0, n = logits.length) {
  let [most, sum] = [-Infinity, 0];
  for (let i = at; i < at + n; i += 1) if (logits[i] > most) most = logits[i];
  for (let i = at; i < at + n; i += 1) sum += Math.exp(logits[i] - most);
  return most + Math.log(sum);
}

function softmax(logits) {
  const total = logSum(logits);
  return logits.map((value) => Math.exp(value - total));
}

// Random numbers from 0 to 1 that depend on the seed alone (mulberry32).
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// A token drawn from logits: temperature 0 takes the likeliest, else from the likeliest that hold `topP`.
function draw(logits, { temperature = 1, topP = 1 }, chance) {
  if (!temperature) return logits.reduce((best, value, id) => (value > logits[best] ? id : best), 0);
  const shares = softmax(logits.map((value) => value / temperature));
  const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]);
  let [mass, kept] = [0, 0];
  while (kept < order.length && (mass < topP || !kept)) mass += shares[order[kept++]];
  let left = chance() * mass;
  for (const id of order.slice(0, kept)) if ((left -= shares[id]) <= 0) return id;
  return order[0];
}

const rest = () => new Promise((resume) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    resume();
  };
  port2.postMessage(0);
});

// ---- The model ----

// What may be changed in a pass: `heads` off ([layer, head], replaced by "zero" or "mean"), `neurons` off
// ([layer, neuron]), `steer` ([layer, neuron, added activation]); `add` ([layer, vector] to the residual).
class Model {
  constructor(block) {
    if (block.format !== 1) refuse("The model in this page is of another version: make the page again.");
    const shape = { causal: true, ...block.shape }; // which older blocks do not say
    for (const [name, most] of Object.entries(LIMITS)) within(shape[name], most, name);
    const numbers = within(block.tensors.reduce((sum, [, rows, columns]) => sum + rows * columns, 0), NUMBERS, "number of weights");
    if (!ACTIVATIONS[shape.activation]) refuse(`This page knows no activation ${shape.activation}.`);
    Object.assign(this, { shape, about: block.about ?? {}, ends: new Set(block.ends), weights: tensorsOf(block) });
    this.check();
    const kind = block.tokenizer.unknown === undefined ? Tokenizer : WordTokenizer;
    this.tokenizer = new kind(block.tokenizer);
    // Who reads both ways reads all at once.
    this.slice = shape.causal ? Math.max(1, Math.min(64, Math.floor(2e7 / numbers))) : shape.context;
  }

  // Every tensor that a pass reads must be there, and be as large as the shape says.
  check() {
    const { layers, hidden, heads, kv_heads: shared, head_dim: size, neurons, vocabulary, context } = this.shape;
    const sizes = { embedding: vocabulary * hidden, "norm.weight": hidden };
    const optional = { output: vocabulary * hidden, positions: context * hidden, "norm.bias": hidden };
    optional["embedding_norm.weight"] = optional["embedding_norm.bias"] = hidden;
    for (let layer = 0; layer < layers; layer += 1) {
      const rows = { q: heads * size, k: shared * size, v: shared * size, o: hidden, up: neurons, gate: neurons, down: hidden };
      const columns = { o: heads * size, down: neurons };
      for (const [name, n] of Object.entries(rows)) {
        (name === "gate" ? optional : sizes)[`${layer}.${name}.weight`] = n * (columns[name] ?? hidden);
        optional[`${layer}.${name}.bias`] = n;
      }
      for (const name of ["norm1", "norm2"]) {
        sizes[`${layer}.${name}.weight`] = optional[`${layer}.${name}.bias`] = hidden;
      }
    }
    const wrong = (name, n) => this.weights.get(name)?.length !== n;
    const name = Object.keys(sizes).find((one) => wrong(one, sizes[one]))
      ?? Object.keys(optional).find((one) => this.weights.has(one) && wrong(one, optional[one]));
    if (name) refuse(`The model in this page is damaged: ${name} is missing or of another size. Make the page again.`);
  }

  // Keys and values of what was read; nothing yet.
  start() {
    const { layers, kv_heads: heads, head_dim: width, context } = this.shape;
    const room = () => new Float32Array(context * heads * width);
    return { length: 0, keys: Array.from({ length: layers }, room), values: Array.from({ length: layers }, room) };
  }

  weight(layer, name) {
    return this.weights.get(layer === null ? name : `${layer}.${name}`);
  }

  // Reads tokens behind what `cache` holds; returns the logits of the last, or of all. `watch` is called with
  // (layer, name, values, first position): "residual" [tokens, width], "neuron" [tokens, neurons], "pattern"
  // [tokens, heads, positions].
  async read(cache, ids, { changes = {}, all = false, watch = null } = {}) {
    const { vocabulary, context } = this.shape;
    if (cache.length + ids.length > context) {
      refuse(`The model reads ${context} tokens at most, and this text has ${cache.length + ids.length}.`);
    }
    let logits = null;
    const rows = all ? new Float32Array(ids.length * vocabulary) : null;
    let since = performance.now();
    for (let at = 0; at < ids.length; at += this.slice) {
      const part = ids.slice(at, at + this.slice);
      const last = at + part.length >= ids.length;
      logits = this.pass(cache, part, changes, all ? part.length : last ? 1 : 0, watch);
      rows?.set(logits, at * vocabulary);
      if (!last && performance.now() - since > REST) {
        await rest();
        since = performance.now();
      }
    }
    return rows ?? logits;
  }

  // One slice of tokens through all layers; logits of its last `wanted` ones.
  pass(cache, ids, changes, wanted, watch) {
    const { hidden: width, layers, eps, vocabulary } = this.shape;
    const count = ids.length;
    let x = this.embed(ids, cache.length);
    for (let layer = 0; layer < layers; layer += 1) {
      const norm = (name) => normed(x, count, width, this.weight(layer, `${name}.weight`), this.weight(layer, `${name}.bias`), eps);
      watch?.(layer, "residual", x, cache.length);
      plus(x, this.attend(layer, norm("norm1"), cache, count, changes, watch));
      plus(x, this.think(layer, norm("norm2"), count, changes, watch, cache.length));
      for (const [where, vector] of changes.add ?? []) {
        if (where === layer) for (let t = 0; t < count; t += 1) vector.forEach((value, i) => { x[t * width + i] += value; });
      }
    }
    watch?.(layers, "residual", x, cache.length);
    cache.length += count;
    if (!wanted) return null;
    return this.unembed(x.subarray((count - wanted) * width), wanted, vocabulary);
  }

  // Logits of a residual stream [tokens, width]: the last norm and the output layer, as the logit lens has it.
  unembed(x, count, vocabulary = this.shape.vocabulary) {
    const { hidden: width, eps } = this.shape;
    const y = normed(x, count, width, this.weight(null, "norm.weight"), this.weight(null, "norm.bias"), eps);
    return linear(y, count, this.weight(null, "output") ?? this.weight(null, "embedding"), null, width, vocabulary);
  }

  embed(ids, from) {
    const { hidden: width, eps } = this.shape;
    const [table, places] = ["embedding", "positions"].map((name) => this.weight(null, name));
    const x = new Float32Array(ids.length * width);
    ids.forEach((id, t) => {
      x.set(table.subarray(id * width, (id + 1) * width), t * width);
      if (places) for (let i = 0; i < width; i += 1) x[t * width + i] += places[(from + t) * width + i];
    });
    const scale = this.weight(null, "embedding_norm.weight");
    return scale ? normed(x, ids.length, width, scale, this.weight(null, "embedding_norm.bias"), eps) : x;
  }

  attend(layer, h, cache, count, changes, watch) {
    const { hidden: width, heads, kv_heads: shared, head_dim: size, scale, slopes, windows, causal } = this.shape;
    const project = (name, n) => linear(h, count, this.weight(layer, `${name}.weight`), this.weight(layer, `${name}.bias`), width, n * size);
    const [q, k, v] = [project("q", heads), project("k", shared), project("v", shared)];
    const from = cache.length;
    if (this.shape.theta) [[q, heads], [k, shared]].forEach(([rows, n]) => this.rotate(rows, count, n, from));
    cache.keys[layer].set(k, from * shared * size);
    cache.values[layer].set(v, from * shared * size);
    const [keys, values] = [cache.keys[layer], cache.values[layer]];
    const out = new Float32Array(count * heads * size);
    const pattern = watch ? new Float32Array(count * heads * (from + count)) : null;
    const scores = new Float32Array(from + count);
    for (let t = 0; t < count; t += 1) {
      const to = causal ? from + t : from + count - 1;
      const begin = windows[layer] ? Math.max(0, to - windows[layer] + 1) : 0;
      for (let head = 0; head < heads; head += 1) {
        const query = (t * heads + head) * size;
        const offset = Math.floor((head * shared) / heads) * size;
        let most = -Infinity;
        for (let j = begin; j <= to; j += 1) {
          const key = j * shared * size + offset;
          let sum = 0;
          for (let i = 0; i < size; i += 1) sum += q[query + i] * keys[key + i];
          scores[j] = sum * scale + (slopes ? slopes[head] * j : 0);
          if (scores[j] > most) most = scores[j];
        }
        let total = 0;
        for (let j = begin; j <= to; j += 1) total += scores[j] = Math.exp(scores[j] - most);
        for (let j = begin; j <= to; j += 1) {
          const share = scores[j] / total;
          const value = j * shared * size + offset;
          for (let i = 0; i < size; i += 1) out[query + i] += share * values[value + i];
          if (pattern) pattern[(t * heads + head) * (from + count) + j] = share;
        }
      }
    }
    watch?.(layer, "pattern", pattern, from);
    this.switchOff(layer, out, count, from, changes);
    return linear(out, count, this.weight(layer, "o.weight"), this.weight(layer, "o.bias"), heads * size, width);
  }

  rotate(rows, count, heads, from) {
    const { head_dim: size, theta } = this.shape;
    for (let t = 0; t < count; t += 1) {
      for (let i = 0; i < size / 2; i += 1) {
        const angle = (from + t) * theta ** ((-2 * i) / size);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        for (let head = 0; head < heads; head += 1) {
          const at = (t * heads + head) * size + i;
          const [a, b] = [rows[at], rows[at + size / 2]];
          rows[at] = a * cos - b * sin;
          rows[at + size / 2] = b * cos + a * sin;
        }
      }
    }
  }

  // Heads that are off put out nothing, or what they do on average at that position.
  switchOff(layer, out, count, from, { heads: off = [], ablation = "zero" }) {
    const { heads, head_dim: size } = this.shape;
    const means = ablation === "mean" ? this.weight(layer, "mean") : null;
    if (ablation === "mean" && off.length && !means) refuse("This page holds no means of this model's heads.");
    const last = means ? means.length / (heads * size) - 1 : 0;
    for (const [where, head] of off) {
      if (where !== layer) continue;
      for (let t = 0; t < count; t += 1) {
        const row = Math.min(from + t, last) * heads * size + head * size;
        for (let i = 0; i < size; i += 1) out[(t * heads + head) * size + i] = means ? means[row + i] : 0;
      }
    }
  }

  think(layer, h, count, { neurons = [], steer = [] }, watch, from) {
    const { hidden: width, neurons: wide, activation } = this.shape;
    const act = ACTIVATIONS[activation];
    const weight = (name) => [this.weight(layer, `${name}.weight`), this.weight(layer, `${name}.bias`)];
    const a = linear(h, count, ...weight("up"), width, wide);
    const [gate] = weight("gate");
    if (gate) {
      const g = linear(h, count, ...weight("gate"), width, wide);
      for (let i = 0; i < a.length; i += 1) a[i] *= act(g[i]);
    } else for (let i = 0; i < a.length; i += 1) a[i] = act(a[i]);
    for (const [where, neuron] of neurons) {
      if (where === layer) for (let t = 0; t < count; t += 1) a[t * wide + neuron] = 0;
    }
    for (const [where, neuron, more] of steer) {
      if (where === layer) for (let t = 0; t < count; t += 1) a[t * wide + neuron] += more;
    }
    watch?.(layer, "neuron", a, from);
    return linear(a, count, ...weight("down"), wide, width);
  }

  // Nats of each token of a text after those before it; the first has none (NaN).
  async losses(ids, changes = {}, watch = null) {
    const { vocabulary } = this.shape;
    const logits = await this.read(this.start(), ids, { changes, all: true, watch });
    return ids.map((id, t) => {
      const at = (t - 1) * vocabulary;
      return t ? logSum(logits, at, vocabulary) - logits[at + id] : NaN;
    });
  }

  // How the model goes on: calls `say(text so far, ids)` after every token and stops when it returns false.
  async goOn(ids, { tokens = 60, temperature = 0, topP = 1, seed = 0, changes = {}, say = () => true } = {}) {
    const cache = this.start();
    const chance = random(seed);
    const written = [];
    let logits = await this.read(cache, ids, { changes });
    let since = performance.now();
    while (written.length < tokens && cache.length < this.shape.context) {
      const id = draw(logits, { temperature, topP }, chance);
      if (this.ends.has(id)) break;
      written.push(id);
      if (say(this.tokenizer.decode(written), written) === false) break;
      if (performance.now() - since > REST) {
        await rest();
        since = performance.now();
      }
      logits = this.pass(cache, [id], changes, 1, null);
    }
    return written;
  }
}

const live = { Model, Refused, refuse, softmax };
