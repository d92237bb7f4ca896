
"use strict";
// Everything a model wrote reaches the document as a text node: no HTML is ever made from it.

const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const SYMBOLS = { passed: "✓", failed: "✗", undecided: "?" };

/** Make an element; `parts` are elements or text. */
function make(name, className, ...parts) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...parts);
  return element;
}

// ---- theme

const THEMES = [["", "as the system"], ["light", "light"], ["dark", "dark"]];

function startTheme() {
  const button = byId("theme");
  let place = 0;
  button.hidden = false;
  button.addEventListener("click", () => {
    place = (place + 1) % THEMES.length;
    const [theme, name] = THEMES[place];
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    button.querySelector("span").textContent = name;
  });
}

// ---- the table of problems: only a window of rows is laid out; sort, filter, find, open, link

const STEP = 100; // rows that come when the last one comes into view
const FOUND = ".open, .prompt, .expected, .given";

function startTable() {
  const table = byId("problem-table");
  if (!table) return;
  const rows = [...table.tBodies, ...(byId("further")?.content.children ?? [])].map((body) => ({
    body,
    name: body.querySelector(".open").textContent,
    text: [...body.querySelectorAll(FOUND)].map((one) => one.textContent).join("\n").toLowerCase(),
    verdicts: body.dataset.verdicts.split(" "),
    keys: [...body.rows[0].cells].map((cell) => Number(cell.dataset.sort || -1)),
  }));
  const packs = byId("candidates").textContent.trim().split("\n");
  const form = byId("filters"), more = byId("more");
  let sorted = rows, fitting = rows, size = STEP;
  let found = null; // rows whose candidates hold the words looked for

  const show = () => {
    for (const body of [...table.tBodies]) body.remove();
    table.append(...fitting.slice(0, size).map((row) => row.body));
    more.hidden = fitting.length <= size;
  };
  const filter = () => {
    const words = wanted(), verdict = form.verdict.value, disagree = form.disagree?.checked;
    fitting = sorted.filter((row) => (!verdict || row.verdicts.includes(verdict))
      && (!disagree || new Set(row.verdicts).size > 1)
      && (row.text.includes(words) || found?.has(row)));
    const all = `${count(rows.length)} ${rows.length === 1 ? "problem" : "problems"}`;
    byId("shown").textContent = fitting.length === rows.length ? all : `${count(fitting.length)} of ${all}`;
    show();
  };
  const wanted = () => form.find.value.trim().toLowerCase();

  // What candidates wrote is unpacked some problems at a time, so that the page stays awake.
  const look = async (words, mine) => {
    let shown = performance.now();
    for (let start = 0; start < rows.length; start += 50) {
      const part = rows.slice(start, start + 50);
      const texts = await Promise.all(part.map((row, place) => (row.inside ??= searched(packs[start + place]))));
      if (mine !== found) return; // other words are looked for by now
      part.forEach((row, place) => texts[place].includes(words) && mine.add(row));
      if (performance.now() - shown > 300) {
        filter();
        byId("shown").textContent += `, candidates of ${count(start)} looked through …`;
        shown = performance.now();
      }
    }
    filter();
  };
  let timer;
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    size = STEP;
    if (event.target === form.find || event.target === form) {
      clearTimeout(timer);
      const words = wanted(), mine = (found = words ? new Set() : null);
      const fail = (error) => { byId("shown").textContent += `; candidates cannot be looked through: ${error.message}`; };
      if (words) timer = setTimeout(() => look(words, mine).catch(fail), 200);
    }
    filter();
  });

  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest(".sort");
    if (!button) return;
    const head = button.parentElement, column = Number(button.dataset.column);
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    sorted = [...rows].sort((a, b) => sign * (a.keys[column] - b.keys[column]));
    filter();
  });

  more.addEventListener("click", () => {
    size += STEP;
    show();
  });
  new IntersectionObserver((seen) => seen[0].isIntersecting && more.click(), { rootMargin: "600px" }).observe(more);
  addEventListener("beforeprint", () => {
    size = Infinity;
    show();
  });

  table.addEventListener("click", (event) => {
    const opener = event.target.closest(".open");
    if (opener) toggle(opener, packs);
  });
  const follow = () => {
    const row = rows.find((one) => decoded(location.hash) === `#problem-${one.name}`);
    if (!row) return;
    if (!fitting.includes(row)) {
      form.reset();
      found = null;
      filter();
    }
    size = Math.max(size, fitting.indexOf(row) + 1);
    show();
    const opener = row.body.querySelector(".open");
    if (opener.getAttribute("aria-expanded") !== "true") opener.click();
    row.body.scrollIntoView({ behavior: "instant" });
  };
  addEventListener("hashchange", follow);
  follow();
}

