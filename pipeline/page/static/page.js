"use strict";
// Names of classes and files come from anywhere: they are put in as text, never as markup.

const at = (id) => document.getElementById(id);
let models = [];
let changes = [];
let photograph = null; // the bytes that are being looked at
let turn = 0; // an answer to an older photograph is thrown away
let stream = null;

function make(kind, text, name) {
  const element = document.createElement(kind);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

function say(text, wrong) {
  at("status").textContent = text;
  at("status").className = wrong ? "wrong" : "";
}

async function ask(address, body) {
  const answer = await fetch(address, body === undefined ? {} : { method: "POST", body });
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer.json();
}

async function look(file) {
  const mine = ++turn;
  photograph = file;
  say("The models are looking …");
  try {
    const started = performance.now();
    const found = await ask(`/guess?${asked()}`, file);
    if (mine !== turn) return;
    show(found);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${found.answers.length} models have guessed, in ${seconds} seconds together.`);
  } catch (error) {
    if (mine === turn) say(`This photograph can’t be used: ${error.message}`, true);
  }
}

// Which change of the photograph is asked about; severity is a place in its list of names.
function asked() {
  if (!at("change").value) return "";
  return new URLSearchParams({ change: at("change").value, severity: at("severity").value }).toString();
}

function nameChange() {
  const change = changes.find((one) => one.key === at("change").value);
  at("strength").hidden = !change;
  if (!change) return;
  at("severity").max = change.named.length;
  at("severity").hidden = change.named.length === 1;
  at("named").textContent = change.named[at("severity").value - 1];
}

function whatIf() {
  nameChange();
  if (photograph) look(photograph);
}

function offer() {
  for (const group of new Set(changes.map((one) => one.group))) {
    const options = make("optgroup");
    options.label = group;
    for (const one of changes.filter((other) => other.group === group)) {
      const option = make("option", one.title);
      option.value = one.key;
      options.append(option);
    }
    at("change").append(options);
  }
}

function show(found) {
  at("image").src = found.image;
  at("note").textContent = `As the models see it. ${found.note}`;
  at("taken").hidden = false;
  for (const era of ["hand-crafted", "learned", "pretrained"]) at(era).replaceChildren();
  for (const answer of found.answers) {
    const model = models.find((one) => one.method === answer.method);
    at(model.era).append(card(model, answer));
  }
  at("guesses").hidden = false;
  mark();
}

function card(model, answer) {
  const made = make("article", undefined, "card");
  made.dataset.first = answer.guesses[0].probability;
  made.append(make("h3", model.title));
  made.append(make("p", `${model.year}; errs on ${model.error} % of test; ${answer.milliseconds.toFixed(1)} ms`, "soft"));
  const unsure = make("p", "Not sure", "mark unsure");
  unsure.hidden = true;
  made.append(unsure);
  if (answer.unlike_training) made.append(make("p", "Unlike anything in training", "mark"));
  const list = make("ol");
  for (const guess of answer.guesses) list.append(bar(guess));
  made.append(list, more("What it sees", () => sees(model)), more("Most similar training images", () => similar(model)));
  return made;
}

function bar(guess) {
  const row = make("li");
  const percent = `${(100 * guess.probability).toFixed(1)} %`;
  const meter = make("meter");
  meter.value = guess.probability;
  meter.setAttribute("aria-label", `${guess.class}: ${percent}`);
  row.append(make("span", guess.class, "name"), make("span", percent, "percent"), meter);
  return row;
}

// Loaded when it is opened for the first time.
function more(title, load) {
  const details = make("details");
  details.append(make("summary", title));
  details.addEventListener("toggle", async () => {
    if (!details.open || details.dataset.loaded) return;
    details.dataset.loaded = "yes";
    const wait = make("p", "One moment …", "soft");
    details.append(wait);
    try {
      wait.replaceWith(await load());
    } catch (error) {
      wait.textContent = error.message;
    }
  });
  return details;
}

async function sees(model) {
  const all = make("div");
  for (const picture of await ask(`/sees?method=${encodeURIComponent(model.method)}&${asked()}`, photograph)) {
    const figure = make("figure");
    const image = make("img");
    image.src = picture.uri;
    image.alt = picture.caption;
    figure.append(image, make("figcaption", picture.caption));
    all.append(figure);
  }
  return all;
}

async function similar(model) {
  const all = make("div", undefined, "similar");
  for (const one of await ask(`/similar?method=${encodeURIComponent(model.method)}&${asked()}`, photograph)) {
    const figure = make("figure");
    const image = make("img");
    image.src = one.uri;
    image.alt = `A training image of ${one.class}`;
    figure.append(image, make("figcaption", one.class));
    all.append(figure);
  }
  return all;
}

function mark() {
  const least = at("least").value / 100;
  at("value").textContent = `${at("least").value} %`;
  for (const made of document.querySelectorAll(".card")) {
    made.querySelector(".unsure").hidden = Number(made.dataset.first) >= least;
  }
}

async function openCamera() {
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    say(`The camera can’t be used: ${error.message}`, true);
    return;
  }
  at("video").srcObject = stream;
  await at("video").play();
  at("live").hidden = false;
}

function closeCamera() {
  if (stream) for (const track of stream.getTracks()) track.stop();
  stream = null;
  at("live").hidden = true;
}

function shoot() {
  const canvas = make("canvas");
  canvas.width = at("video").videoWidth;
  canvas.height = at("video").videoHeight;
  canvas.getContext("2d").drawImage(at("video"), 0, 0);
  closeCamera();
  canvas.toBlob((blob) => look(blob), "image/png");
}

function firstFile(list) {
  return [...(list || [])].find((file) => file.size > 0);
}

function begin() {
  at("open").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => firstFile(at("file").files) && look(firstFile(at("file").files)));
  at("least").addEventListener("input", mark);
  at("change").addEventListener("change", whatIf);
  at("severity").addEventListener("input", nameChange);
  at("severity").addEventListener("change", whatIf);
  at("camera").addEventListener("click", openCamera);
  at("camera").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
  at("shoot").addEventListener("click", shoot);
  at("stop").addEventListener("click", closeCamera);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    at("drop").classList.add("over");
  });
  document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    at("drop").classList.remove("over");
    const file = firstFile(event.dataTransfer.files);
    if (file) look(file);
    else say("Nothing was dropped that is a file.", true);
  });
  document.addEventListener("paste", (event) => {
    const file = firstFile(event.clipboardData.files);
    if (file) look(file);
  });
}

begin();
ask("/models").then((found) => {
  models = found.models;
  changes = found.changes;
  offer();
  at("about").textContent = `${models.length} fitted models guess side by side. They know ${found.classes} classes of ${found.dataset}. The photograph stays on this machine, and nothing of it is stored.`;
  document.documentElement.dataset.ready = "yes";
}).catch((error) => say(error.message, true));
