"use strict";

const SHOWN_PIXELS = 100e6;
// Sides beyond this ratio would leave a line of the picture, fitted to the window.
const FITTED_RATIO = 20;
const PAUSE_BETWEEN_DOWNLOADS_MS = 500;
const PAUSE_BEFORE_RETRY_MS = 5000;
const PROBE_TIMEOUT_MS = 10000;
// Too many requests, or a proxy whose server is away: what passes by itself.
const PASSING_STATUSES = [429, 502, 503, 504];
const CHANGED = "The file cannot be read: it was changed, moved or removed.";
const PENDING = ["waiting", "running"];

const byId = id => document.getElementById(id);
const pause = ms => new Promise(resolve => setTimeout(resolve, ms));
const getChoices = () =>
  Object.fromEntries(["model", "scale", "format"].map(name => [name, byId(name).value]));

// One per picture: file, name, view, state ("waiting", "running", "done", "failed" or "cancelled"),
// caption, error, remedy of the error, delay (why it waits), choices of the last attempt,
// size in pixels (null: the browser cannot tell), result.
let items = [];
let isRunning = false, isStopped = false;
let examining = Promise.resolve();

// A failure of one picture. Remedy: "none", "choices" (another model, scale or format) or "again".
class Refusal extends Error {
  constructor(message, remedy = "again") {
    super(message);
    this.remedy = remedy;
  }
}

// The server takes the picture later.
class Delay extends Error {}

// No answer, or none to its end.
class Disconnection extends Error {}

// Pictures that come in.

function add(files, message = "") {
  start(message);
  for (const {file, name} of files) {
    const item = makeItem(file, name);
    items.push(item);
    byId("queue").append(item.view);
    // One at a time: a folder may hold thousands.
    item.examined = examining = examining.then(() => examine(item));
    render(item);
  }
  renderSummary();
  run();
}

function makeItem(file, name) {
  const view = byId("item").content.firstElementChild.cloneNode(true);
  const item = {file, name, view, state: "waiting", caption: "", error: "", size: null, result: null,
    part: selector => view.querySelector(selector)};
  item.part(".name").textContent = name;
  item.part("progress").setAttribute("aria-label", `Progress of ${name}`);
  const actions = {compare: toggleComparison, again, cancel, remove};
  for (const [action, act] of Object.entries(actions)) {
    item.part(`.${action}`).addEventListener("click", () => act(item));
  }
  item.part(".save").addEventListener("click", () => {
    item.result.isSaved = true;
  });
  item.part(".divider").addEventListener("input", event => {
    item.part(".stage").style.setProperty("--at", event.target.value + "%");
  });
  return item;
}

async function examine(item) {
  try {
    item.unreadable = unreadableFormat(await item.file.slice(0, 64).arrayBuffer(), item.file.type);
  } catch {
    item.unreadable = CHANGED;
  }
  item.url = URL.createObjectURL(item.file);
  const thumb = item.part(".thumb");
  if (await load(thumb, item.url)) {
    item.size = {width: thumb.naturalWidth, height: thumb.naturalHeight};
  } else {
    thumb.removeAttribute("src");
  }
  if (item.state !== "waiting") return;
  item.choices = getChoices();
  try {
    check(item);
  } catch (refusal) {
    fail(item, refusal);
  }
}

function unreadableFormat(buffer, type) {
  const head = String.fromCharCode(...new Uint8Array(buffer));
  if (/^....ftyp(he[iv][cmsx]|m[is][fa]1.*he[iv][cx])/s.test(head)) {
    return "HEIC pictures cannot be read; save this one as JPEG or PNG. (iPhones: Settings, Camera, " +
      "Formats, Most Compatible.)";
  }
  if (head.startsWith("\xff\x0a") || head.slice(4, 8) === "JXL ") {
    return "JPEG XL pictures cannot be read; save this one as PNG.";
  }
  // The type is by the name: a PNG may be called so. SVG is XML, or packed by gzip.
  if (type === "image/svg+xml" && /^((\xef\xbb\xbf)?\s*<|\x1f\x8b)/.test(head)) {
    return "SVG is a drawing of vectors, which cannot be read; save it as PNG, in the size that you need.";
  }
  return "";
}

// Throws a Refusal of what the server would refuse.
function check({file, size, unreadable}) {
  if (unreadable) throw new Refusal(unreadable, "none");
  const larger = "The command “pipeline upscale” takes larger ones.";
  const maxBytes = Number(byId("file").dataset.maxBytes);
  if (file.size > maxBytes) throw new Refusal(`The file has more than ${maxBytes / 1e6} MB. ${larger}`, "none");
  const scale = byId("scale"), maxPixels = Number(scale.selectedOptions[0].dataset.maxPixels);
  if (size && size.width * size.height > maxPixels) {
    throw new Refusal(`${size.width} × ${size.height} are more than ${maxPixels / 1e6} megapixels, ` +
      `the limit for ${scale.value} times as large. ${larger}`, "choices");
  }
}

