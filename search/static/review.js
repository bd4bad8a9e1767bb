// The review page: doubtful pairs one after another, judged by key or button. A verdict counts once the service has it.

import * as api from "./api.js";
import { make } from "./dom.js";
import { categoryName, integer, offerLanguages, percent, translate, words } from "./i18n.js";
import "./review-words.js";

const CATEGORIES = ["bag", "bottom", "dress", "hat", "outer", "shoes", "top"];
const KEYS = { a: "accept", r: "reject", s: "unsure" };
const PICTURES = ["photo", "crop", "thumbnail"];
const AHEAD = 3; // pairs whose pictures are fetched before their turn
const WAIT = 1000; // ms until preparing pairs are asked for again

const $ = (id) => document.getElementById(id);

let token = stored(sessionStorage, "token");
let reviewer = stored(localStorage, "reviewer");
let pairs = []; // to look at; the first is shown
let judged = []; // for undo, last one last
let progress = null;
let message = null; // words of what is shown in place of a pair: ["preparing", "preparingHint"]
let busy = false;
const pictures = new Map(); // pair id → promise of { photo, crop, thumbnail } addresses

// --- talking to the service ------------------------------------------------------------------------------------------

const headers = () => ({ authorization: `Bearer ${token}` });

async function ask() {
  const address = `api/review/queue?reviewer=${encodeURIComponent(reviewer)}&count=10`;
  const found = await api.call(address, { headers: headers() });
  progress = found.progress;
  if (found.state === "preparing") {
    message = ["preparing", "preparingHint"];
    setTimeout(refill, WAIT);
  } else {
    pairs = [...pairs, ...found.pairs.filter((pair) => !pairs.some((known) => known.id === pair.id))];
    message = pairs.length ? null : ["finished", "finishedHint"];
  }
}

/** Ask for pairs and show what there is; a token that is refused is asked for again. */
async function refill() {
  try {
    await ask();
  } catch (error) {
    if (error.name === "unauthorized") return enter(true);
    message = ["failed", "failedHint"];
  }
  show();
}

async function tell(pair, decision, category) {
  const body = JSON.stringify({ pair: pair.id, decision, category: category ?? null, reviewer });
  const options = { method: "POST", body, headers: { ...headers(), "content-type": "application/json" } };
  progress = await api.call("api/review/verdicts", options);
}

function fetchPictures(pair) {
  if (!pictures.has(pair.id)) {
    const each = PICTURES.map(async (name) => {
      const blob = await api.picture(`api/review/pairs/${pair.id}/${name}`, { headers: headers() });
      return [name, URL.createObjectURL(blob)];
    });
    pictures.set(pair.id, Promise.all(each).then(Object.fromEntries));
  }
  return pictures.get(pair.id);
}

async function forgetPictures(pair) {
  const addresses = pictures.get(pair.id);
  pictures.delete(pair.id);
  for (const address of Object.values((await addresses?.catch(() => null)) ?? {})) URL.revokeObjectURL(address);
}

// --- judging ---------------------------------------------------------------------------------------------------------

/** One thing at a time, done to a pair: a key held down must not judge pairs that nobody has seen. */
async function alone(pair, work) {
  if (busy || !pair) return;
  busy = true;
  try {
    await work(pair);
  } catch (error) {
    if (error.name === "unauthorized") return enter(true);
    if (error.name === "not_found") return leaveOut(pair);
    message = ["failed", "failedHint"];
    show();
  } finally {
    busy = false;
  }
}

const judge = (decision, category) =>
  alone(pairs[0], async (pair) => {
    if (message || $("pair").dataset.pair !== pair.id) return;
    await tell(pair, decision, category);
    judged.push(pair);
    pairs = pairs.slice(1);
    if (judged.length > 20) forgetPictures(judged[judged.length - 21]);
    $("status").textContent = words().said[decision];
    if (pairs.length <= AHEAD) await ask();
    show();
  });

const undo = () =>
  alone(judged.at(-1), async (pair) => {
    await tell(pair, "withdraw");
    judged.pop();
    pairs = [pair, ...pairs.filter((other) => other.id !== pair.id)];
    message = null;
    $("status").textContent = words().said.withdraw;
    show();
  });

