
"use strict";

const facts = JSON.parse(document.getElementById("facts").textContent);
const at = (id) => document.getElementById(id);

// In a request, at most: small enough that answers come steadily and little is in memory.
const PHOTOS_AT_A_TIME = 16, BYTES_AT_A_TIME = 8 * 2 ** 20;
// Of JSON: around all photos, and around each.
const AROUND_ALL = 32, AROUND_EACH = 16;
const BUSY = new Set([408, 429, 503]), ATTEMPTS = 20;
const THUMBNAIL = 224;
const NOT_READ = "not read";

// Answered photos in their order: {name, file, line, item}; and those that wait: {name, file}.
let seen = [], waiting = [];
let work = null, asked = 0, answered = 0, shots = 0, maps = 0;

// ---- text of anybody

// Controls, marks that turn the direction of writing, and letters that nobody sees, as the other
// pages of the package show them.
const UNSEEN =
  /[\p{C}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\u{e0100}-\u{e01ef}]/gu;
const NAMED = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function shown(text) {
  return text.replace(UNSEEN, (each) => {
    const code = each.codePointAt(0), hex = code.toString(16);
    if (NAMED[each]) return NAMED[each];
    if (code < 0x100) return `\\x${hex.padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`;
  });
}

// ---- CSV, as tl-keras predict writes it

// What spreadsheets take for a formula; a number is none.
const FORMULA =
  /^'*(?![-+]?\p{Nd}+(?:[.,]\p{Nd}+)?(?:[eE][-+]?\p{Nd}+)?$)[-=+@\t\r\n\uff1d\uff0b\uff0d\uff20]/u;

function cell(value) {
  if (typeof value === "number") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv() {
  const lines = seen.map((photo) => ({ file: photo.name, ...photo.line }));
  const rows = lines.map((line) => facts.columns.map((column) => cell(line[column])));
  return [facts.columns, ...rows].map((row) => `${row.join(",")}\n`).join("");
}

// A photo that the server was not asked about, or did not answer.
function unanswered(problem) {
  const texts = { label: "", decision: "", problem };
  return Object.fromEntries(facts.columns.slice(1).map((name) => [name, texts[name] ?? 0]));
}

// ---- asking the server

class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

const lengthOf = (photo) => 4 * Math.ceil(photo.file.size / 3) + AROUND_EACH;

function base64(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(file);
  });
}

function pause(seconds, signal) {
  return new Promise((done, failed) => {
    const timer = setTimeout(done, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      failed(signal.reason);
    });
  });
}

async function send(path, body, signal) {
  try {
    return await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      credentials: "omit",
      body,
      signal,
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Refusal("The server does not answer: see whether tl-keras serve still runs.", 0);
  }
}

// What the server answers to files in base64; where it is busy it is asked again as it says.
async function ask(path, files, signal) {
  const body = JSON.stringify({ instances: files.map((b64) => ({ b64 })) });
  for (let attempt = 1; ; attempt++) {
    const response = await send(path, body, signal);
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const why = answer.error || `The server refused it with status ${response.status}.`;
    if (!BUSY.has(response.status) || attempt === ATTEMPTS) throw new Refusal(why, response.status);
    say(`The server is busy and will be asked again: ${why}`);
    await pause(Number(response.headers.get("Retry-After")) || 1, signal);
  }
}

const isPause = (error) => !(error instanceof Refusal) || !error.status || BUSY.has(error.status);

// Lines for photos; where they are refused together each is asked alone.
async function linesOf(photos, signal) {
  const files = [], read = [];
  for (const photo of photos) {
    try {
      files.push(await base64(photo.file));
      read.push(photo);
    } catch (error) {
      photo.line = unanswered(`the browser cannot read the file: ${error.message}`);
    }
  }
  if (!read.length) return;
  try {
    const { predictions } = await ask(facts.predict, files, signal);
    read.forEach((photo, place) => { photo.line = predictions[place]; });
  } catch (error) {
    if (isPause(error)) throw error;
    if (read.length === 1) read[0].line = unanswered(error.message);
    else for (const photo of read) await linesOf([photo], signal);
  }
}

// ---- the work