function load(image, url) {
  return new Promise(resolve => {
    image.onload = () => resolve(true);
    image.onerror = () => resolve(false);
    image.src = url;
  });
}

// Enlarging, one picture after the other.

async function run() {
  if (isRunning) return;
  isRunning = true;
  for (let item; !isStopped && (item = items.find(({state}) => state === "waiting"));) {
    await enlarge(item);
  }
  isRunning = false;
  renderSummary();
}

async function enlarge(item) {
  const started = performance.now(), seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  const controller = new AbortController(), choices = getChoices(), {signal} = controller;
  Object.assign(item, {state: "running", error: "", controller, choices});
  const showState = state => showProgress(item, state, seconds());
  render(item);
  showState({phase: "send"});
  try {
    await item.examined;
    check(item);
    const result = await post(item.file, choices, signal, showState);
    signal.throwIfAborted();
    keepResult(item, {...result, choices, seconds: seconds()});
    finish(item, "done");
    await offerComparison(item);
  } catch (error) {
    const isGone = error instanceof Disconnection && !await answers(signal);
    if (signal.aborted) {
      finish(item, signal.reason);
    } else if (isGone) {
      finish(item, "waiting");
      stop();
    } else if (error instanceof Delay) {
      finish(item, "waiting");
      await waitToRetry(item, error.message);
    } else {
      fail(item, error);
    }
  }
}

function fail(item, error) {
  const isExpected = error instanceof Refusal || error instanceof Disconnection;
  if (!isExpected) console.error(error);
  item.remedy = error.remedy || "again";
  finish(item, "failed", isExpected ? error.message : `The page failed: ${error.message}`);
}

// Ends early where the picture is cancelled.
async function waitToRetry(item, reason) {
  item.delay = `Waiting. ${reason} The page tries it again in ${PAUSE_BEFORE_RETRY_MS / 1000} seconds.`;
  render(item);
  const end = performance.now() + PAUSE_BEFORE_RETRY_MS;
  while (item.state === "waiting" && performance.now() < end) await pause(100);
  item.delay = "";
}

// Whether the server answers anything.
async function answers(signal) {
  try {
    await fetch("", {method: "HEAD", signal: AbortSignal.any([signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)])});
    return true;
  } catch {
    return false;
  }
}

function showProgress(item, {phase, done, total, unit}, seconds) {
  const bar = item.part("progress"), isCounted = phase === "upscale" && total;
  const texts = {
    send: "Sending", wait: "Waiting for another picture", decode: "Reading", encode: "Writing the file",
    upscale: isCounted ? `Enlarging: ${done} of ${total} ${unit.replace(/s?$/, "s")}` : "Enlarging",
  };
  if (isCounted) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute("value");
  }
  item.part(".caption").textContent = `${texts[phase]}, ${seconds}\u00a0s`;
}

async function post(file, choices, signal, onState) {
  const query = new URLSearchParams({...choices, progress: 1});
  let response;
  try {
    response = await fetch("upscale?" + query, {method: "POST", body: file, signal});
  } catch {
    // A file that has changed on the disk fails like a server that is gone.
    await file.slice(0, 1).arrayBuffer().catch(() => {
      throw new Refusal(CHANGED, "none");
    });
    throw new Disconnection(
      "The picture could not be sent: the connection broke off, or the file was changed, moved or removed.");
  }
  if (!response.ok) {
    const {status} = response, isText = (response.headers.get("Content-Type") || "").startsWith("text/plain");
    const text = isText ? (await response.text().catch(() => "")).trim() : "";
    const message = text || `The server answers ${status}.`;
    throw PASSING_STATUSES.includes(status) ? new Delay(message) : new Refusal(message);
  }
  return readResult(response.body.getReader(), onState);
}

// Lines of JSON, the last of which says how many bytes of the result follow it.
async function readResult(reader, onState) {
  let rest = new Uint8Array();
  const read = async () => {
    const {value} = await reader.read().catch(() => ({}));
    if (!value) throw new Disconnection("The connection broke off before the result's last byte.");
    return value;
  };
  const readLine = async () => {
    while (!rest.includes(10)) {
      const more = await read(), joined = new Uint8Array(rest.length + more.length);
      joined.set(rest);
      joined.set(more, rest.length);
      rest = joined;
    }
    const end = rest.indexOf(10), line = new TextDecoder().decode(rest.subarray(0, end));
    rest = rest.subarray(end + 1);
    try {
      return JSON.parse(line);
    } catch {
      throw new Refusal("The answer is not of this program; a proxy may have replaced it.");
    }
  };
  for (;;) {
    const line = await readLine();
    if (line.error) throw new Refusal(line.error, line.again ? "again" : "choices");
    if (!("bytes" in line)) {
      onState(line);
      continue;
    }
    const parts = [rest];
    for (let length = rest.length; length < line.bytes; length += parts.at(-1).length) {
      parts.push(await read());
    }
    return {...line, blob: new Blob(parts, {type: line.type})};
  }
}

