"use strict";
// Text of others gets into the page as text nodes and attribute values only, never as HTML.
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const SETTINGS = {mono: "monolingual", cross: "cross-lingual", multi: "multilingual"};
const LABELS = {map: "mAP", rank_distance: "rank distance", rank_distance_norm: "rank distance, normalised",
  lpr: "language preference rate", mean_rank: "mean rank", language_probe_accuracy: "language probe"};
const LOWER = {test: name => DATA.lower.includes(name)
  || /^(rank_distance|max_rank|mean_rank|lpr|top1_nonrelevant|language_probe)/.test(name)};
const PERCENT = /^(map|mrr|ndcg|recall|share_at)(_|$)/;
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c"];
const SHAPES = ["circle", "square", "triangle", "diamond", "down", "plus"];  // 42 looks: 6 and 7 are coprime
const CIVIDIS = ["#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369",
  "#e1cc55", "#fee838"];
const DIVERGING = ["#b35900", "#e69f4d", "#f7f7f7", "#6fa8d6", "#00528a"];  // orange is less, blue is more
const names = DATA.encoders.map(encoder => encoder.name);
const prefix = names.length && names.every(name => name.startsWith("hybridir/")) ? "hybridir/" : "";
const short = at => names[at].slice(prefix.length);
const MANY = 12, FEW = 8;  // of more encoders, pictures show a few until more are chosen
const shown = new Set([...names.keys()].slice(0, names.length > MANY ? FEW : MANY));

function node(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) made.setAttribute(name, value === true ? "" : value);
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

function label(measure) {
  return LABELS[measure] ?? measure.replace(/_at_/, "@").replaceAll("_", " ").replace(/^(ndcg|mrr)/,
    word => word === "ndcg" ? "nDCG" : "MRR");
}

function text(value, measure, signed = false) {
  if (value === null || value === undefined) return "–";
  const size = PERCENT.test(measure) ? 100 * value : value;
  const digits = PERCENT.test(measure) || Math.abs(size) >= 20 || /rank/.test(measure) && !/norm/.test(measure)
    ? 1 : 3;
  return (signed && size > 0 ? "+" : "") + size.toFixed(digits);
}

function round(tick) {
  return tick.replace(/\.0+(?= |$)/, "");
}

function millions(count) {
  return count === null || count === undefined ? "–" : count >= 1e9 ? `${+(count / 1e9).toPrecision(3)} B`
    : count >= 1e6 ? `${+(count / 1e6).toPrecision(3)} M` : String(count);
}

function fill(select, options, chosen) {
  const before = chosen ?? select.value;
  select.replaceChildren(...options.map(([value, words]) => node("option", {value}, words)));
  if (options.some(([value]) => value === before)) select.value = before;
}

// Tables --------------------------------------------------------------------------------------------

function sortable(table, columns, rows) {
  // columns: {head, value(row), show(row), text: bool, lower: bool}; the state is kept on the table.
  const order = table.order ?? (table.order = {at: null, down: false});
  const sorted = [...rows];
  const by = columns.find(column => column.head === order.at);
  if (by) sorted.sort((one, other) => {
    const [a, b] = [by.value(one), by.value(other)];
    if (a === null || a === undefined || b === null || b === undefined)
      return (a === null || a === undefined) - (b === null || b === undefined);
    return (by.text ? a.localeCompare(b, undefined, {numeric: true}) : a - b) * (order.down ? -1 : 1);
  });
  const heads = columns.map(column => node("th", {scope: "col", class: column.text ? "text" : false,
    "aria-sort": column.head !== order.at ? "none" : order.down ? "descending" : "ascending"},
  node("button", {type: "button", onclick: () => {
    order.down = order.at === column.head ? !order.down : !(column.text || column.lower);
    order.at = column.head;
    sortable(table, columns, rows);
    table.querySelectorAll("thead button")[columns.indexOf(column)].focus();
  }}, column.head)));
  table.replaceChildren(node("thead", {}, node("tr", {}, ...heads)),
    node("tbody", {}, ...sorted.map(row => node("tr", {}, ...columns.map(column =>
      node("td", {class: column.text ? "text" : column.best?.(row) ? "best" : false}, column.show(row)))))));
}

