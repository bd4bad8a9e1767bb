// Appends more product cards when the end of the listing scrolls into view.
const list = document.querySelector(".search-screen");
let more = list.dataset.more;
let cursor = 0;
let loading = false;

async function load() {
  if (loading || !more || cursor === null) return;
  loading = true;
  const answer = await (await fetch(`${more}&cursor=${cursor}`)).json();
  for (const card of answer.cards) list.insertAdjacentHTML("beforeend", card);
  cursor = answer.next_cursor;
  loading = false;
}

addEventListener("scroll", () => {
  if (innerHeight + scrollY >= document.documentElement.scrollHeight - 200) load();
});