function start(message = "") {
  isStopped = false;
  byId("problem").textContent = message;
}

function stop() {
  isStopped = true;
  byId("problem").textContent = "The program that serves this page does not answer. If it has ended, " +
    "start “pipeline serve” again. Then go on.";
}

function keepResult(item, {blob, width, height, model, notices, seconds, choices}) {
  forgetResult(item);
  const url = URL.createObjectURL(blob), save = item.part(".save");
  item.result = {url, choices, isShowable: width * height <= SHOWN_PIXELS};
  const size = `${width} × ${height}${model ? `, by ${model}` : ""}, ${seconds}\u00a0s`;
  item.caption = [size, ...notices].join(". Note: ");
  save.href = url;
  save.download = `${item.file.name.replace(/(.)\.[^.]*$/, "$1")}_x${choices.scale}.${choices.format}`;
}

function forgetResult(item) {
  if (item.result) URL.revokeObjectURL(item.result.url);
  item.result = null;
}

function finish(item, state, error = "") {
  Object.assign(item, {state, error});
  if (isStopped && !items.some(({state}) => PENDING.includes(state))) start();
  render(item);
  renderSummary();
}

// The comparison: one is open at a time, because each takes the memory of its decoded picture.

async function offerComparison(item) {
  const isFirst = items.every(other => other === item || !other.result);
  if (isFirst || !item.part(".result").hidden) await openComparison(item);
}

async function openComparison(item) {
  items.filter(({part}) => !part(".result").hidden).forEach(closeComparison);
  const {result} = item;
  result.isShowable = result.isShowable && await load(item.part(".after"), result.url);
  if (item.result !== result) return;
  // A format that the browser cannot show: the result stands alone.
  if (result.isShowable) {
    const hasOriginal = await load(item.part(".before"), item.url);
    item.part(".stage").classList.toggle("alone", !hasOriginal);
    showFigure(item);
  }
  render(item);
}

function showFigure(item) {
  const figure = item.part(".result"), {naturalWidth: width, naturalHeight: height} = item.part(".after");
  figure.classList.toggle("long", Math.max(width / height, height / width) > FITTED_RATIO);
  figure.hidden = false;
  // To the divider.
  figure.scrollTo((figure.scrollWidth - figure.clientWidth) / 2, 0);
}

function closeComparison(item) {
  item.part(".result").hidden = true;
  for (const name of [".after", ".before"]) item.part(name).removeAttribute("src");
  render(item);
}

function toggleComparison(item) {
  if (item.part(".result").hidden) openComparison(item);
  else closeComparison(item);
}

// What the buttons do.

function again(item) {
  if (item.state === "running") {
    item.controller.abort("waiting");
    return;
  }
  start();
  finish(item, "waiting");
  run();
}

function cancel(item) {
  if (item.state === "running") item.controller.abort("cancelled");
  else if (item.state === "waiting") finish(item, "cancelled");
}

function remove(item) {
  const next = item.view.nextElementSibling || item.view.previousElementSibling;
  forgetResult(item);
  URL.revokeObjectURL(item.url);
  items = items.filter(other => other !== item);
  item.view.remove();
  renderSummary();
  (next ? visibleButton(next) : byId("file")).focus();
}

async function saveAll() {
  for (const {result, part} of [...items]) {
    if (!result) continue;
    part(".save").click();
    // Browsers drop downloads that begin at the same moment.
    await pause(PAUSE_BETWEEN_DOWNLOADS_MS);
  }
}

function choose() {
  // Of several pictures, those that are finished wait for their own button.
  if (items.length === 1 && items[0].state !== "waiting") again(items[0]);
  items.forEach(render);
}

// What is shown.

function render(item) {
  const {part, state, result} = item, isPending = PENDING.includes(state);
  const isOpen = !part(".result").hidden, choices = getChoices();
  const last = state === "done" ? result.choices : item.choices;
  const isOther = last && Object.keys(choices).some(name => choices[name] !== last[name]);
  const isWorthTrying = item.remedy === "again" || item.remedy === "choices" && isOther;
  const texts = {waiting: item.delay || "Waiting", cancelled: "Cancelled", failed: ""};
  const hint = result && !result.isShowable ? ". The browser cannot show a picture of this size: save it." : "";
  if (state !== "running") {
    part(".caption").textContent = result && state !== "waiting" ? item.caption + hint : texts[state];
  }
  part(".error").textContent = item.error;
  part("progress").hidden = state !== "running";
  part(".again").textContent = state === "failed" ? "Try again" : "Enlarge again";
  part(".compare").textContent = isOpen ? "Close" : "Compare";
  part(".compare").setAttribute("aria-expanded", isOpen);
  const isVisible = {
    save: result, compare: result?.isShowable, cancel: isPending, remove: !isPending,
    again: state === "cancelled" || state === "failed" && isWorthTrying || state === "done" && isOther,
  };
  const focused = item.view.contains(document.activeElement) ? document.activeElement : null;
  for (const [name, visible] of Object.entries(isVisible)) part(`.${name}`).hidden = !visible;
  if (focused?.hidden) visibleButton(item.view).focus();
}