function plain(caption, columns, rows, ...texts) {
  const kind = at => texts.includes(at) || at === 0 ? "text" : false;
  return node("table", {}, node("caption", {}, caption),
    node("thead", {}, node("tr", {}, ...columns.map((head, at) => node("th", {scope: "col", class: kind(at)}, head)))),
    node("tbody", {}, ...rows.map(row => node("tr", {}, ...row.map((cell, at) => node("td", {class: kind(at)}, cell))))));
}

function folded(columns, rows) {
  return node("details", {}, node("summary", {}, "Numbers"),
    node("div", {class: "wide", tabindex: 0, role: "group", "aria-label": "Numbers"}, plain("", columns, rows)));
}

function measuresOf(rows, setting) {
  return [...new Set(rows.flatMap(row => Object.keys(row.means[setting] ?? {})))];
}

const MAIN = [["mono", "map"], ["cross", "map"], ["multi", "map"], ["multi", "rank_distance"],
  ["multi", "rank_distance_norm"], ["multi", "lpr"], ["multi", "top1_nonrelevant_same"], ["multi", "mrc"]];

function summary() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = DATA.rows.filter(row => words.every(word => {  // "hybrid" does not mean all of hybridir/…
    const name = names[row.encoder].slice(names[row.encoder].startsWith("hybridir/") && !word.includes("/") ? 9 : 0);
    return `${row.collection} ${name}`.toLowerCase().includes(word);
  }));
  const all = Object.keys(SETTINGS).flatMap(setting => measuresOf(DATA.rows, setting).map(name => [setting, name]));
  const columns = byId("all-measures").checked ? all
    : MAIN.filter(([setting, name]) => DATA.rows.some(row => row.means[setting]?.[name] !== undefined));
  const sized = DATA.encoders.some(encoder => encoder.parameters);
  sortable(byId("summary-table"), [
    ...(new Set(DATA.rows.map(row => row.collection)).size > 1
      ? [{head: "collection", text: true, value: row => row.collection, show: row => row.collection}] : []),
    {head: "encoder", text: true, value: row => names[row.encoder], show: row => short(row.encoder)},
    ...columns.map(([setting, name]) => {
      const value = row => row.means[setting]?.[name];
      const lower = LOWER.test(name);
      const best = new Map();
      for (const row of rows) if (typeof value(row) === "number") best.set(row.collection,
        Math[lower ? "min" : "max"](value(row), best.get(row.collection) ?? value(row)));
      const others = collection => rows.filter(row => row.collection === collection).length > 1;
      return {head: (setting === "multi" && name !== "map" ? "" : `${setting} `) + label(name), lower, value,
        show: row => text(value(row), name),
        best: row => others(row.collection) && best.has(row.collection) && value(row) === best.get(row.collection)};
    }),
    ...(sized ? [{head: "parameters", value: row => DATA.encoders[row.encoder].parameters,
      show: row => millions(DATA.encoders[row.encoder].parameters)}] : []),
  ], rows);
  byId("count").textContent = `${rows.length} of ${DATA.rows.length} rows`;
}

function others() {
  byId("others").hidden = !DATA.others.length;
  if (!DATA.others.length) return;
  const heads = [...new Set(DATA.others.flatMap(row => Object.keys(row.values)))];
  sortable(byId("others").querySelector("table"), [
    {head: "task", text: true, value: row => row.task, show: row => row.task},
    {head: "encoder", text: true, value: row => names[row.encoder], show: row => names[row.encoder]},
    ...heads.map(head => ({head, value: row => row.values[head], show: row => text(row.values[head], "map")})),
    {head: "subsets", text: true, value: row => row.subsets, show: row => row.subsets},
  ], DATA.others);
}