// The next photos that fit into a request together, at least one.
function nextPhotos() {
  const most = Math.min(PHOTOS_AT_A_TIME, facts.batch);
  const room = Math.min(BYTES_AT_A_TIME, facts.requestBytes) - AROUND_ALL;
  let count = 1, bytes = lengthOf(waiting[0]);
  while (count < Math.min(most, waiting.length)) {
    bytes += lengthOf(waiting[count]);
    if (bytes > room) break;
    count += 1;
  }
  return waiting.slice(0, count);
}

async function answer(photos, signal) {
  const [first] = photos;
  if (photos.length === 1 && lengthOf(first) > facts.requestBytes - AROUND_ALL) {
    const most = Math.floor((facts.requestBytes - AROUND_ALL - AROUND_EACH) / 4) * 3;
    first.line = unanswered(
      `${megabytes(first.file.size)} MB, more than the ${megabytes(most)} MB that a photo may ` +
      "have here: start the server with a larger --max-request-megabytes");
  } else {
    await linesOf(photos, signal);
  }
}

const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1);

async function goOn() {
  if (work) return;
  work = new AbortController();
  const { signal } = work;
  busy(true);
  try {
    while (waiting.length) {
      const photos = nextPhotos(), drawn = thumbnails(photos);
      await answer(photos, signal);
      const small = await drawn;
      // nothing is shown of photos that were given up meanwhile
      signal.throwIfAborted();
      waiting.splice(0, photos.length);
      photos.forEach((photo, place) => show(photo, small[place]));
      answered += photos.length;
      filter();
      progress();
    }
    report();
  } catch (error) {
    if (signal.aborted) giveUp();
    else {
      say(`${error.message} ${count(waiting.length, "photo")} still to be asked.`);
      at("go").hidden = false;
    }
  } finally {
    work = null;
    busy(false);
  }
}

function give(photos, leftOut = 0) {
  if (leftOut) {
    const endings = facts.endings.join(", ");
    complain(`${count(leftOut, "file")} left out: hidden, or not named as a picture (${endings}).`);
  }
  if (!photos.length) return;
  if (!work && !waiting.length) asked = answered = 0;
  asked += photos.length;
  waiting.push(...photos);
  progress();
  goOn();
}

function giveUp() {
  say(`Stopped: ${count(waiting.length, "photo")} of ${asked} not asked.`);
  waiting = [];
}

function busy(is) {
  at("work").hidden = !is;
  if (is) at("go").hidden = true;
}

function progress() {
  at("progress").max = asked;
  at("progress").value = answered;
  say(`${answered} of ${asked} photos answered`);
}

function report() {
  const last = seen[seen.length - 1];
  const one = `${shown(last.name)}: ${inWords(last.line)}`;
  say(asked === 1 ? one : `${count(asked, "photo")} answered.`);
}

const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function say(text) {
  if (at("said").textContent !== text) at("said").textContent = text;
}

function complain(text) {
  const item = document.createElement("li");
  item.textContent = text;
  at("complaints").append(item);
}

// ---- showing answers

function percent(share) {
  const text = (100 * share).toFixed(1);
  return text === "100.0" && share < 1 ? "over 99.9%" : `${text}%`;
}

function shareOf(line) {
  const name = "confidence" in line ? "confidence" : "probability";
  return `${name} ${percent(line[name])}`;
}

const MEANING = {
  review: "a person should look",
  unknown: "unlike the photos that it learned from",
};

function familiarity(line) {
  if (!("familiar" in line)) return "";
  const share = line.familiar < 0.001 ? "below 0.001" : line.familiar.toFixed(3);
  if (!("decision" in line)) return `familiar: ${share}`;
  return `familiar: ${line.decision === "unknown" ? "no" : "yes"} (${share})`;
}

function inWords(line) {
  if (line.problem) return `not read: ${shown(line.problem)}`;
  const decision = "decision" in line ? `, decision ${shown(line.decision)}` : "";
  return `${shown(line.label)}, ${shareOf(line)}${decision}`;
}

const kindOf = (line) => (line.problem ? NOT_READ : line.decision || line.label);