const visibleButton = view => view.querySelector(".buttons > :not([hidden])");

function renderSummary() {
  const count = (...states) => items.filter(({state}) => states.includes(state)).length;
  const counts = [[count("failed"), "failed"], [count("cancelled"), "cancelled"]];
  const others = counts.filter(([number]) => number).map(([number, name]) => `, ${number} ${name}`);
  const text = items.length ? `${count("done")} of ${items.length} done${others.join("")}` : "";
  if (byId("status").textContent !== text) byId("status").textContent = text;
  byId("go-on").hidden = !isStopped;
  byId("save-all").hidden = items.filter(({result}) => result).length < 2;
  byId("cancel-all").hidden = count(...PENDING) < 2;
  byId("clear").hidden = items.length < 2 || count(...PENDING) > 0;
}

// Files that are chosen, pasted or dropped.

function isPicture({type, name}) {
  const suffixes = [...byId("file").accept.split(","), ".heic", ".heif", ".jxl"];
  return type.startsWith("image/") || suffixes.some(suffix => name.toLowerCase().endsWith(suffix));
}

async function addDropped(transfer) {
  // The browser forgets what was dropped once this function waits.
  const dropped = [...transfer.items].filter(({kind}) => kind === "file")
    .map(item => ({entry: item.webkitGetAsEntry?.(), file: item.getAsFile()}));
  const files = [], skipped = [];
  try {
    for (const {entry, file} of dropped) {
      if (!entry?.isDirectory) files.push({file, name: file.name});
      else for await (const found of walk(entry)) (isPicture(found.file) ? files : skipped).push(found);
    }
  } catch (error) {
    add(files, `Not all could be read: ${error.message}`);
    return;
  }
  const names = skipped.slice(0, 3).map(({name}) => name).join(", ");
  const rest = skipped.length > 3 ? ` and ${skipped.length - 3} more` : "";
  const nothing = dropped.length ? "The folder holds no pictures. " : "This is no file: save the picture, then drop its file.";
  add(files, (files.length ? "" : nothing) + (names && `Left out, as no pictures: ${names}${rest}.`));
}

async function* walk(folder) {
  const reader = folder.createReader(), entries = [];
  // Each call returns a part of the folder.
  for (let part; (part = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length;) {
    entries.push(...part);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}));
  for (const entry of entries) {
    if (entry.isDirectory) yield* walk(entry);
    else {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      yield {file, name: entry.fullPath.slice(1)};
    }
  }
}

// Models that make pictures no larger have scale 1 alone.
function offerScales() {
  const scale = byId("scale"), {value, dataset} = byId("model");
  const restores = JSON.parse(dataset.restoring).includes(value);
  for (const option of scale.options) {
    option.hidden = option.disabled = restores !== (option.value === "1");
  }
  if (scale.selectedOptions[0].disabled) scale.value = restores ? "1" : "4";
}

const asNamed = files => [...files].map(file => ({file, name: file.name}));

byId("file").addEventListener("change", event => {
  add(asNamed(event.target.files));
  // Chosen again, the same file is a change.
  event.target.value = "";
});
byId("model").addEventListener("change", offerScales);
for (const name of ["model", "scale", "format"]) byId(name).addEventListener("change", choose);
byId("go-on").addEventListener("click", () => add([]));
byId("save-all").addEventListener("click", saveAll);
byId("cancel-all").addEventListener("click", () => {
  items.filter(({state}) => PENDING.includes(state)).forEach(cancel);
});
byId("clear").addEventListener("click", () => {
  [...items].forEach(remove);
  add([]);
});
addEventListener("paste", event => {
  if (event.clipboardData.files.length) add(asNamed(event.clipboardData.files));
});
for (const kind of ["dragover", "dragleave", "drop"]) addEventListener(kind, event => {
  event.preventDefault();
  byId("drop").classList.toggle("over", kind === "dragover");
  if (kind === "drop") addDropped(event.dataTransfer);
});
addEventListener("beforeunload", event => {
  const isNeeded = ({state, result}) => PENDING.includes(state) || result && !result.isSaved;
  if (items.some(isNeeded)) event.preventDefault();
});
offerScales();
