// The photo with its boxes: detected ones to click, and one that is drawn, moved or resized by hand.

import { make } from "./dom.js";
import { categoryName, percent, words } from "./i18n.js";

const SLIP = 6; // px that a pointer may move and still be a click
const SMALLEST = 0.03; // of the photo's side
const FEWEST = 9; // px of the photo; the service takes 8, and what is sent is rounded
const STEP = 0.02; // of the photo's side, per arrow key

const LOW = 56; // px; the name of a lower box stands outside it
const INSIDE = ["top-left", "top-right", "bottom-left", "bottom-right"];
const OUTSIDE = ["above", "below", "above-right", "below-right"];

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Stage {
  /** `onPick(index)` for a detected garment; `onDraw(box, category)` for a box by hand, in px of the photo. */
  constructor(root, { onPick, onDraw, onDrawing }) {
    this.root = root;
    this.onPick = onPick;
    this.onDraw = onDraw;
    this.onDrawing = onDrawing;
    this.image = make("img", { draggable: false });
    this.layer = make("div.layer");
    this.shade = make("div.shade"); // dims all but the selected box
    this.hand = null; // [x0, y0, x1, y1] as shares of the photo
    this.category = null; // of the garment from which the box by hand was made, if any
    root.append(this.image, this.layer);
    new ResizeObserver(() => this.#arrange()).observe(this.layer);
    this.layer.addEventListener("pointerdown", (event) => this.#press(event));
    this.layer.addEventListener("keydown", (event) => this.#key(event));
    this.layer.addEventListener("click", (event) => this.#click(event));
  }

  /** Show a photo without boxes. */
  show(url) {
    this.image.src = url;
    this.garments = [];
    this.hand = null;
    this.category = null;
    this.size = null;
    this.setDrawing(false);
    this.render(null);
  }

  /** Show the garments that were found. `size` is the photo's [width, height] in px. */
  setGarments(garments, size) {
    this.garments = garments;
    this.size = size;
  }

  /** Let the box by hand be that of a garment. */
  setHand(garment) {
    this.category = garment.category;
    this.hand = this.#shares(garment);
  }

  /** Draw the boxes anew; `selected` is an index, "hand", or null for none. */
  render(selected) {
    this.selected = selected;
    this.image.alt = words().photoAlt;
    const boxes = this.garments.map((garment, index) => this.#box(garment, index));
    boxes.sort((one, other) => area(this.garments[other.dataset.index]) - area(this.garments[one.dataset.index]));
    this.layer.replaceChildren(this.shade, ...boxes); // smaller boxes last: they lie on top and can be clicked
    if (this.hand) this.layer.append(this.#handBox());
    this.#dim();
    this.#arrange();
    this.root.classList.toggle("has-selection", selected !== null);
  }

  /** Enter or leave the mode in which a drag always draws; by keyboard it starts with a box in the middle. */
  setDrawing(on, byKeyboard = false) {
    this.drawing = on;
    this.root.classList.toggle("is-drawing", on);
    this.onDrawing(on);
    if (on && byKeyboard) {
      this.hand = [0.3, 0.3, 0.7, 0.7];
      this.category = null;
      this.render("hand");
      this.layer.querySelector(".hand").focus();
    }
  }

  /** Show, or no longer, that the photo is being looked at. */
  setSearching(on) {
    this.root.classList.toggle("is-searching", on);
  }

  #box(garment, index) {
    const name = categoryName(garment.category);
    const selected = this.selected === index;
    const box = make(
      selected ? "button.box.chosen" : "button.box",
      {
        type: "button",
        "data-index": index,
        "data-category": garment.category ?? "any",
        "aria-pressed": String(selected),
        "aria-label": garment.score === null ? name : `${name}, ${words().sure(percent(garment.score))}`,
      },
      make("span.name", {}, name),
      ...(selected ? grips() : []),
    );
    place(box, this.#shares(garment));
    return box;
  }

  #shares({ box: [x0, y0, x1, y1] }) {
    const [width, height] = this.size;
    return [x0 / width, y0 / height, x1 / width, y1 / height];
  }

  /** Dim all but the selected box. */
  #dim() {
    const box = this.selected === "hand" ? this.hand : this.selected === null ? null : this.#shares(this.garments[this.selected]);
    this.shade.hidden = !box;
    if (!box) return;
    const [left, top, right, bottom] = box.map((share) => `${share * 100}%`);
    const hole = [`${left} ${top}`, `${left} ${bottom}`, `${right} ${bottom}`, `${right} ${top}`, `${left} ${top}`];
    this.shade.style.clipPath = `polygon(evenodd, 0 0, 100% 0, 100% 100%, 0 100%, 0 0, ${hole.join(", ")})`;
  }

  /** From now on the selected garment's box is one by hand. */
  #adopt() {
    this.setHand(this.garments[this.selected]);
  }

  /** The smallest share of the photo's width and height that a box may have. */
  #least() {
    return this.size.map((side) => Math.max(SMALLEST, FEWEST / side));
  }

  #isBig() {
    const [x0, y0, x1, y1] = this.hand;
    const [across, down] = this.#least();
    return x1 - x0 >= across && y1 - y0 >= down;
  }

  /** Put each name in the first corner of its box where it hides no other name. */
  #arrange() {
    const frame = this.layer.getBoundingClientRect();
    const taken = [];
    for (const name of this.layer.querySelectorAll(".name")) {
      const low = name.parentElement.getBoundingClientRect().height < LOW;
      const corners = low ? [...OUTSIDE, ...INSIDE] : [...INSIDE, ...OUTSIDE];
      const fits = (corner) => {
        name.dataset.corner = corner;
        const spot = name.getBoundingClientRect();
        return within(spot, frame) && !taken.some((other) => meet(spot, other));
      };
      if (!corners.some(fits)) name.dataset.corner = corners[0];
      taken.push(name.getBoundingClientRect());
    }
  }

  #handBox() {
    const box = make(
      "button.box.hand",
      {
        type: "button",
        "data-category": this.category ?? "any",
        "aria-label": words().drawn,
        "aria-pressed": String(this.selected === "hand"),
      },
      make("span.name", {}, words().drawn),
      ...grips(),
    );
    place(box, this.hand);
    return box;
  }

  #press(event) {
    if (event.button !== 0 || !this.size) return;
    const start = this.#share(event);
    const chosen = event.target.closest(".chosen");
    const hand = event.target.closest(".hand");
    const { grip } = event.target.dataset;
    if (event.pointerType === "touch" && !this.drawing && !hand && !grip) return; // a finger scrolls the page
    const kept = [this.hand, this.category, this.selected];
    const before = hand ? this.hand : chosen ? this.#shares(this.garments[this.selected]) : null;
    let moved = false;
    const move = (now) => {
      if (!moved && Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < SLIP) return;
      if (!moved) {
        this.layer.setPointerCapture(event.pointerId);
        if (chosen) this.#adopt();
        else if (!hand) this.category = null;
      }
      moved = true;
      const end = this.#share(now);
      if (!before) this.hand = span(start, end);
      else if (grip) this.hand = span(opposite(before, grip), end);
      else this.hand = shift(before, end[0] - start[0], end[1] - start[1]);
      this.render("hand");
    };
    const lift = (last) => {
      this.layer.removeEventListener("pointermove", move);
      this.layer.removeEventListener("pointerup", lift);
      this.layer.removeEventListener("pointercancel", lift);
      if (!moved) return;
      this.dragged = true; // the click that follows is the end of this drag
      setTimeout(() => (this.dragged = false));
      if (last.type === "pointerup" && this.#isBig()) this.#search();
      else {
        [this.hand, this.category] = kept;
        this.render(kept[2]);
      }
    };
    this.layer.addEventListener("pointermove", move);
    this.layer.addEventListener("pointerup", lift);
    this.layer.addEventListener("pointercancel", lift);
  }

  #click(event) {
    const box = event.target.closest(".box");
    if (!box || this.dragged) return;
    if (box.classList.contains("hand")) this.#search();
    else if (!this.drawing && !box.classList.contains("chosen")) this.onPick(Number(box.dataset.index));
  }

  #key(event) {
    const chosen = event.target.classList.contains("chosen");
    if (!chosen && !event.target.classList.contains("hand")) return;
    const [dx, dy] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [];
    if (dx === undefined) return;
    event.preventDefault();
    if (chosen) {
      this.#adopt();
      this.render("hand");
      this.layer.querySelector(".hand").focus();
    }
    const [x0, y0, x1, y1] = this.hand;
    const [across, down] = this.#least();
    const resized = [x0, y0, clamp(x1 + dx, x0 + across, 1), clamp(y1 + dy, y0 + down, 1)];
    this.hand = event.shiftKey ? resized : shift(this.hand, dx, dy);
    place(this.layer.querySelector(".hand"), this.hand); // in place, so that the focus stays
    this.#dim();
  }

  #search() {
    const [width, height] = this.size;
    this.setDrawing(false);
    const [x0, y0, x1, y1] = this.hand;
    this.onDraw([x0 * width, y0 * height, x1 * width, y1 * height], this.category);
  }

  #share(event) {
    const frame = this.layer.getBoundingClientRect();
    return [
      clamp((event.clientX - frame.left) / frame.width, 0, 1),
      clamp((event.clientY - frame.top) / frame.height, 0, 1),
    ];
  }
}

function place(element, [x0, y0, x1, y1]) {
  element.style.left = `${x0 * 100}%`;
  element.style.top = `${y0 * 100}%`;
  element.style.width = `${(x1 - x0) * 100}%`;
  element.style.height = `${(y1 - y0) * 100}%`;
}

const grips = () => ["nw", "ne", "sw", "se"].map((corner) => make("span.grip", { "data-grip": corner }));
const opposite = ([x0, y0, x1, y1], grip) => [grip.endsWith("w") ? x1 : x0, grip.startsWith("n") ? y1 : y0];
const span = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];

const area = ({ box: [x0, y0, x1, y1] }) => (x1 - x0) * (y1 - y0);
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const within = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;

function shift([x0, y0, x1, y1], dx, dy) {
  const right = clamp(dx, -x0, 1 - x1);
  const down = clamp(dy, -y0, 1 - y1);
  return [x0 + right, y0 + down, x1 + right, y1 + down];
}
