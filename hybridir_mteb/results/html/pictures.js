// Pictures ------------------------------------------------------------------------------------------

function mark(at, x, y, size = 6) {
  const shape = SHAPES[at % SHAPES.length];
  const turned = points => `M${points.map(([a, b]) => `${(x + a * size).toFixed(1)} ${(y + b * size).toFixed(1)}`).join("L")}Z`;
  const paths = {square: [[-.9, -.9], [.9, -.9], [.9, .9], [-.9, .9]], triangle: [[0, -1.1], [1.1, .9], [-1.1, .9]],
    diamond: [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]], down: [[0, 1.1], [1.1, -.9], [-1.1, -.9]],
    plus: [[-.4, -1.1], [.4, -1.1], [.4, -.4], [1.1, -.4], [1.1, .4], [.4, .4], [.4, 1.1], [-.4, 1.1], [-.4, .4],
      [-1.1, .4], [-1.1, -.4], [-.4, -.4]]};
  const look = {class: "mark", fill: COLOURS[at % COLOURS.length]};
  return shape === "circle" ? node("svg:circle", {...look, cx: x, cy: y, r: size})
    : node("svg:path", {...look, d: turned(paths[shape])});
}

function key(at) {
  return node("svg:svg", {viewBox: "0 0 16 16", "aria-hidden": "true"}, mark(at, 8, 8, 6));
}

function roomIn(card) {
  return Math.max(280, Math.floor(card.clientWidth - 26 || 640));
}

