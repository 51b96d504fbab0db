// The whole -----------------------------------------------------------------------------------------

function draw() {
  const collection = byId("collection").value;
  const rows = DATA.rows.filter(row => row.collection === collection && shown.has(row.encoder));
  if (!rows.length) {
    for (const card of document.querySelectorAll(".card")) say(card, "No encoder with results on this collection is shown.");
    return;
  }
  for (const part of [plane, pairs, first, languages]) part(rows);
  sizes(rows, collection);
  distances(rows, collection);
  questions(collection);
}

function begin() {
  const collections = [...new Set(DATA.rows.map(row => row.collection))];
  fill(byId("collection"), collections.map(name => [name, name]));
  byId("summary").hidden = !collections.length;
  byId("encoders").querySelector(".legend").append(...names.map((name, at) => node("label", {},
    node("input", {type: "checkbox", checked: shown.has(at), onchange: event => {
      shown[event.target.checked ? "add" : "delete"](at);
      draw();
    }}), key(at), name)));
  byId("encoders").append(...[["all", true], ["none", false]].map(([words, on]) => node("button", {type: "button", onclick: () => {
    for (const box of byId("encoders").querySelectorAll("input")) box.checked = on;
    shown.clear();
    if (on) names.forEach((_, at) => shown.add(at));
    draw();
  }}, words)));
  byId("filter").addEventListener("input", summary);
  byId("all-measures").addEventListener("change", summary);
  byId("sizes-public").addEventListener("change", draw);
  for (const select of document.querySelectorAll("select")) select.addEventListener("change", draw);
  document.querySelector("nav").append(...[...document.querySelectorAll("section")].filter(part => part.querySelector("h2") && part.id !== "choice"
    && !(part.id === "others" && !DATA.others.length)).map(part => node("a", {href: `#${part.id}`}, part.querySelector("h2").textContent)));
  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;  // a phone's bar that comes and goes
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(draw, 150);
  });
  summary();
  others();
  draw();
}

begin();
