// The table of runs: its columns, order and filters.
const COLUMNS = [
  { key: "run", title: "Run", value: (run) => run.run },
  { key: "date", title: "Date", value: time, show: dateText },
  { key: "config", title: "Config", value: (run) => run.config },
  { key: "model", title: "Model", value: (run) => run.model },
  { key: "size", title: "Size", value: (run) => run.size },
  { key: "changed", title: "Changed", value: (run) => run.changed },
  { key: "note", title: "Note", value: (run) => run.note },
  { key: "cv_score", title: "CV", value: (run) => run.cv_score, show: (run) => scoreText(run.cv_score), score: true },
  { key: "cv_std", title: "± std", value: (run) => run.cv_std, show: (run) => (run.cv_std === null ? "–" : run.cv_std.toFixed(4)), number: true },
  { key: "folds", title: "Folds", value: (run) => run.folds, number: true },
  { key: "lb_public", title: "LB public", value: (run) => run.lb_public, show: (run) => leaderboardText(run), score: true },
  { key: "lb_private", title: "LB private", value: (run) => run.lb_private, show: (run) => scoreText(run.lb_private), score: true },
  { key: "gap", title: "CV − LB", value: gap, show: (run) => signed(gap(run), scoreText(gap(run))), number: true },
  { key: "rank_gap", title: "Rank gap", value: (run) => rankGap(run), show: (run) => signed(rankGap(run), String(rankGap(run))), number: true },
  { key: "minutes", title: "Minutes", value: (run) => run.minutes, show: (run) => (run.minutes === null ? "–" : run.minutes.toFixed(1)), number: true },
  { key: "data", title: "Data", value: (run) => run.data },
  { key: "git_sha", title: "Git", value: (run) => run.git_sha, show: (run) => run.git_sha.replace(/^([0-9a-f]{7})[0-9a-f]+/, "$1") },
];

const rankGap = (run) => state.board.gaps.get(run) ?? null;
// "uploading" is what an upload leaves behind that was cut before Kaggle's answer.
const leaderboardText = (run) => (run.lb_public !== null || !run.uploaded ? scoreText(run.lb_public) : run.uploaded === "uploading" ? "upload cut" : "no score yet");

// What one wants on top at the first click: good scores, new runs, small names.
function firstOrder(column) {
  if (column.score) return !state.board.larger;
  return !(column.number || column.key === "date");
}

function visible() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  return state.board.runs.filter((run) => {
    const text = [run.run, run.config, run.data, run.git_sha, run.reference, run.model, run.size, run.changed, run.note, dateText(run)].join(" ").toLowerCase();
    const data = !state.data || (state.data === "!sample" ? !isSample(run) : run.data === state.data.slice(1));
    return data && (!state.config || run.config === state.config.slice(1)) && words.every((word) => text.includes(word));
  });
}

function ordered(runs) {
  const { key, ascending } = state.sort;
  const value = COLUMNS.find((column) => column.key === key).value;
  const blank = (run) => value(run) === null || value(run) === "";
  return [...runs].sort((one, other) => {
    if (blank(one) || blank(other)) return blank(one) - blank(other); // at the end in either order
    const [a, b] = [value(one), value(other)];
    const order = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: key !== "git_sha" }) : a - b;
    return (ascending ? order : -order) || time(other) - time(one);
  });
}

function showHead() {
  const cells = COLUMNS.map((column) => {
    const button = make("button", { type: "button" }, column.title);
    button.addEventListener("click", () => {
      const same = state.sort.key === column.key;
      state.sort = { key: column.key, ascending: same ? !state.sort.ascending : firstOrder(column) };
      showTable();
    });
    const kind = column.score || column.number ? "number" : null;
    return make("th", { scope: "col", class: kind, "data-key": column.key }, button);
  });
  find("runs").tHead.replaceChildren(make("tr", {}, ...cells));
}

function showTable() {
  const runs = ordered(visible());
  for (const cell of find("runs").tHead.rows[0].cells) {
    if (cell.dataset.key !== state.sort.key) cell.removeAttribute("aria-sort");
    else cell.setAttribute("aria-sort", state.sort.ascending ? "ascending" : "descending");
  }
  const rows = runs.length ? runs.map(runRow) : [make("tr", {}, make("td", { colspan: COLUMNS.length, class: "none" }, "No run matches."))];
  find("runs").tBodies[0].replaceChildren(...rows);
  find("shown").textContent = `${runs.length} of ${state.board.runs.length}`;
  find("clear").hidden = runs.length === state.board.runs.length;
}

function runRow(run) {
  const top = run === state.board.best.cv_score;
  const cells = COLUMNS.slice(1).map((column) => {
    const shown = column.show ? column.show(run) : String(column.value(run) ?? "–");
    const kinds = [column.score || column.number ? "number" : "", column.key === "git_sha" ? "mono" : "", ["changed", "note"].includes(column.key) ? "words" : ""];
    if (["–", "no score yet", "upload cut", ""].includes(shown)) kinds.push("none");
    if (column.key === "data" && isSample(run)) kinds.push("sample");
    const note = column.key === "git_sha" ? run.git_sha : column.key.startsWith("lb_") ? uploadNote(run) : null;
    const parts = column.key === "changed" ? optionLines(shown) : [shown];
    return make("td", { class: kinds.filter(Boolean).join(" ") || null, title: note }, ...(shown ? parts : ["–"]));
  });
  return make("tr", { "data-run": run.run, class: top ? "best" : null }, runHead(run), ...cells);
}

// Each option stays on a line with its value; a line would break behind its hyphens.
function optionLines(text) {
  return text.split(/ (?=--)/).flatMap((option) => [make("span", { class: "option" }, option), " "]);
}

function runHead(run) {
  const box = make("input", { type: "checkbox", "aria-label": `Compare ${run.run}`, checked: state.chosen.includes(run) });
  box.addEventListener("change", () => choose(run, box.checked));
  const name = run.report ? make("a", { href: run.report, title: "Report of this run" }, run.run) : run.run;
  const marks = [["cv_score", "best CV"], ["lb_public", "best LB"]].filter(([key]) => state.board.best[key] === run);
  const text = make("span", {}, name, ...marks.map(([, title]) => make("span", { class: "mark" }, title)));
  return make("th", { scope: "row" }, make("div", {}, box, text));
}

function uploadNote(run) {
  if (!run.uploaded && !run.reference) return null;
  if (run.uploaded === "uploading") return "make upload looks whether it arrived";
  return [run.uploaded && `uploaded ${run.uploaded}`, run.reference && `reference ${run.reference}`].filter(Boolean).join(", ");
}
