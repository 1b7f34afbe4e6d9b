// Of the index: studies and claims by verdict and by words. Without it everything is shown.

const filter = document.querySelector(".filter");
const words = filter.querySelector("input");
const buttons = [...filter.querySelectorAll("button")];
const said = filter.querySelector("output");
const ledgers = [...document.querySelectorAll("details.claims")];
const unfolded = new Set(ledgers.filter((ledger) => ledger.open)); // before anything is asked
let verdict = "";

const texts = new Map();
function text(item) {
  if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
  return texts.get(item);
}

function fits(item, asked, around = "") {
  const whole = `${around} ${text(item)}`;
  return (!verdict || item.dataset.verdict === verdict) && asked.every((word) => whole.includes(word));
}

function apply() {
  const asked = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const isAsked = Boolean(verdict || asked.length);
  for (const item of document.querySelectorAll(".card, .forest tbody tr")) item.hidden = !fits(item, asked);
  let [claims, all] = [0, 0];
  for (const ledger of ledgers) {
    const rows = [...ledger.querySelectorAll("tr.claim")];
    const shown = rows.filter((row) => {
      row.hidden = !fits(row, asked, text(ledger.querySelector("summary")));
      return !row.hidden;
    });
    ledger.parentElement.hidden = isAsked && !shown.length;
    ledger.open = isAsked ? shown.length > 0 : unfolded.has(ledger);
    claims += shown.length;
    all += rows.length;
  }
  const studies = [...document.querySelectorAll(".card")];
  const seen = studies.filter((card) => !card.hidden).length;
  said.textContent = isAsked ? `${seen} of ${studies.length} headlines, ${claims} of ${all} claims` : "";
  for (const button of buttons) button.ariaPressed = String(button.value === verdict);
}

for (const button of buttons) {
  button.addEventListener("click", () => {
    verdict = verdict === button.value ? "" : button.value;
    apply();
  });
}
words.addEventListener("input", apply);
filter.addEventListener("submit", (event) => event.preventDefault());
filter.hidden = false;
apply();
