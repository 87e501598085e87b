// The page is whole without this script. With it charts gain tooltips and downloads, the table sorts and filters,
// any two methods can be compared, and light or dark can be chosen. Text is only ever set as text.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const titleOf = Object.fromEntries(data.methods.map((method) => [method.key, method.title]));
const eraOf = Object.fromEntries(data.methods.map((method) => [method.key, method.era]));

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

for (const hidden of document.querySelectorAll(".filters, #theme")) hidden.hidden = false;

// ------------------------------------------------------------------------------------------------ light or dark

const themes = ["automatic", "light", "dark"];

function showTheme(theme) {
  if (theme === "automatic") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

function storedTheme() {
  try {
    return themes.includes(localStorage.theme) ? localStorage.theme : "automatic";
  } catch {
    return "automatic"; // a page from a file may not be allowed to store anything
  }
}

let theme = storedTheme();
showTheme(theme);
byId("theme").addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  showTheme(theme);
  try {
    localStorage.theme = theme;
  } catch {
    // it holds for this visit
  }
});

// ------------------------------------------------------------------------------------------------------- charts

const specOf = (figure) => (figure.spec ??= JSON.parse(figure.querySelector("script").textContent));

async function bringToLife(figure) {
  const drawn = figure.querySelector(".drawn");
  const live = element("div");
  const result = await window.vegaEmbed(live, specOf(figure), { actions: false, renderer: "svg" });
  figure.view?.finalize();
  figure.view = result.view;
  drawn.replaceChildren(live);
  return result.view;
}

function save(name, url) {
  element("a", { href: url, download: name }).click();
}

const saveText = (name, kind, text) => save(name, URL.createObjectURL(new Blob([text], { type: kind })));

function asCsv(spec) {
  const sets = Object.values(spec.datasets ?? {}).sort((a, b) => b.length - a.length);
  const rows = sets[0] ?? [];
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const quoted = (value) => `"${String(value ?? "").replaceAll('"', '""')}"`;
  return [columns, ...rows.map((row) => columns.map((name) => row[name]))]
    .map((cells) => cells.map(quoted).join(",") + "\n")
    .join("");
}

async function picture(figure, kind) {
  const view = figure.view ?? (await bringToLife(figure));
  try {
    return await view.background("#ffffff").toImageURL(kind, 2);
  } finally {
    await view.background("transparent").runAsync();
  }
}

for (const figure of document.querySelectorAll("figure.chart")) {
  const name = figure.id.replace("chart-", "");
  const tool = (text, label, action) => {
    const button = element("button", { type: "button", "aria-label": label }, text);
    button.addEventListener("click", action);
    return button;
  };
  figure.append(
    element(
      "div",
      { class: "tools" },
      tool("PNG", `Save the chart ${name} as PNG`, async () => save(`${name}.png`, await picture(figure, "png"))),
      tool("SVG", `Save the chart ${name} as SVG`, async () => save(`${name}.svg`, await picture(figure, "svg"))),
      tool("CSV", `Save the data of the chart ${name} as CSV`, () =>
        saveText(`${name}.csv`, "text/csv", asCsv(specOf(figure))),
      ),
    ),
  );
}

// A chart comes to life when it is about to be seen: a page of many opens at once.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      watcher.unobserve(entry.target);
      if (!entry.target.view) bringToLife(entry.target);
    }
  },
  { rootMargin: "200px" },
);
for (const figure of document.querySelectorAll("figure.chart")) watcher.observe(figure);

// ---------------------------------------------------------------------------------------------- learning curves

async function showPair() {
  const keys = [byId("pair-old").value, byId("pair-new").value];
  const wanted = keys.every((key) => key) ? keys.join(" ") : "";
  const { sentence, ...signals } = data.pairs[wanted] ?? data.pairs[""];
  byId("pair-said").textContent = data.pairs[wanted] ? sentence : "Choose two methods of different eras that were both tried on two numbers of images.";
  const figure = byId("chart-curve");
  const view = figure.view ?? (await bringToLife(figure));
  for (const [name, value] of Object.entries(signals)) view.signal(name, value);
  await view.runAsync();
}

for (const id of ["pair-old", "pair-new"]) byId(id)?.addEventListener("change", showPair);

// -------------------------------------------------------------------------------------------------- leaderboard

const board = byId("board");
const body = board.tBodies[0];
const heads = [...board.tHead.rows[0].cells];

function valueOf(row, column) {
  const cell = row.cells[column];
  if (cell === undefined) return "";
  if (cell.dataset.v === undefined) return cell.textContent.trim();
  return cell.dataset.v === "" ? "" : Number(cell.dataset.v);
}

function sortBy(column, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    const failed = a.classList.contains("failed") - b.classList.contains("failed");
    if (failed || x === "" || y === "") return failed || (x === "") - (y === "");
    return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
  });
  body.append(...rows);
  heads.forEach((head, index) => {
    if (index === column) head.setAttribute("aria-sort", direction);
    else head.removeAttribute("aria-sort");
  });
}