function drawing(width, height, title) {
  return node("svg:svg", {viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": title});
}

function say(card, words) {
  card.replaceChildren(node("p", {class: "note"}, words));
}

function ticksOf(low, high, log, most) {
  const found = [];
  if (log) {
    for (const steps of [[1, 2, 5], [1, 3], [1]]) {
      found.length = 0;
      for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
        for (const step of steps) if (step * 10 ** power >= low && step * 10 ** power <= high) found.push(step * 10 ** power);
      if (found.length <= most) break;
    }
    if (found.length > 1) return found;
    found.length = 0;
  }
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = power * [1, 2, 5, 10].find(each => each * power >= rough);
  for (let at = Math.ceil(low / step); at * step <= high * (1 + 1e-12); at++) found.push(+(at * step).toPrecision(12));
  return found;
}

function scaleOf(values, log, start, end) {
  let low = Math.min(...values), high = Math.max(...values);
  const wide = log ? Math.max(Math.log10(high / low) * .08, .05) : (high - low || Math.abs(high) || 1) * .08;
  [low, high] = log ? [low / 10 ** wide, high * 10 ** wide] : [low - wide, high + wide];
  const part = log ? value => Math.log(value / low) / Math.log(high / low) : value => (value - low) / (high - low);
  return {low, high, at: value => start + part(value) * (end - start)};
}

function scatter(card, title, points, x, y, behind = []) {
  // points: [encoder, x, y]; x and y: {label, log, show}. Marks are reached with the Tab key.
  // behind: [name, x, y, status] of others' models, which a folded table names.
  const every = [...points, ...behind];
  const width = Math.min(roomIn(card), 1100), height = Math.max(300, Math.min(460, width * .5));
  const box = {left: 52, right: width - 14, top: 12, bottom: height - 46};
  const across = scaleOf(every.map(point => point[1]), x.log, box.left, box.right);
  const up = scaleOf(every.map(point => point[2]), y.log, box.bottom, box.top);
  const picture = drawing(width, height, title);
  const told = node("p", {class: "note", role: "status"}, "Select a mark to see its numbers.");
  for (const tick of ticksOf(across.low, across.high, x.log, width / 90))
    picture.append(node("svg:path", {class: "grid", d: `M${across.at(tick)} ${box.top}V${box.bottom}`}),
      node("svg:text", {x: across.at(tick), y: box.bottom + 17, "text-anchor": "middle", class: "soft"}, round(x.show(tick))));
  for (const tick of ticksOf(up.low, up.high, y.log, 6))
    picture.append(node("svg:path", {class: "grid", d: `M${box.left} ${up.at(tick)}H${box.right}`}),
      node("svg:text", {x: box.left - 6, y: up.at(tick) + 4, "text-anchor": "end", class: "soft"}, round(y.show(tick))));
  picture.append(node("svg:path", {class: "axis", fill: "none", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}`}),
    node("svg:text", {x: box.right, y: height - 8, "text-anchor": "end"}, x.label),
    node("svg:text", {x: -box.top, y: 13, "text-anchor": "end", transform: "rotate(-90)"}, y.label));
  for (const [name, a, b, status] of behind)
    picture.append(node("svg:circle", {class: status === "zero-shot" ? "public" : "public seen", cx: across.at(a), cy: up.at(b), r: 3.5},
      node("svg:title", {}, `${name}: ${x.label} ${x.show(a)}, ${y.label} ${y.show(b)}, ${status}`)));
  const placed = points.map(point => spot(across.at(point[1]), up.at(point[2]), 14, 14));
  for (const [encoder, a, b] of points) {
    const words = `${names[encoder]}: ${x.label} ${x.show(a)}, ${y.label} ${y.show(b)}`;
    const tell = () => { told.textContent = words; };
    const made = mark(encoder, across.at(a), up.at(b), 7);
    for (const [name, value] of [["tabindex", 0], ["role", "img"], ["aria-label", words]]) made.setAttribute(name, value);
    for (const event of ["focus", "mouseenter", "click"]) made.addEventListener(event, tell);
    made.append(node("svg:title", {}, words));
    picture.append(made);
    const name = short(encoder), long = 6.6 * name.length;
    const [px, py] = [across.at(a), up.at(b)];
    const tries = [[px + 12 + long / 2, py], [px - 12 - long / 2, py], [px, py - 16], [px, py + 17]];
    const free = tries.map(([cx, cy]) => spot(cx, cy, long, 13)).find(one => one.l > box.left && one.r < width
      && one.t > 0 && one.b < box.bottom && !placed.some(other => meet(one, other)));
    if (!free) continue;
    placed.push(free);
    picture.append(node("svg:text", {x: (free.l + free.r) / 2, y: free.b - 2.5, class: "name", "text-anchor": "middle", "aria-hidden": "true"}, name));
  }
  card.replaceChildren(picture, told,
    folded(["encoder", x.label, y.label], [...points.map(([encoder, a, b]) => [names[encoder], x.show(a), y.show(b)]),
      ...behind.map(([name, a, b, status]) => [`${name} (public, ${status})`, x.show(a), y.show(b)])]));
}

function spot(x, y, width, height) {
  return {l: x - width / 2, r: x + width / 2, t: y - height / 2, b: y + height / 2};
}

function meet(one, other) {
  return one.l < other.r && other.l < one.r && one.t < other.b && other.t < one.b;
}

function axisOf(choice) {
  const [setting, name] = choice.split(" ");
  return {value: row => row.means[setting]?.[name], show: value => text(value, name), name,
    label: `${SETTINGS[setting]} ${label(name)}${PERCENT.test(name) ? ", %" : ""}${LOWER.test(name) ? " (less is better)" : ""}`};
}

function choices(rows, wanted) {
  return Object.keys(SETTINGS).flatMap(setting => measuresOf(rows, setting).filter(name => wanted(setting, name))
    .map(name => [`${setting} ${name}`, `${SETTINGS[setting]} ${label(name)}`]));
}

function isLog(values) {
  return Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 4;
}

function plane(rows) {
  const card = byId("plane").querySelector(".card");
  const effective = (_, name) => /^(map|mrr|ndcg|recall)/.test(name);
  fill(byId("plane-y"), choices(rows, effective), byId("plane-y").value || "multi map");
  fill(byId("plane-x"), choices(rows, (setting, name) => setting === "multi" && !effective(setting, name)),
    byId("plane-x").value || "multi rank_distance");
  if (!byId("plane-x").value) return say(card, "No result is of the multilingual setting, where language bias is measured.");
  const [x, y] = [axisOf(byId("plane-x").value), axisOf(byId("plane-y").value)];
  const points = rows.map(row => [row.encoder, x.value(row), y.value(row)]).filter(point => point.every(Number.isFinite));
  if (!points.length) return say(card, "No encoder that is shown has both measures.");
  x.log = x.name.startsWith("rank_distance") && isLog(points.map(point => point[1]));
  if (x.log) x.label += ", logarithmic";
  scatter(card, "Effectiveness against language bias", points, x, y);
}

function sizes(rows, collection) {
  const card = byId("sizes").querySelector(".card");
  const tasks = [...new Set(DATA.others.map(row => row.task))];
  fill(byId("sizes-y"), [...choices(rows, () => true), ...tasks.map(task => [`task ${task}`, `${task}: nDCG@10`])],
    byId("sizes-y").value || "multi map");
  const chosen = byId("sizes-y").value, task = chosen.startsWith("task ") && chosen.slice(5);
  const y = task ? {value: row => row.values["nDCG@10"], show: value => text(value, "ndcg"), label: `${task}: nDCG@10, %`} : axisOf(chosen);
  const from = task ? DATA.others.filter(row => row.task === task && shown.has(row.encoder)) : rows;
  const points = from.map(row => [row.encoder, DATA.encoders[row.encoder].parameters, y.value(row)])
    .filter(point => point[1] > 0 && Number.isFinite(point[2]));
  if (!points.length) return say(card, `No encoder that is shown has a known size and this measure${collection ? ` on ${collection}` : ""}.`);
  const published = (DATA.public.tasks[task] ?? []).map(([at, score, status]) => [...DATA.public.models[at], score, status]);
  byId("sizes-public").disabled = !published.length;
  scatter(card, "Score against parameters", points, {label: "parameters, logarithmic", log: true, show: millions}, y,
    byId("sizes-public").checked ? published : []);
  card.append(node("p", {class: "note"}, published.length
    ? `Grey: ${published.length} public models on the same task, hollow where their makers name its data among those of training, `
      + `or do not say. ${DATA.public.origin}.`
    : `Nobody has published scores on ${task || collection} that could stand beside these`
      + (Object.keys(DATA.public.tasks).length ? "; on other tasks of this page somebody has." : ".")));
}

function shade(part, colours) {
  const place = Math.max(0, Math.min(1, part)) * (colours.length - 1), at = Math.min(Math.floor(place), colours.length - 2);
  const channel = (colour, which) => parseInt(colour.slice(1 + 2 * which, 3 + 2 * which), 16);
  return [0, 1, 2].map(which => Math.round(channel(colours[at], which) * (1 - place + at) + channel(colours[at + 1], which) * (place - at)));
}

function pairValues(row, measure) {
  // (query language, passage language) -> value of one encoder
  if (!row) return () => undefined;
  if (row.matrices[measure]) return (query, passage) => row.matrices[measure][query]?.[passage];
  return (query, passage) => {
    const [setting, subset] = query === passage ? ["mono", query] : ["cross", `${query}-${passage}`];
    const of = row.subsets[setting], at = of ? of.names.indexOf(subset) : -1;
    return at < 0 ? undefined : of.scores[measure]?.[at];
  };
}

function pairs(rows) {
  const card = byId("pairs").querySelector(".card");
  const able = rows.filter(row => row.subsets.cross || Object.keys(row.matrices).length);
  const options = able.map(row => [String(row.encoder), names[row.encoder]]);
  fill(byId("pairs-a"), options);
  fill(byId("pairs-b"), [["", "nothing"], ...options]);
  const measures = [...new Set(able.flatMap(row => [...Object.keys(row.subsets.cross?.scores ?? {}), ...Object.keys(row.matrices)]))];
  fill(byId("pairs-measure"), measures.map(name => [name, label(name) + (able.some(row => row.matrices[name]) ? " (in the pool of all languages)" : "")]));
  const [one, other] = ["pairs-a", "pairs-b"].map(id => able.find(row => String(row.encoder) === byId(id).value));
  if (!one) return say(card, "No encoder that is shown has scores by language pair for this collection.");
  const measure = byId("pairs-measure").value, a = pairValues(one, measure), b = pairValues(other, measure);
  const value = (query, passage) => {
    const [x, y] = [a(query, passage), other ? b(query, passage) : 0];
    return Number.isFinite(x) && Number.isFinite(y) ? x - y : null;
  };
  const codes = languagesOf([one]);
  const all = codes.flatMap(query => codes.map(passage => value(query, passage))).filter(Number.isFinite);
  if (!all.length) return say(card, "The two encoders have no language pair in common.");
  const most = Math.max(...all.map(Math.abs)) || 1, low = Math.min(...all), high = Math.max(...all), flipped = LOWER.test(measure);
  const part = found => other ? (found / most + 1) / 2 : (found - low) / (high - low || 1);
  const cell = (query, passage) => {
    const found = value(query, passage), made = node("td", {class: query === passage ? "own" : false}, text(found, measure, Boolean(other)));
    if (found === null) return made;
    const [red, green, blue] = shade(flipped ? 1 - part(found) : part(found), other ? DIVERGING : CIVIDIS);
    made.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
    made.style.color = .299 * red + .587 * green + .114 * blue > 140 ? "#000" : "#fff";
    return made;
  };
  const table = node("table", {}, node("caption", {}, `${label(measure)}${PERCENT.test(measure) ? ", %" : ""}: ${short(one.encoder)}${other ? ` minus ${short(other.encoder)}` : ""}`),
    node("thead", {}, node("tr", {}, node("th", {class: "text", scope: "col"}, "query ↓ passage →"), ...codes.map(code => node("th", {scope: "col"}, code)))),
    node("tbody", {}, ...codes.map(query => node("tr", {}, node("th", {scope: "row", class: "text"}, query), ...codes.map(passage => cell(query, passage))))));
  const better = other ? "Blue: the first encoder is better; orange: the second is." : "Bright is better, dark is worse.";
  card.replaceChildren(table, node("p", {class: "note"}, better));
}

function languagesOf(rows) {
  return [...new Set(rows.flatMap(row => [...(row.subsets.multi?.names ?? []), ...(row.subsets.mono?.names ?? []),
    ...(row.subsets.cross?.names ?? []).flatMap(name => name.split("-")), ...Object.values(row.matrices).flatMap(Object.keys)]))].sort();
}

function distances(rows, collection) {
  const card = byId("distances").querySelector(".card");
  const of = DATA.questions[collection]?.distances;
  const spread = of ? rows.filter(row => of.counts[row.encoder]) : [];
  if (spread.length) return histograms(card, spread.map(row => row.encoder), of);
  const by = rows.filter(row => row.subsets.multi?.scores.rank_distance);
  if (!by.length) return say(card, "No encoder that is shown has rank distances by query or by language for this collection.");
  const values = by.flatMap(row => row.subsets.multi.scores.rank_distance).filter(Number.isFinite), log = isLog(values);
  const width = Math.min(roomIn(card), 1100), row_ = 44, height = by.length * row_ + 40;
  const picture = drawing(width, height, "Rank distances of the query languages"), across = scaleOf(values, log, 8, width - 12);
  axisBelow(picture, across, log, width, height, "mean rank distance of a query language" + (log ? ", logarithmic" : ""));
  by.forEach((row, at) => {
    picture.append(node("svg:text", {x: 8, y: at * row_ + 14}, names[row.encoder]));
    row.subsets.multi.scores.rank_distance.forEach((value, which) => {
      if (!Number.isFinite(value)) return;
      const made = mark(row.encoder, across.at(value), at * row_ + 28, 5);
      made.append(node("svg:title", {}, `${row.subsets.multi.names[which]}: ${text(value, "rank_distance")}`));
      picture.append(made);
    });
  });
  card.replaceChildren(picture, node("p", {class: "note"}, "One mark for each query language. Scores by query are not "
    + "at hand, so how single questions are spread is not known."));
}

function axisBelow(picture, across, log, width, height, words) {
  for (const tick of ticksOf(across.low, across.high, log, width / 80))
    picture.append(node("svg:path", {class: "grid", d: `M${across.at(tick)} 0V${height - 34}`}),
      node("svg:text", {x: across.at(tick), y: height - 20, "text-anchor": "middle", class: "soft"}, String(tick)));
  picture.append(node("svg:text", {x: width - 12, y: height - 4, "text-anchor": "end"}, words));
}

function histograms(card, encoders, of) {
  const width = Math.min(roomIn(card), 1100), tall = 40, row_ = tall + 24, height = encoders.length * row_ + 40;
  const picture = drawing(width, height, "Rank distances of the questions"), [low, high] = [of.edges[0], of.edges.at(-1)];
  const across = {low, high, at: value => 8 + Math.log(value / low) / Math.log(high / low) * (width - 20)};
  axisBelow(picture, across, true, width, height, "rank distance of a question, logarithmic");
  encoders.forEach((encoder, at) => {
    const counts = of.counts[encoder], most = Math.max(...counts), bottom = at * row_ + 20 + tall, middle = across.at(of.medians[encoder]);
    counts.forEach((count, bin) => picture.append(node("svg:rect", {x: across.at(of.edges[bin]), y: bottom - tall * count / most,
      width: Math.max(1, across.at(of.edges[bin + 1]) - across.at(of.edges[bin]) - 1), height: tall * count / most,
      fill: COLOURS[encoder % COLOURS.length]}, node("svg:title", {}, `${count} questions`))));
    picture.append(node("svg:path", {class: "axis", d: `M8 ${bottom}H${width - 12}`}),
      node("svg:path", {class: "axis", "stroke-width": 2, d: `M${middle} ${bottom - tall}V${bottom + 3}`}),
      node("svg:text", {x: 8, y: at * row_ + 13}, `${names[encoder]}: median ${text(of.medians[encoder], "rank_distance")}`));
  });
  card.replaceChildren(picture, folded(["encoder", "questions", "median"], encoders.map(encoder => [names[encoder],
    String(of.counts[encoder].reduce((a, b) => a + b, 0)), text(of.medians[encoder], "rank_distance")])));
}

const FIRST = [["top1_relevant_same", "relevant, the query's language", "#0072b2", "#fff"],
  ["top1_relevant_other", "relevant, another language", "#56b4e9", "#000"],
  ["top1_nonrelevant_other", "not relevant, another language", "#f0e442", "#000"],
  ["top1_nonrelevant_same", "not relevant, the query's language", "#d55e00", "#000"]];

function first(rows) {
  const card = byId("first").querySelector(".card");
  const able = rows.filter(row => FIRST.every(([name]) => Number.isFinite(row.means.multi?.[name])));
  if (!able.length) return say(card, "No encoder that is shown has these shares for this collection.");
  const width = Math.min(roomIn(card), 1100), row_ = 46, picture = drawing(width, able.length * row_, "The first passage");
  able.forEach((row, at) => {
    picture.append(node("svg:text", {x: 0, y: at * row_ + 13}, names[row.encoder]));
    let x = 0;
    for (const [name, words, colour, ink] of FIRST) {
      const share = row.means.multi[name], wide = share * width;
      const bar = node("svg:rect", {x, y: at * row_ + 18, width: Math.max(0, wide - 1), height: 22, fill: colour},
        node("svg:title", {}, `${words}: ${(100 * share).toFixed(1)} %`));
      picture.append(bar);
      if (wide > 34) {
        const number = node("svg:text", {x: x + wide / 2, y: at * row_ + 33, "text-anchor": "middle"}, (100 * share).toFixed(1));
        number.style.fill = ink;
        picture.append(number);
      }
      x += wide;
    }
  });
  const keys = FIRST.map(([, words, colour]) => node("span", {class: "key"},
    node("svg:svg", {viewBox: "0 0 16 16", "aria-hidden": "true"}, node("svg:rect", {width: 16, height: 16, fill: colour})), words));
  card.replaceChildren(node("div", {class: "legend"}, ...keys), picture, folded(["encoder", ...FIRST.map(([, words]) => words)],
    able.map(row => [names[row.encoder], ...FIRST.map(([name]) => (100 * row.means.multi[name]).toFixed(1))])));
}

function languages(rows) {
  const card = byId("languages").querySelector(".card");
  const options = choices(rows, (setting, name) => rows.some(row => row.subsets[setting]?.scores[name]));
  fill(byId("languages-measure"), options, byId("languages-measure").value || "multi map");
  if (!options.length) return say(card, "No encoder that is shown has scores by language for this collection.");
  const [setting, name] = byId("languages-measure").value.split(" ");
  const able = rows.filter(row => row.subsets[setting]?.scores[name]);
  const value = (row, code) => {
    const {names: subsets, scores} = row.subsets[setting];
    const of = subsets.flatMap((subset, at) => subset.split("-")[0] === code ? [scores[name][at]] : []).filter(Number.isFinite);
    return of.length ? of.reduce((a, b) => a + b) / of.length : null;
  };
  const codes = [...new Set(able.flatMap(row => row.subsets[setting].names.map(subset => subset.split("-")[0])))].sort();
  const width = Math.min(roomIn(card), 1100), bar = 13, row_ = bar * able.length + 12, left = 12 + 8 * Math.max(...codes.map(code => code.length));
  const high = Math.max(...codes.flatMap(code => able.map(row => value(row, code) ?? 0))) || 1;
  const picture = drawing(width, codes.length * row_, "Scores by query language");
  codes.forEach((code, at) => {
    picture.append(node("svg:text", {x: 0, y: at * row_ + row_ / 2}, code));
    able.forEach((row, which) => {
      const found = value(row, code), y = at * row_ + which * bar;
      if (found === null) return;
      const wide = Math.max(0, found) / high * (width - left - 52);
      picture.append(node("svg:rect", {x: left, y, width: wide, height: bar - 2, fill: COLOURS[row.encoder % COLOURS.length]},
        node("svg:title", {}, `${code}, ${names[row.encoder]}: ${text(found, name)}`)),
      node("svg:text", {x: left + wide + 4, y: y + bar - 3, class: "soft"}, text(found, name)));
    });
  });
  const keys = able.map(row => node("span", {class: "key"}, key(row.encoder), names[row.encoder]));
  const note = setting === "cross" ? "Means over the passage languages. " : "";
  card.replaceChildren(node("div", {class: "legend"}, ...keys), picture,
    node("p", {class: "note"}, `${note}The bars of a language stand in the order of the encoders above. ${LOWER.test(name) ? "Less is better." : ""}`),
    folded(["query language", ...able.map(row => names[row.encoder])], codes.map(code => [code, ...able.map(row => text(value(row, code), name))])));
}

function questions(collection) {
  const card = byId("questions").querySelector(".card"), of = DATA.questions[collection];
  const options = (of?.encoders ?? []).map(at => [String(at), names[at]]);
  fill(byId("questions-a"), options);
  fill(byId("questions-b"), options, byId("questions-b").value || options.at(1)?.[0]);
  fill(byId("questions-measure"), (of?.measures ?? []).map(name => [name, label(name)]));
  if (options.length < 2) return say(card, DATA.why_no_questions[collection] ?? "Two encoders with scores by query are needed.");
  const [a, b] = [byId("questions-a").value, byId("questions-b").value], measure = byId("questions-measure").value;
  if (a === b) return say(card, "Choose two encoders.");
  const turned = +a > +b, found = of.changed[turned ? `${b}-${a}` : `${a}-${b}`]?.[measure] ?? [];
  const rows = found.map(([at, x, y]) => turned ? [of.texts[at], y, x] : [of.texts[at], x, y]);
  const gain = ([, x, y]) => LOWER.test(measure) ? x - y : y - x;
  const cells = ([told, x, y]) => [told.language, asked(told), text(x, measure), text(y, measure), text(y - x, measure, true)];
  const table = (words, some) => node("div", {class: "wide", tabindex: 0, role: "group", "aria-label": words},
    plain(words, ["query", "question", short(+a), short(+b), "change"], some.map(cells), 1));
  const better = rows.filter(row => gain(row) > 0).sort((one, other) => gain(other) - gain(one));
  const worse = rows.filter(row => gain(row) < 0).sort((one, other) => gain(one) - gain(other));
  card.replaceChildren(...[["Better", better], ["Worse", worse]].map(([words, some]) => some.length ? table(words, some)
    : node("p", {class: "note"}, `${words}: none.`)), node("p", {class: "note"}, of.note));
}

function asked(told) {
  const texts = [["span", told.text ?? told.id], ["small", told.passage]].filter(([, words]) => words);
  return node("span", {}, ...texts.map(([tag, words]) => node(tag, {lang: told.language, dir: "auto"}, words)));
}
