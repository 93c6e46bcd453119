// The data, the state, and what every part needs: elements, number formats, ranks and correlation.
const { made, boards } = JSON.parse(document.getElementById("json").textContent);

// sort.ascending, text, data and config say what the table shows; chosen: the runs to compare.
const state = { board: null, sort: null, text: "", data: "", config: "", side: "lb_public", chosen: [], equal: false };

const find = (id) => document.getElementById(id);

// Text only ever becomes a text node, so nothing in a ledger can become markup.
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(key, "");
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const time = (run) => new Date(run.date).getTime();
const isSample = (run) => run.data === "sample";
const gap = (run) => (run[state.side] === null || run.cv_score === null ? null : run.cv_score - run[state.side]);
const finite = (values) => values.filter((value) => value !== null);

// Scores of generated sample images say nothing about real ones: they count only where there is nothing else.
function comparable(runs) {
  const real = runs.filter((run) => !isSample(run));
  return real.length ? real : runs;
}

function best(runs, key) {
  const sign = state.board.larger ? 1 : -1;
  const scored = comparable(runs).filter((run) => run[key] !== null);
  return scored.reduce((top, run) => (top === null || sign * (run[key] - top[key]) > 0 ? run : top), null);
}

// As many decimals as the values have, 4 or 5: Kaggle shows 5.
function decimals(values) {
  const needed = finite(values).map((value) => (String(value).split(".")[1] || "").length);
  return Math.min(5, Math.max(4, ...needed));
}

const scoreText = (value) => (value === null ? "–" : value.toFixed(Math.abs(value) < 1000 ? state.board.decimals : 1));
const signed = (value, text) => (value === null ? "–" : value > 0 ? `+${text}` : text.replace("-", "−"));
const dateText = (run) => run.date.slice(0, 16).replace("T", " ");

// 1 is the best; equal scores share the mean of their ranks, as in Spearman's correlation.
function ranks(values, larger) {
  return values.map((value) => {
    const ahead = values.filter((other) => (larger ? other > value : other < value)).length;
    const equal = values.filter((other) => other === value).length;
    return ahead + (equal + 1) / 2;
  });
}

// Pearson's; null for fewer than three points or where one side does not vary.
function correlation(xs, ys) {
  if (xs.length < 3) return null;
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [middleX, middleY] = [mean(xs), mean(ys)];
  const product = (us, u, vs, v) => us.reduce((sum, _, i) => sum + (us[i] - u) * (vs[i] - v), 0);
  const spread = Math.sqrt(product(xs, middleX, xs, middleX) * product(ys, middleY, ys, middleY));
  return spread > 0 ? product(xs, middleX, ys, middleY) / spread : null;
}

// The runs that have a CV and a leaderboard score, each with its two ranks among them. A CV may be blank: some
// scores are undefined for some images.
function ranked(runs) {
  const scored = comparable(runs).filter((run) => run[state.side] !== null && run.cv_score !== null);
  const cv = ranks(scored.map((run) => run.cv_score), state.board.larger);
  const lb = ranks(scored.map((run) => run[state.side]), state.board.larger);
  return scored.map((run, i) => ({ run, cv: cv[i], lb: lb[i], gap: lb[i] - cv[i] }));
}
