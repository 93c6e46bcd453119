// CV against the leaderboard, and both over time, as SVG drawn for the width there is.
const HEIGHT = 300;
const MARGIN = { top: 10, right: 12, bottom: 40, left: 62 };

// Round steps of 1, 2 or 5 that cover the values with a little room; about `count` of them.
function niceScale(values, count) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const room = (high - low) * 0.06 || Math.abs(high) * 0.02 || 1;
  [low, high] = [low - room, high + room];
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const ticks = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return { low, high, ticks, text: (tick) => tick.toFixed(digits) };
}

// Steps of hours, days, weeks or months in local time.
function timeScale(times, count) {
  let [low, high] = [Math.min(...times), Math.max(...times)];
  const [hour, day] = [3600e3, 86400e3];
  const room = Math.max((high - low) * 0.04, 0.5 * hour);
  [low, high] = [low - room, high + room];
  const rough = (high - low) / count;
  const step = [1, 2, 6, 12, 24, 48, 96, 168, 240, 336, 720, 2160, 8760].map((hours) => hours * hour).find((size) => size >= rough) || rough;
  const start = new Date(low);
  start.setHours(0, 0, 0, 0);
  const ticks = [];
  for (let tick = start.getTime(); tick <= high; tick += step) if (tick >= low) ticks.push(tick);
  const style = step < day ? { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hour12: false } : { day: "numeric", month: "short" };
  return { low, high, ticks, text: (tick) => new Date(tick).toLocaleString("en-GB", style) };
}

// An empty chart with axes; x and y map values to pixels.
function frame(place, title, across, up, names) {
  const width = Math.max(260, place.clientWidth);
  const inner = { right: width - MARGIN.right, bottom: HEIGHT - MARGIN.bottom };
  const x = (value) => MARGIN.left + ((value - across.low) / (across.high - across.low)) * (inner.right - MARGIN.left);
  const y = (value) => inner.bottom - ((value - up.low) / (up.high - up.low)) * (inner.bottom - MARGIN.top);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "group", "aria-label": title });
  for (const tick of up.ticks) {
    svg.append(draw("line", { class: "grid", x1: MARGIN.left, x2: inner.right, y1: y(tick), y2: y(tick) }));
    svg.append(draw("text", { x: MARGIN.left - 8, y: y(tick) + 4, "text-anchor": "end" }, up.text(tick)));
  }
  for (const tick of across.ticks) {
    svg.append(draw("line", { class: "grid", x1: x(tick), x2: x(tick), y1: MARGIN.top, y2: inner.bottom }));
    svg.append(draw("text", { x: x(tick), y: inner.bottom + 16, "text-anchor": "middle" }, across.text(tick)));
  }
  const middle = (MARGIN.top + inner.bottom) / 2;
  svg.append(draw("text", { x: (MARGIN.left + inner.right) / 2, y: HEIGHT - 4, "text-anchor": "middle" }, names[0]));
  svg.append(draw("text", { x: 12, y: middle, "text-anchor": "middle", transform: `rotate(-90 12 ${middle})` }, names[1]));
  place.replaceChildren(svg);
  return { svg, x, y, tickCount: across.ticks.length };
}

// A point that says what it is when pointed at, tapped or reached with the keyboard, and lights up its row.
function point(at, run, kind, text, readout) {
  const top = kind === "cv" && run === state.board.best.cv_score;
  const shape = draw("circle", { ...at, r: top ? 6.5 : 5, class: `point ${kind}${top ? " top" : ""}`, tabindex: 0, role: "img", "aria-label": `${run.run}: ${text}`, "data-run": run.run });
  const pick = () => {
    readout.replaceChildren(make("b", {}, run.run), ` ${text}`);
    light(run);
  };
  for (const event of ["pointerenter", "focus", "click"]) shape.addEventListener(event, pick);
  return shape;
}

function light(run) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  for (const same of document.querySelectorAll("[data-run]")) if (same.dataset.run === run.run) same.classList.add("lit");
}