function decoded(address) {
  try {
    return decodeURIComponent(address);
  } catch {
    return address; // a % that somebody typed
  }
}

const count = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");

async function toggle(opener, packs) {
  const body = opener.closest("tbody");
  const open = opener.getAttribute("aria-expanded") !== "true";
  opener.setAttribute("aria-expanded", String(open));
  if (body.rows.length > 1) {
    body.rows[1].hidden = !open;
    return;
  }
  const panel = make("div", "panel");
  const cell = make("td", "", panel);
  cell.colSpan = body.rows[0].cells.length;
  body.append(make("tr", "detail", cell));
  try {
    panel.append(...problem(await unpack(packs[opener.dataset.number])));
  } catch (error) {
    panel.append(make("p", "problem-error", `The candidates could not be unpacked: ${error.message}`));
  }
}

async function unpack(text) {
  if (!("DecompressionStream" in window)) throw new Error("this browser has no DecompressionStream");
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** Return all that a problem's candidates wrote, to be searched. */
async function searched(text) {
  const { prompt, reference, arms } = await unpack(text);
  const written = arms.flatMap((one) => [one.answer, one.text, one.reasoning].flat());
  return [prompt, reference, ...written].join("\n").toLowerCase();
}

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";
const VALUES = new Uint8Array(128);
[...DIGITS].forEach((digit, value) => { VALUES[digit.charCodeAt(0)] = value; });

/** Decode base 85, in Python's alphabet but with a comma for `<`: 5 characters are 4 bytes. */
function bytes(text) {
  const padded = text.padEnd(Math.ceil(text.length / 5) * 5, "~");
  const view = new DataView(new ArrayBuffer((padded.length / 5) * 4));
  for (let at = 0; at < padded.length; at += 5) {
    let number = 0;
    for (let place = at; place < at + 5; place += 1) number = number * 85 + VALUES[padded.charCodeAt(place)];
    view.setUint32((at / 5) * 4, number);
  }
  return view.buffer.slice(0, Math.floor((text.length * 4) / 5));
}

// ---- one problem

function problem(data) {
  const parts = [make("h3", "", "Prompt"), text(data.prompt)];
  if (data.reference !== null) parts.push(make("p", "reference", "Reference: ", answer(data.reference)));
  parts.push(make("div", "arms", ...data.arms.map(arm)));
  return parts;
}

function arm(data) {
  const total = data.index.length;
  const parts = [make("h3", "", ...shown(data.name), " ", verdict(data.status, data.reason))];
  if (!total) parts.push(make("p", "", "no candidates"));
  for (let start = 0; start < total;) {
    let end = start + 1;
    while (end < total && data.group[end] === data.group[start]) end += 1;
    parts.push(group(data, start, end));
    start = end;
  }
  if (data.search) parts.push(search(data.search));
  return make("div", "", ...parts);
}

// ---- a search: its calls as nested lists, each behind the one that it goes on from

const FATES = { kept: "●", dropped: "○", "given up": "△", failed: "×" };
const LEGEND = { kept: "lives on in candidates →", dropped: "in no candidate", "given up": "given up", failed: "failed" };

function search(data) {
  const details = make("details", "search", make("summary", "", data.summary));
  lazily(details, () => {
    const legend = Object.entries(LEGEND).map(([fate, told]) => make("span", "", fated(fate), ` ${told}`));
    const tree = make("div", "scroll", steps(data));
    tree.tabIndex = 0;
    tree.setAttribute("role", "group");
    tree.setAttribute("aria-label", "Calls of the search");
    details.append(...data.costs.map((told) => make("p", "reason", ...shown(told))), make("p", "legend", ...legend), tree);
    if (data.num_left_out) details.append(make("p", "reason", `${count(data.num_left_out)} more calls were left out`));
  });
  return details;
}

/** A step that heads a path is an item of a list; what goes on from it alone stands below it in that item. */
function steps(data) {
  const lists = [make("ul", "steps")];
  data.key.forEach((_, place) => {
    const depth = data.depth[place];
    lists.length = Math.min(lists.length, depth + 1);
    if (lists.length === depth) {
      lists.push(make("ul", "steps"));
      lists[depth - 1].lastElementChild.append(lists[depth]);
    }
    if (data.heads[place]) lists[depth].append(make("li", ""));
    lists[depth].lastElementChild.append(step(data, place));
  });
  return lists[0];
}

function step(data, place) {
  const said = make("span", "said", ...(data.put[place] ? [make("span", "put", "«", ...shown(data.put[place]), "» ")] : []), ...shown(data.text[place]));
  said.dir = "auto";
  const parts = [data.key[place], data.facts[place]].filter(Boolean).join(" · ");
  return make("div", `step ${data.fate[place].replace(" ", "-")}`, fated(data.fate[place]), make("span", "facts", ...shown(parts)), said);
}

function fated(fate) {
  const mark = make("span", `fate ${fate.replace(" ", "-")}`, FATES[fate]);
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", fate);
  return mark;
}

function group(data, start, end) {
  const total = data.index.length, mine = end - start;
  const of = `${mine} of ${total}`, status = data.statuses[start];
  const several = new Set(data.statuses.slice(start, end)).size > 1;
  const summary = make("summary", "", answer(data.answer[start]));

  // Answers that are judged equal though they differ support each other in a vote.
  const support = data.support[data.group[start]] ?? mine;
  const track = make("span", `share ${status}`, make("i", ""));
  track.style.setProperty("--share", `${(100 * mine) / total}%`);
  track.style.setProperty("--support", `${(100 * support) / total}%`);
  summary.append(track, make("span", "of", of));
  summary.append(several ? make("span", "reason", "verdicts differ") : verdict(status, data.reasons[start]));
  if (data.index.slice(start, end).includes(data.selected)) summary.append(make("span", "handed", "handed in"));
  if (support > mine) {
    const beside = data.links.filter((pair) => pair.includes(data.group[start])).flat();
    const names = data.group.flatMap((one, place) =>
      one !== data.group[start] && beside.includes(one) && data.group.indexOf(one) === place ? [data.answer[place]] : []);
    summary.append(make("span", "linked", `supported by ${support} of ${total}, with ${names.length === 1 ? "" : `${names.length} others, `}`,
      ...names.slice(0, 3).flatMap((name, place) => [place ? ", " : "", answer(name)])));
  }
  const details = make("details", support > mine ? "group party" : "group", summary);
  lazily(details, () => {
    for (let place = start; place < end; place += 1) details.append(candidate(data, place));
  });
  return details;
}

function candidate(data, place) {
  const facts = [`${data.num_tokens[place] ?? "unknown"} tokens`, data.finish_reason[place], data.sampler[place]];
  if (data.rule[place]) facts.push(`answer by ${data.rule[place].replaceAll("_", " ")}`);
  for (const [name, scores] of Object.entries(data.scores)) {
    facts.push(`${name} ${scores[place] === null ? "–" : String(scores[place]).replace("-", "−")}`);
  }
  const summary = make("summary", "", `#${data.index[place]} `, verdict(data.statuses[place], data.reasons[place]));
  if (data.index[place] === data.selected) summary.append(make("span", "handed", " · handed in"));
  summary.append(" · ", ...shown(facts.join(" · ")));
  const details = make("details", "candidate", summary);
  lazily(details, () => details.append(...body(data, place)));
  return details;
}

function body(data, place) {
  const parts = [];
  if (data.detail[place]) parts.push(make("p", "reason", ...shown(data.detail[place])));
  const thought = data.reasoning[place];
  if (thought !== null) {
    const folded = make("details", "reasoning", make("summary", "", `Reasoning, ${thought.length} characters`));
    lazily(folded, () => folded.append(text(thought)));
    parts.push(folded);
  }
  parts.push(data.text[place] ? text(data.text[place]) : make("p", "reason", "(no text)"));
  return parts;
}

function lazily(details, fill) {
  details.addEventListener("toggle", fill, { once: true });
}

function verdict(status, reason) {
  const mark = make("span", "", SYMBOLS[status]);
  mark.setAttribute("aria-hidden", "true");
  const parts = [make("span", `verdict ${status}`, mark, ` ${status}`)];
  if (reason) parts.push(make("span", "reason", " ", ...shown(reason.replaceAll("_", " "))));
  return make("span", "", ...parts);
}

function answer(value) {
  return value === null ? make("span", "answer none", "no answer") : make("span", "answer", ...shown(value));
}

// ---- text: mathematics and code are set apart, and not a character is changed

const CLOSERS = { "```": "```", "`": "`", "\\[": "\\]", "\\(": "\\)", "$$": "$$", "$": "$" };
const KINDS = { "```": "code", "`": "inline", "\\[": "math display", "\\(": "math", "$$": "math display", "$": "math" };
const OPENERS = /```|`|\\\[|\\\(|\$\$|\$/g;
const LONGEST = { "```": 100000, "\\[": 4000, "$$": 4000, "\\(": 1000, "$": 400, "`": 400 };

function text(source) {
  const element = make("div", "text");
  element.dir = "auto";
  for (const [kind, part] of segments(source)) {
    element.append(...(kind ? [make("span", kind, ...shown(part))] : shown(part)));
  }
  return element;
}

/** Split a text into [kind, part] pairs that add up to it; in linear time, however the delimiters stand. */
function segments(source) {
  const found = [], nearest = {};
  let start = 0;
  OPENERS.lastIndex = 0;
  for (let match; (match = OPENERS.exec(source));) {
    const opener = match[0], inside = match.index + opener.length;
    const end = closing(source, opener, inside, nearest);
    if (end < 0) continue;
    if (match.index > start) found.push(["", source.slice(start, match.index)]);
    start = OPENERS.lastIndex = end;
    found.push([KINDS[opener], source.slice(match.index, end)]);
  }
  if (start < source.length) found.push(["", source.slice(start)]);
  return found;
}

/** Return where the segment that `opener` began ends, -1 where it is none: too long, empty, or prices in dollars. */
function closing(source, opener, inside, nearest) {
  const closer = CLOSERS[opener];
  if (!(nearest[closer] >= inside)) {
    const next = source.indexOf(closer, inside);
    nearest[closer] = next < 0 ? Infinity : next;
  }
  const at = nearest[closer];
  if (at === inside || at - inside > LONGEST[opener]) return -1;
  const part = source.slice(inside, at);
  if (opener.length === 1 && part.includes("\n")) return -1;
  if (opener === "$" && (/^\s|\s$/.test(part) || /\d/.test(source[at + 1] ?? ""))) return -1;
  return at + closer.length;
}

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Return text as nodes; controls and marks of text direction stand alone with their name before them. */
function shown(source) {
  const parts = [];
  let start = 0;
  for (const match of source.matchAll(CONTROLS)) {
    const control = make("span", "control", match[0]);
    control.dataset.name = `U+${match[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    parts.push(source.slice(start, match.index), control);
    start = match.index + 1;
  }
  parts.push(source.slice(start));
  return parts;
}

startTheme();
startTable();
