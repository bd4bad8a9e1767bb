// The photo with its boxes: detected ones to click, and one that is drawn, moved or resized by hand.

import { make } from "/static/dom.js";
import { categoryName, percent, words } from "/static/i18n.js";

const SLIP = 6; // px that a pointer may move and still be a click
const SMALLEST = 0.03; // of the photo's side
const STEP = 0.02; // of the photo's side, per arrow key

const LOW = 56; // px; the name of a lower box stands outside it
const INSIDE = ["top-left", "top-right", "bottom-left", "bottom-right"];
const OUTSIDE = ["above", "below", "above-right", "below-right"];

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Stage {
  /** `onPick(index)` for a detected garment, `onDraw(box)` for a box by hand in px of the photo. */
  constructor(root, { onPick, onDraw, onDrawing }) {
    this.root = root;
    this.onPick = onPick;
    this.onDraw = onDraw;
    this.onDrawing = onDrawing;
    this.image = make("img", { draggable: false });
    this.layer = make("div.layer");
    this.hand = null; // [x0, y0, x1, y1] as shares of the photo
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
    this.size = null;
    this.setDrawing(false);
    this.render(null);
  }

  /** Show the garments that were found. `size` is the photo's [width, height] in px. */
  setGarments(garments, size) {
    this.garments = garments;
    this.size = size;
  }

  /** Draw the boxes anew; `selected` is an index, "hand", or null for none. */
  render(selected) {
    this.selected = selected;
    this.image.alt = words().photoAlt;
    const boxes = this.garments.map((garment, index) => this.#box(garment, index));
    boxes.sort((one, other) => area(this.garments[other.dataset.index]) - area(this.garments[one.dataset.index]));
    this.layer.replaceChildren(...boxes); // smaller boxes last: they lie on top and can be clicked
    if (this.hand) this.layer.append(this.#handBox());
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
      this.render("hand");
      this.layer.querySelector(".hand").focus();
    }
  }

  #box(garment, index) {
    const [width, height] = this.size;
    const [x0, y0, x1, y1] = garment.box;
    const name = categoryName(garment.category);
    const box = make(
      "button.box",
      {
        type: "button",
        "data-index": index,
        "data-category": garment.category ?? "any",
        "aria-pressed": String(this.selected === index),
        "aria-label": garment.score === null ? name : `${name}, ${words().sure(percent(garment.score))}`,
      },
      make("span.name", {}, name),
    );
    place(box, [x0 / width, y0 / height, x1 / width, y1 / height]);
    return box;
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
      { type: "button", "aria-label": words().drawn, "aria-pressed": String(this.selected === "hand") },
      make("span.name", {}, words().drawn),
      make("span.grip"),
    );
    place(box, this.hand);
    return box;
  }

  #press(event) {
    if (event.button !== 0 || !this.size) return;
    const start = this.#share(event);
    const target = event.target.closest(".hand");
    const before = target && [...this.hand];
    const resizing = event.target.classList.contains("grip");
    if (event.pointerType === "touch" && !this.drawing && !target) return; // a finger scrolls the page
    let moved = false;
    const move = (now) => {
      if (!moved && Math.hypot(now.clientX - event.clientX, now.clientY - event.clientY) < SLIP) return;
      if (!moved) this.layer.setPointerCapture(event.pointerId);
      moved = true;
      const end = this.#share(now);
      if (!before) this.hand = span(start, end);
      else if (resizing) this.hand = span([before[0], before[1]], end);
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
      if (last.type === "pointerup" && big(this.hand)) this.#search();
      else {
        this.hand = before;
        this.render(null);
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
    else if (!this.drawing) this.onPick(Number(box.dataset.index));
  }

  #key(event) {
    if (!event.target.classList.contains("hand")) return;
    const [dx, dy] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [];
    if (dx === undefined) return;
    event.preventDefault();
    const [x0, y0, x1, y1] = this.hand;
    const resized = [x0, y0, clamp(x1 + dx, x0 + SMALLEST, 1), clamp(y1 + dy, y0 + SMALLEST, 1)];
    this.hand = event.shiftKey ? resized : shift(this.hand, dx, dy);
    place(event.target, this.hand); // in place, so that the focus stays
  }

  #search() {
    const [width, height] = this.size;
    this.setDrawing(false);
    const [x0, y0, x1, y1] = this.hand;
    this.onDraw([x0 * width, y0 * height, x1 * width, y1 * height]);
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

const span = ([ax, ay], [bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
const big = ([x0, y0, x1, y1]) => x1 - x0 >= SMALLEST && y1 - y0 >= SMALLEST;

const area = ({ box: [x0, y0, x1, y1] }) => (x1 - x0) * (y1 - y0);
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
const within = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;

function shift([x0, y0, x1, y1], dx, dy) {
  const right = clamp(dx, -x0, 1 - x1);
  const down = clamp(dy, -y0, 1 - y1);
  return [x0 + right, y0 + down, x1 + right, y1 + down];
}
