// What differs between runs: results, circumstances and every setting of their configs.
function choose(run, wanted) {
  state.chosen = state.chosen.filter((other) => other !== run);
  if (wanted) state.chosen = [...state.chosen, run];
  for (const row of find("runs").tBodies[0].rows) {
    const box = row.querySelector("input");
    if (box) box.checked = state.chosen.some((other) => other.run === row.dataset.run);
  }
  showCompare();
}

const valueText = (value) => (value === undefined ? "not there" : typeof value === "string" ? value : JSON.stringify(value));

function settingRows(runs) {
  const names = [...new Set(runs.flatMap((run) => Object.keys(run.settings ?? {})))];
  return names.map((name) => ({ name, texts: runs.map((run) => valueText(run.settings[name])), changes: [] }));
}

// Scores are held against the first run's.
function resultRows(runs) {
  const columns = COLUMNS.filter((column) => column.key !== "run");
  return columns.map((column) => ({
    name: column.title,
    texts: runs.map((run) => String((column.show ? column.show(run) : column.value(run)) ?? "–") || "–"),
    changes: column.score ? runs.map((run) => (run[column.key] === null || runs[0][column.key] === null ? null : run[column.key] - runs[0][column.key])) : [],
  }));
}

function comparison(title, rows, count) {
  const shown = rows.filter(({ texts }) => state.equal || texts.some((text) => text !== texts[0]));
  const head = make("tr", { class: "group" }, make("th", { colspan: count + 1, scope: "rowgroup" }, title));
  const lines = shown.map(({ name, texts, changes }) => {
    const kind = texts.every((text) => text === texts[0]) ? null : "differs";
    const note = (change) => (change ? ` (${signed(change, scoreText(change))})` : "");
    const cells = texts.map((text, i) => make("td", { class: kind }, text + note(changes[i])));
    return make("tr", { "data-setting": name }, make("th", { scope: "row" }, name), ...cells);
  });
  const none = make("tr", {}, make("td", { colspan: count + 1, class: "none" }, "No difference."));
  return make("tbody", {}, head, ...(lines.length ? lines : [none]));
}

function showCompare() {
  const [place, runs] = [find("compare"), state.chosen];
  find("equal-choice").hidden = runs.length < 2;
  if (runs.length < 2) {
    const hint = runs.length ? `Tick one more run to compare with ${runs[0].run}.` : "Tick two or more runs in the table to see what differs between them.";
    place.replaceChildren(make("p", {}, hint));
    return;
  }
  const head = make("thead", {}, make("tr", {}, make("th", {}, ""), ...runs.map((run) => make("th", { scope: "col" }, run.run))));
  const bodies = [comparison("Results", resultRows(runs), runs.length)];
  const unknown = runs.filter((run) => run.settings === null);
  if (!unknown.length) bodies.push(comparison("Config", settingRows(runs), runs.length));
  const notes = unknown.map((run) => make("p", {}, `The config of ${run.run} is not on this machine: neither its sidecar beside the ledger nor its run folder is here. Running it again writes both.`));
  place.replaceChildren(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Comparison" }, make("table", {}, head, ...bodies)), ...notes);
}
