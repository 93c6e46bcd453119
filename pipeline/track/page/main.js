// Wires the parts together: choosing a board, filtering, drawing again when the width changes.
function showBoard(board) {
  Object.assign(state, { board, sort: { key: "cv_score", ascending: !board.larger }, text: "", data: "", config: "", chosen: [] });
  board.decimals = decimals(board.runs.flatMap((run) => [run.cv_score, run.lb_public, run.lb_private]));
  board.best = { cv_score: best(board.runs, "cv_score"), lb_public: best(board.runs, "lb_public") };
  state.side = !best(board.runs, "lb_public") && best(board.runs, "lb_private") ? "lb_private" : "lb_public";
  find("side").value = state.side;
  find("side").hidden = !board.runs.some((run) => run.lb_private !== null);
  const kinds = [...new Set(board.runs.map((run) => run.data))].sort();
  const mixed = kinds.length > 1 && kinds.includes("sample");
  options("data", "all data", [...(mixed ? [["!sample", "without samples"]] : []), ...kinds.map((kind) => [`=${kind}`, kind])]);
  options("config", "all configs", [...new Set(board.runs.map((run) => run.config))].sort().map((name) => [`=${name}`, name]));
  find("text").value = "";
  find("about").textContent = `${board.metric}, ${board.larger ? "larger" : "smaller"} is better · made ${made.replace("T", " ")}`;
  document.title = `${board.name} · leaderboard`;
  showHead();
  showCompare();
  showAll();
}

function options(id, all, entries) {
  find(id).replaceChildren(make("option", { value: "" }, all), ...entries.map(([value, text]) => make("option", { value }, text)));
  find(id).hidden = entries.length < 2;
}

// Rank gaps are those among all runs of the board, whatever is shown; the charts follow the filters.
function showAll() {
  state.board.gaps = new Map(ranked(state.board.runs).map(({ run, gap: size }) => [run, size]));
  showFacts();
  showTable();
  showCharts();
}

function showCharts() {
  const runs = visible();
  showScatter(runs);
  showTime(runs);
}

function showFacts() {
  const { runs, best: tops } = state.board;
  const last = runs.reduce((newest, run) => (time(run) > time(newest) ? run : newest));
  const hours = finite(runs.map((run) => run.minutes)).reduce((sum, minutes) => sum + minutes, 0) / 60;
  const fact = (title, text, note) => make("li", {}, make("span", {}, title), make("b", {}, text), make("span", {}, note));
  const top = (title, key) => fact(title, tops[key] ? scoreText(tops[key][key]) : "–", tops[key] ? tops[key].run : "nothing uploaded yet");
  find("facts").replaceChildren(
    top("Best CV", "cv_score"),
    top("Best public LB", "lb_public"),
    fact("Runs", String(runs.length), `${hours < 10 ? hours.toFixed(1) : Math.round(hours)} hours in all`),
    fact("Last run", dateText(last).slice(0, 10), last.run),
  );
}

function follow(id, event, key) {
  find(id).addEventListener(event, () => {
    state[key] = find(id).value;
    showAll();
  });
}

function start() {
  if (!boards.length) {
    find("nothing").hidden = false;
    find("board-choice").hidden = true;
    find("about").textContent = `made ${made.replace("T", " ")}`;
    return;
  }
  find("content").hidden = false;
  find("board").replaceChildren(...boards.map((board, i) => make("option", { value: i }, board.name)));
  find("board").addEventListener("change", () => {
    const board = boards[find("board").value];
    location.replace(`#${encodeURIComponent(board.name)}`); // so that loading the page again shows the same board
    showBoard(board);
  });
  follow("text", "input", "text");
  follow("data", "change", "data");
  follow("config", "change", "config");
  follow("side", "change", "side");
  find("clear").addEventListener("click", () => {
    Object.assign(state, { text: "", data: "", config: "" });
    for (const id of ["text", "data", "config"]) find(id).value = "";
    showAll();
  });
  find("equal").addEventListener("change", () => {
    state.equal = find("equal").checked;
    showCompare();
  });
  const named = boards.findIndex((board) => `#${encodeURIComponent(board.name)}` === location.hash);
  find("board").value = Math.max(0, named);
  showBoard(boards[Math.max(0, named)]);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (width === innerWidth) return; // a phone's address bar coming and going changes the height alone
    width = innerWidth;
    showCharts();
  });
}

start();