function show(photo, small) {
  const item = at("photo").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  const { line } = photo;
  part(".name bdi").textContent = shown(photo.name);
  part(".problem").textContent = shown(line.problem);
  if (line.problem) {
    const answers = ".label, .share, .decision, .familiar, button, .heat";
    for (const each of item.querySelectorAll(answers)) each.remove();
  } else {
    describe(line, item, part);
    setUpHeat(photo, part);
  }
  if (small) showThumbnail(small, part(".shot"));
  photo.item = item;
  seen.push(photo);
  at("list").append(item);
  at("answers").hidden = false;
}

function describe(line, item, part) {
  part(".label bdi").textContent = shown(line.label);
  part(".share").textContent = shareOf(line);
  part(".familiar").textContent = familiarity(line);
  if (!("decision" in line)) return part(".decision").remove();
  part(".badge").textContent = shown(line.decision);
  if (!Object.hasOwn(MEANING, line.decision)) return;
  part(".why").textContent = MEANING[line.decision];
  part(".badge").classList.add(line.decision);
  item.classList.add(line.decision);
}

function showThumbnail(small, place) {
  const image = place.querySelector("img");
  image.src = URL.createObjectURL(small);
  image.hidden = false;
  place.querySelector("span").remove();
}

// One after the other, as each is in memory whole for a moment; null for what cannot be shown.
async function thumbnails(photos) {
  const small = [];
  for (const { file } of photos) small.push(await thumbnail(file).catch(() => null));
  return small;
}

// A small JPEG of a photo, so that the large one need not stay in memory.
async function thumbnail(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, THUMBNAIL / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  const brush = canvas.getContext("2d");
  brush.fillStyle = "white";
  brush.fillRect(0, 0, canvas.width, canvas.height);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.85));
}

function filter() {
  const counts = new Map();
  for (const { line } of seen) counts.set(kindOf(line), (counts.get(kindOf(line)) || 0) + 1);
  const select = at("only"), chosen = select.value;
  const options = [["", `all (${seen.length})`]];
  for (const [kind, number] of counts) options.push([kind, `${shown(kind)} (${number})`]);
  const asOption = ([kind, text]) => new Option(text, kind, false, kind === chosen);
  select.replaceChildren(...options.map(asOption));
  const only = select.value;
  for (const { line, item } of seen) item.hidden = Boolean(only) && kindOf(line) !== only;
}

// ---- heat maps, on demand

function setUpHeat(photo, part) {
  const button = part("button"), place = part(".heat");
  if (!facts.heatMap || lengthOf(photo) > facts.requestBytes - AROUND_ALL) return button.remove();
  place.id = `heat-${++maps}`;
  button.setAttribute("aria-controls", place.id);
  button.setAttribute("aria-label", `Heat map of ${shown(photo.name)}`);
  button.addEventListener("click", async () => {
    place.hidden = !place.hidden;
    button.setAttribute("aria-expanded", String(!place.hidden));
    if (place.hidden || place.dataset.asked) return;
    place.dataset.asked = "yes";
    await drawHeat(photo, place);
  });
}

async function drawHeat(photo, place) {
  const words = place.querySelector("p");
  words.textContent = "Drawing ...";
  try {
    const files = [await base64(photo.file)];
    const [map] = (await ask(facts.heatMap, files, new AbortController().signal)).heat_maps;
    if (!map.decoded) throw new Error(map.problem);
    showHeat(photo, map, place);
    words.textContent = map.words.map(shown).join(" ");
  } catch (error) {
    delete place.dataset.asked;
    words.textContent = `No heat map: ${shown(error.message)}`;
  }
}

function showHeat(photo, map, place) {
  const image = place.querySelector("img"), scale = place.querySelector(".scale");
  const [against, , speaksFor] = scale.querySelectorAll("span");
  image.src = `data:image/png;base64,${map.picture.b64}`;
  image.alt = `Heat map of ${shown(photo.name)}`;
  against.textContent = `\u2190 against: ${percent(map.strongest_share)}`;
  speaksFor.textContent = `for: ${percent(map.strongest_share)} \u2192`;
  scale.querySelector(".colours").style.background = `linear-gradient(to right, ${facts.scale})`;
  image.hidden = false;
  scale.hidden = !map.strongest_share;
}

// ---- photos from files and folders

const wholeName = (file) => file.webkitRelativePath || file.name;