/** A pair that the service no longer has, or not its pictures, cannot be judged: it makes room for the next. */
async function leaveOut(pair) {
  pairs = pairs.filter((other) => other !== pair);
  judged = judged.filter((other) => other !== pair);
  forgetPictures(pair);
  await refill();
}

// --- showing ---------------------------------------------------------------------------------------------------------

function show() {
  $("entry").hidden = true;
  $("message").hidden = !message;
  $("pair").hidden = Boolean(message);
  $("undo").disabled = judged.length === 0;
  showProgress();
  if (message) {
    $("message-title").textContent = words()[message[0]];
    $("message-text").textContent = words()[message[1]];
    $("again").hidden = message[0] === "preparing";
  } else showPair(pairs[0]);
}

async function showPair(pair) {
  $("facts").textContent = words().facts(categoryName(pair.category), percent(pair.noise));
  const chips = CATEGORIES.map((category, index) =>
    make(
      "button.chip",
      {
        type: "button",
        "data-category": category,
        "aria-keyshortcuts": String(index + 1),
        disabled: category === pair.category,
        onclick: () => judge("accept", category),
      },
      make("kbd", {}, String(index + 1)),
      categoryName(category),
    ),
  );
  $("categories").replaceChildren(...chips);
  $("pair").setAttribute("aria-busy", "true");
  delete $("pair").dataset.pair; // nothing is judged until its pictures have taken the place of those before
  const { failure, ...addresses } = await fetchPictures(pair).catch((failure) => ({ failure }));
  if (pairs[0] !== pair) return;
  if (failure?.name === "gone") return leaveOut(pair);
  for (const name of PICTURES) {
    $(name).src = addresses[name] ?? "";
    $(name).alt = words()[`${name}Caption`];
  }
  if (failure) {
    message = ["failed", "failedHint"];
    return show();
  }
  $("pair").dataset.pair = pair.id;
  $("pair").setAttribute("aria-busy", "false");
  $("status").textContent += ` ${words().next(categoryName(pair.category))}`;
  for (const later of pairs.slice(1, 1 + AHEAD)) fetchPictures(later).catch(() => pictures.delete(later.id));
}

function showProgress() {
  $("progress").hidden = !progress;
  if (!progress) return;
  $("done").max = Math.max(1, progress.pairs);
  $("done").value = progress.reviewed;
  const numbers = [progress.reviewed, progress.pairs, progress.rejected].map(integer);
  $("counts").textContent = words().counts(...numbers);
}

/** Ask who is there. */
function enter(wrong = false) {
  for (const id of ["message", "pair", "progress"]) $(id).hidden = true;
  $("entry").hidden = false;
  $("wrong").hidden = !wrong;
  $("wrong").textContent = wrong ? words().wrongToken : "";
  $("reviewer").value = reviewer ?? "";
  $(reviewer ? "token" : "reviewer").focus();
}

// --- controls --------------------------------------------------------------------------------------------------------

$("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  [token, reviewer] = [$("token").value, $("reviewer").value.trim()];
  store(sessionStorage, "token", token);
  store(localStorage, "reviewer", reviewer);
  refill();
});
for (const button of document.querySelectorAll("[data-decision]")) {
  button.addEventListener("click", () => judge(button.dataset.decision));
}
$("undo").addEventListener("click", undo);
$("again").addEventListener("click", () => {
  pictures.clear();
  refill();
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !$("shortcuts").checked) return;
  if (event.target.matches("input:not([type=checkbox])")) return;
  const key = event.key.toLowerCase();
  const category = CATEGORIES[Number(key) - 1];
  if (key === "z") undo();
  else if (KEYS[key]) judge(KEYS[key]);
  else if (category && pairs[0]) judge("accept", category);
});
offerLanguages($("languages"), () => {
  if ($("entry").hidden) show();
});

function stored(storage, name) {
  try {
    return storage.getItem(name);
  } catch {
    return null; // storage is switched off: asked for on every visit
  }
}

function store(storage, name, value) {
  try {
    storage.setItem(name, value);
  } catch {
    // As above.
  }
}

translate();
if (token && reviewer) refill();
else enter();