heads.forEach((head, column) => {
  const button = element("button", { type: "button" }, ...head.childNodes);
  head.append(button);
  button.addEventListener("click", () =>
    sortBy(column, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending"),
  );
});

function filterBoard() {
  const wanted = { era: byId("filter-era").value, family: byId("filter-family").value };
  let seen = 0;
  for (const row of body.rows) {
    row.hidden = Object.entries(wanted).some(([name, value]) => value && row.dataset[name] !== value);
    seen += !row.hidden;
  }
  byId("filtered").textContent = `${seen} of ${body.rows.length} methods`;
}

for (const id of ["filter-era", "filter-family"]) byId(id).addEventListener("change", filterBoard);
filterBoard();

// ------------------------------------------------------------------------------------------------------ pictures

const pool = data.pool;
const gallery = byId("gallery");

function said(key, index) {
  const [classes, percent] = pool.guesses[key];
  return { classes: classes[index], percent: percent[index], right: classes[index][0] === pool.truths[index] };
}

const rooms = {
  fixed: { wanted: (a, b) => b.right && !a.right, by: 1, text: (a, b) => `What ${b} got right and ${a} did not` },
  lost: { wanted: (a, b) => a.right && !b.right, by: 0, text: (a, b) => `What ${a} got right and ${b} did not` },
  neither: { wanted: (a, b) => !a.right && !b.right, by: 1, text: (a, b) => `Wrong by ${a} and by ${b}` },
  "sure-a": { wanted: (a) => !a.right, by: 0, text: (a) => `The mistakes of ${a}` },
  "sure-b": { wanted: (a, b) => !b.right, by: 1, text: (a, b) => `The mistakes of ${b}` },
  both: {
    wanted: (a, b) => a.right && b.right,
    by: 1,
    text: (a, b) => (a === b ? `What ${a} got right` : `Right by ${a} and by ${b}`),
  },
};

function bars(key, index) {
  const { classes, percent } = said(key, index);
  const list = element("ol", { class: "guesses" });
  classes.forEach((guess, place) => {
    const right = guess === pool.truths[index];
    const name = data.classes[guess] + (right ? " ✓" : "");
    const line = element("li", {}, element("span", {}, name), element("span", {}, percent[place].toFixed(1)));
    line.style.setProperty("--share", `${percent[place]}%`);
    line.classList.toggle("right", right);
    list.append(line);
  });
  return [element("h3", {}, titleOf[key]), list];
}

function card(index, keys) {
  const truth = data.classes[pool.truths[index]];
  const tile = element("span", { class: "tile", role: "img", "aria-label": `test image of class ${truth}` });
  tile.style.setProperty("--x", index % pool.columns);
  tile.style.setProperty("--y", Math.floor(index / pool.columns));
  return element(
    "div",
    { class: "picture" },
    tile,
    element("p", { class: "truth" }, truth),
    element("p", { class: "name" }, pool.names[index]),
    ...keys.flatMap((key) => bars(key, index)),
  );
}

function showRoom() {
  const first = byId("method-a").value;
  const keys = [first, byId("method-b")?.value ?? first];
  const room = rooms[byId("room").value];
  const opinions = (index) => keys.map((key) => said(key, index));
  const found = pool.names
    .map((_, index) => index)
    .filter((index) => room.wanted(...opinions(index)))
    .sort((i, j) => said(keys[room.by], j).percent[0] - said(keys[room.by], i).percent[0]);
  const shown = found.slice(0, Number(gallery.dataset.count));
  const different = keys[0] === keys[1] ? keys.slice(0, 1) : keys;
  gallery.replaceChildren(...(shown.length ? shown.map((index) => card(index, different)) : [element("p", {}, "None.")]));
  byId("gallery-title").textContent = `${room.text(...keys.map((key) => titleOf[key]))}, surest first.`;
  byId("shown").textContent = `${shown.length} of the ${found.length} in this page`;
}

for (const id of ["method-a", "method-b", "room"]) byId(id)?.addEventListener("change", showRoom);

// ------------------------------------------------------------------------------------------------ where they fail

// `wanted` says of a data set's first row whether it is the one to replace.
function replaceRows(figure, wanted, rows) {
  const sets = specOf(figure).datasets;
  sets[Object.keys(sets).find((key) => wanted(sets[key][0] ?? {}))] = rows;
}

byId("confusion-method")?.addEventListener("change", (event) => {
  const key = event.target.value;
  const figure = byId("chart-confusion");
  specOf(figure).mark.color = data.colours[eraOf[key]];
  const rows = data.confusions[key].flatMap((counts, truth) => {
    const total = Math.max(1, counts.reduce((sum, count) => sum + count, 0));
    return counts.map((images, guess) => ({
      truth: data.names_in_charts[truth],
      guess: data.names_in_charts[guess],
      images,
      percent: Math.round((10000 * images) / total) / 100,
    }));
  });
  replaceRows(figure, (row) => "truth" in row, rows);
  bringToLife(figure);
  figure.querySelector(".drawn").setAttribute("aria-label", `Confusion of ${titleOf[key]}.`);
  figure.querySelector("figcaption").textContent =
    `${titleOf[key]}. Rows: true class; columns: first guess. The diagonal is right.`;
});

function showClasses() {
  const [a, b] = [byId("classes-a").value, byId("classes-b").value];
  const rows = data.names_in_charts
    .map((name, label) => ({ class: name, a: data.errors[a][label], b: data.errors[b][label] }))
    .filter((row) => row.a !== null && row.b !== null);
  const figure = byId("chart-classes");
  const most = Math.max(...rows.flatMap((row) => [row.a, row.b]));
  replaceRows(figure, (row) => "class" in row, rows);
  replaceRows(figure, (row) => !("class" in row), [{ a: 0, b: 0 }, { a: most, b: most }]);
  bringToLife(figure);
  const text = `Error by class. Across: ${titleOf[a]}; up: ${titleOf[b]}.`;
  figure.querySelector(".drawn").setAttribute("aria-label", text);
  figure.querySelector("figcaption").textContent =
    `A dot is a class; below the line the second method errs less. Across: ${titleOf[a]}; up: ${titleOf[b]}.`;
}

for (const id of ["classes-a", "classes-b"]) byId(id)?.addEventListener("change", showClasses);

document.documentElement.dataset.ready = "yes";