// Files of a folder are taken as tl-keras predict takes them; a file that was chosen always is.
function isPicture(name) {
  const parts = name.split("/"), last = parts[parts.length - 1].toLowerCase();
  const hidden = (part) => part.startsWith(".") || part === "__MACOSX" || part === "@eaDir";
  return !parts.some(hidden) && facts.endings.some((ending) => last.endsWith(ending));
}

function picturesOf(photos) {
  const pictures = photos.filter((photo) => isPicture(photo.name));
  pictures.sort((one, other) => (one.name < other.name ? -1 : 1));
  return pictures;
}

function choose(input, ofFolder) {
  at("complaints").replaceChildren();
  const photos = [...input.files].map((file) => ({ name: wholeName(file), file }));
  const taken = ofFolder ? picturesOf(photos) : photos;
  // so that the same can be chosen again
  input.value = "";
  give(taken, photos.length - taken.length);
}

async function drop(transfer) {
  at("complaints").replaceChildren();
  // before the first wait: the browser empties it then
  const dropped = [...transfer.items].filter((item) => item.kind === "file");
  const entries = dropped.map((item) => item.webkitGetAsEntry?.() ?? null);
  const files = dropped.map((item) => item.getAsFile());
  const loose = files.filter((file, place) => file && !entries[place]?.isDirectory);
  if (!dropped.length) complain("No file was dropped: save the picture as a file first.");
  give(loose.map((file) => ({ name: file.name, file })));
  for (const entry of entries) if (entry?.isDirectory) await giveEntry(entry);
}

async function giveEntry(folder) {
  const folders = [folder], photos = [];
  try {
    while (folders.length) {
      for (const entry of await entriesOf(folders.pop())) {
        if (entry.isDirectory) folders.push(entry);
        else photos.push({ name: entry.fullPath.slice(1), file: await fileOf(entry) });
      }
    }
  } catch (error) {
    complain(`${shown(folder.name)} cannot be read in full: ${error.message}`);
  }
  const pictures = picturesOf(photos);
  if (!photos.length) complain(`There is no file in ${shown(folder.name)}.`);
  give(pictures, photos.length - pictures.length);
}

const fileOf = (entry) => new Promise((done, failed) => entry.file(done, failed));

async function entriesOf(folder) {
  const reader = folder.createReader(), found = [];
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    found.push(...some);
  }
}

// ---- the camera

async function startCamera() {
  try {
    const wish = { facingMode: "environment", width: { ideal: 1920 } };
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: wish });
    at("live").hidden = false;
    await at("video").play();
    at("shoot").disabled = false;
    at("shoot").focus();
  } catch (error) {
    complain(`The camera cannot be used: ${error.message}`);
  }
}

function stopCamera() {
  for (const track of at("video").srcObject?.getTracks() ?? []) track.stop();
  at("video").srcObject = null;
  at("live").hidden = at("shoot").disabled = true;
  at("camera").focus();
}

function shoot() {
  const video = at("video"), canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const name = `camera-${++shots}.jpg`;
  canvas.toBlob((blob) => {
    if (blob) give([{ name, file: blob }]);
    else complain("The camera gave no picture.");
  }, "image/jpeg", 0.95);
}

// ---- buttons

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function clear() {
  for (const { item } of seen) {
    const image = item.querySelector(".shot img");
    if (image.src) URL.revokeObjectURL(image.src);
  }
  seen = [];
  at("list").replaceChildren();
  at("complaints").replaceChildren();
  at("answers").hidden = true;
  if (!work) say("No photo yet.");
  at("photos").focus();
}

at("photos").addEventListener("change", (event) => choose(event.target, false));
at("folder").addEventListener("change", (event) => choose(event.target, true));
at("stop").addEventListener("click", () => work?.abort());
at("go").addEventListener("click", goOn);
at("save").addEventListener("click", save);
at("clear").addEventListener("click", clear);
at("only").addEventListener("change", filter);
at("camera").addEventListener("click", startCamera);
at("off").addEventListener("click", stopCamera);
at("shoot").addEventListener("click", shoot);
if (!navigator.mediaDevices?.getUserMedia) {
  at("camera").hidden = true;
  at("no-camera").hidden = false;
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  drop(event.dataTransfer);
});
