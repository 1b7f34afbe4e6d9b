// On every page: a switch for the theme, the section that is being read, and code to copy.

const root = document.documentElement;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// ---- Theme ----

function choose(theme) {
  if (theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    if (theme === "auto") localStorage.removeItem("workbench-theme");
    else localStorage.setItem("workbench-theme", theme);
  } catch {
    // Storage is not allowed here: the choice lasts as long as the page.
  }
  dispatchEvent(new Event("themechange"));
}

const themes = element("div", { className: "themes", role: "group", ariaLabel: "Theme" });
for (const theme of ["auto", "light", "dark"]) {
  const button = element("button", { type: "button", textContent: theme });
  button.addEventListener("click", () => {
    choose(theme);
    mark();
  });
  themes.append(button);
}
function mark() {
  for (const button of themes.children) {
    button.ariaPressed = String(button.textContent === (root.dataset.theme ?? "auto"));
  }
}
mark();
document.querySelector("header .over")?.append(themes);

// ---- Contents ----

const contents = document.querySelector("nav.contents");
const links = [...(contents?.querySelectorAll('a[href^="#"]') ?? [])];
const places = links.map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1))));

function follow() {
  const line = innerHeight * 0.3;
  const atEnd = scrollY > 0 && scrollY + innerHeight >= root.scrollHeight - 2;
  let current = -1;
  places.forEach((place, index) => {
    if (place && (atEnd || place.getBoundingClientRect().top <= line)) current = index;
  });
  links.forEach((link, index) => {
    if (index !== current) link.removeAttribute("aria-current");
    else if (!link.hasAttribute("aria-current")) {
      link.setAttribute("aria-current", "location");
      const list = link.closest("ol");
      const { top, bottom } = link.getBoundingClientRect();
      const box = list.getBoundingClientRect();
      if (top < box.top || bottom > box.bottom) list.scrollTop += top - box.top - box.height / 2;
    }
  });
}

let waiting = false;
function later() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    follow();
  });
}
if (links.length) {
  addEventListener("scroll", later, { passive: true });
  addEventListener("resize", later);
  follow();
}
const narrow = (most) => matchMedia(`(max-width: ${most}px)`).matches;
for (const folded of document.querySelectorAll("nav.contents > details")) folded.open = !narrow(1080);
for (const folded of document.querySelectorAll("details.fold")) folded.open = !narrow(620);

// ---- What is folded must be open where it is linked to, or printed ----

function unfold() {
  const target = document.querySelector(":target");
  const inside = target && (target.closest("details") ?? target.querySelector(":scope > details"));
  if (!inside) return;
  inside.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", unfold);
addEventListener("load", unfold); // before that nothing is the target
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details.claims, details.fold")) part.open = true;
});

// ---- Code ----

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

for (const block of document.querySelectorAll("details.code pre, pre.command, .prose pre")) {
  const button = element("button", { type: "button", className: "copy", textContent: "Copy" });
  button.addEventListener("click", async () => {
    button.textContent = (await copied(block.textContent)) ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  const frame = element("div", { className: "copied" });
  block.replaceWith(frame);
  frame.append(block, button);
}
