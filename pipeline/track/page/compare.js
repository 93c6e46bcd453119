// What differs between two runs: results, circumstances and every setting of their configs.
function choose(run, wanted) {
  state.chosen = state.chosen.filter((other) => other !== run);
  if (wanted) state.chosen = [...state.chosen, run].slice(-2); // a third one takes the place of the first
  for (const row of find("runs").tBodies[0].rows) {
    const box = row.querySelector("input");
    if (box) box.checked = state.chosen.some((other) => other.run === row.dataset.run);
  }
  showCompare();
}

const valueText = (value) => (value === undefined ? "not there" : typeof value === "string" ? value : JSON.stringify(value));

function settingRows([one, other]) {
  const names = [...new Set([...Object.keys(one.settings ?? {}), ...Object.keys(other.settings ?? {})])];
  return names.map((name) => ({ name, texts: [one, other].map((run) => valueText(run.settings[name])) }));
}

function resultRows(runs) {
  const columns = COLUMNS.filter((column) => column.key !== "run");
  return columns.map((column) => ({
    name: column.title,
    texts: runs.map((run) => String((column.show ? column.show(run) : column.value(run)) ?? "–") || "–"),
    change: column.score && runs.every((run) => run[column.key] !== null) ? runs[1][column.key] - runs[0][column.key] : null,
  }));
}

function comparison(title, rows) {
  const shown = rows.filter(({ texts: [a, b] }) => state.equal || a !== b);
  const head = make("tr", { class: "group" }, make("th", { colspan: 3, scope: "rowgroup" }, title));
  const lines = shown.map(({ name, texts: [a, b], change }) => {
    const kind = a === b ? null : "differs";
    const note = change ? ` (${signed(change, scoreText(change))})` : "";
    return make("tr", { "data-setting": name }, make("th", { scope: "row" }, name), make("td", { class: kind }, a), make("td", { class: kind }, b + note));
  });
  const none = make("tr", {}, make("td", { colspan: 3, class: "none" }, "No difference."));
  return make("tbody", {}, head, ...(lines.length ? lines : [none]));
}

function showCompare() {
  const [place, runs] = [find("compare"), state.chosen];
  find("equal-choice").hidden = runs.length < 2;
  if (runs.length < 2) {
    const hint = runs.length ? `Tick one more run to compare with ${runs[0].run}.` : "Tick two runs in the table to see what differs between them.";
    place.replaceChildren(make("p", {}, hint));
    return;
  }
  const head = make("thead", {}, make("tr", {}, make("th", {}, ""), ...runs.map((run) => make("th", { scope: "col" }, run.run))));
  const bodies = [comparison("Results", resultRows(runs))];
  const unknown = runs.filter((run) => run.settings === null);
  if (!unknown.length) bodies.push(comparison("Config", settingRows(runs)));
  const notes = unknown.map((run) => make("p", {}, `The config of ${run.run} is not on this machine: neither its sidecar beside the ledger nor its run folder is here. Running it again writes both.`));
  place.replaceChildren(make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Comparison" }, make("table", {}, head, ...bodies)), ...notes);
}