function showScatter(runs) {
  const pairs = ranked(runs);
  const [place, readout] = [find("scatter"), find("scatter-picked")];
  readout.replaceChildren();
  showAgreement(pairs);
  if (!pairs.length) {
    place.replaceChildren(make("p", {}, "No run shown here has a leaderboard score. make upload sends a submission and writes its score down; make scores fetches scores later."));
    return;
  }
  const [cvs, lbs] = [pairs.map(({ run }) => run.cv_score), pairs.map(({ run }) => run[state.side])];
  const across = niceScale(cvs, place.clientWidth / 70);
  const up = niceScale(lbs, 8);
  const side = state.side === "lb_public" ? "public LB" : "private LB";
  const { svg, x, y } = frame(place, `CV against ${side}`, across, up, ["CV", side]);
  const [low, high] = [Math.max(across.low, up.low), Math.min(across.high, up.high)];
  if (low < high) svg.append(draw("line", { class: "diagonal", x1: x(low), y1: y(low), x2: x(high), y2: y(high) }));
  for (const { run, cv, lb, gap: difference } of pairs) {
    const score = `CV ${scoreText(run.cv_score)}, ${side} ${scoreText(run[state.side])}`;
    const rank = `rank ${cv} by CV, ${lb} by LB (${signed(difference, String(difference))})`;
    svg.append(point({ cx: x(run.cv_score), cy: y(run[state.side]) }, run, "cv", `${score}; ${rank}`, readout));
  }
}

function showAgreement(pairs) {
  const list = find("agreement");
  list.replaceChildren();
  if (!pairs.length) return;
  const entry = (title, text, kind = null) => list.append(make("div", { class: kind }, make("dt", {}, title), make("dd", {}, text)));
  const column = (read) => pairs.map(read);
  const number = (value) => (value === null ? "–" : value.toFixed(3).replace("-", "−"));
  entry("Runs with both", String(pairs.length));
  entry("Pearson", number(correlation(column(({ run }) => run.cv_score), column(({ run }) => run[state.side]))));
  entry("Spearman", number(correlation(column(({ cv }) => cv), column(({ lb }) => lb))));
  entry("Mean rank gap", (column(({ gap: size }) => Math.abs(size)).reduce((sum, size) => sum + size, 0) / pairs.length).toFixed(2));
  const worst = pairs.reduce((far, pair) => (Math.abs(pair.gap) > Math.abs(far.gap) ? pair : far));
  if (worst.gap) entry("Largest rank gap", `${worst.run.run}: rank ${worst.cv} by CV, ${worst.lb} by LB`, "wide");
  if (pairs.length < 3) entry("Too few to say", "A correlation needs at least three runs with a leaderboard score.", "wide");
}

function showTime(runs) {
  const [place, readout] = [find("time"), find("time-picked")];
  readout.replaceChildren();
  const counted = [...comparable(runs)].sort((one, other) => time(one) - time(other));
  if (!counted.length) {
    place.replaceChildren(make("p", {}, "No run matches."));
    return find("legend").replaceChildren();
  }
  const scores = finite(counted.flatMap((run) => [run.cv_score, run[state.side]]));
  if (!scores.length) {
    place.replaceChildren(make("p", {}, "No run shown here has a score."));
    return find("legend").replaceChildren();
  }
  const across = timeScale(counted.map(time), Math.max(2, place.clientWidth / 90));
  const { svg, x, y } = frame(place, "Score over time", across, niceScale(scores, 8), ["", state.board.metric]);
  svg.append(draw("path", { class: "steps", d: bestSoFar(counted, x, y) }));
  for (const run of counted) {
    if (run.cv_std && run.cv_score !== null) svg.append(draw("line", { class: "spread", x1: x(time(run)), x2: x(time(run)), y1: y(run.cv_score - run.cv_std), y2: y(run.cv_score + run.cv_std) }));
  }
  for (const kind of ["cv_score", state.side]) {
    for (const run of counted.filter((each) => each[kind] !== null)) {
      const name = kind === "cv_score" ? "CV" : kind === "lb_public" ? "public LB" : "private LB";
      svg.append(point({ cx: x(time(run)), cy: y(run[kind]) }, run, kind === "cv_score" ? "cv" : "lb", `${name} ${scoreText(run[kind])}, ${dateText(run)}`, readout));
    }
  }
  showLegend(runs.length - counted.length);
}

function bestSoFar(runs, x, y) {
  let [path, top] = ["", null];
  for (const run of runs.filter((each) => each.cv_score !== null)) {
    const better = top === null || (state.board.larger ? run.cv_score > top : run.cv_score < top);
    if (better) path += top === null ? `M${x(time(run))} ${y(run.cv_score)}` : `H${x(time(run))}V${y(run.cv_score)}`;
    if (better) top = run.cv_score;
  }
  return path && `${path}H${x(time(runs.at(-1)))}`;
}

function showLegend(leftOut) {
  const swatch = (kind) => make("span", { class: `swatch ${kind}` });
  const left = leftOut ? ` ${leftOut} sample ${leftOut === 1 ? "run is" : "runs are"} left out: generated images are no measure.` : "";
  const side = state.side === "lb_public" ? "public LB" : "private LB";
  find("legend").replaceChildren(swatch("cv"), "CV, ± std over folds; the line is the best so far", swatch("lb"), side, swatch("top"), "best CV.", left);
}
