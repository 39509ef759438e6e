"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = id => document.getElementById(id);
  const net = data.network, runs = data.runs;
  const state = { run: 0, round: 1, axis: "round", device: null, shown: runs.map((_, k) => k < 8) };

  // 16 bits for each device and scored round: 65535 is not known.
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  for (const run of runs) {
    const raw = bytes(run.each), view = new DataView(raw.buffer);
    const width = run.rounds.length ? raw.length / 2 / run.rounds.length : 0;
    run.table = run.rounds.map((_, r) => Array.from({ length: width }, (_, k) => {
      const value = view.getUint16(2 * (r * width + k), true);
      return value === 65535 ? null : value / 65534;
    }));
  }
  const masks = net && { there: bytes(net.there), lost: bytes(net.lost) };
  const count = net ? net.links.length / 2 : 0, width = Math.ceil(count / 8);
  const bit = (mask, round, e) => (mask[(round - 1) * width + (e >> 3)] >> (e & 7)) & 1;
  const spot = k => [net.places[2 * k], net.places[2 * k + 1]];
  const rounds = Math.max(net ? net.rounds : 1, ...runs.map(run => run.rounds.at(-1) || 1));
  const percent = share => share === null || share === undefined ? "not scored" : (100 * share).toFixed(1) + "\u00a0%";

  const plots = {};
  const find = (axis, name) => plots[axis].select_one(name) ?? null;
  const source = (axis, name) => plots[axis].renderers.map(r => r.data_source).find(s => s && s.name === name);
  const put = (axis, name, columns) => { const s = source(axis, name); if (s) s.data = columns; };

  const segments = pairs => {
    const ends = { x0: [], y0: [], x1: [], y1: [] };
    for (const [[x0, y0], [x1, y1]] of pairs) { ends.x0.push(x0); ends.y0.push(y0); ends.x1.push(x1); ends.y1.push(y1); }
    return ends;
  };
  const pair = e => [spot(net.links[2 * e]), spot(net.links[2 * e + 1])];
  const scoredAt = run => run.rounds.findLastIndex(r => r <= state.round);
  const accuracies = run => {
    const r = scoredAt(run), n = net.places.length / 2;
    if (r < 0) return Array(n).fill(null);
    if (run.table[r].length) return Array.from({ length: n }, (_, k) => run.table[r][k] ?? null);
    return Array(n).fill(run.low[r] === run.high[r] ? run.mean[r] : null);  // one model for all
  };

  function limits(run, values) {
    const known = (at("one-scale").checked ? run.low.concat(run.high) : values).filter(v => v !== null);
    if (!known.length) return [0, 1];
    const low = Math.min(...known), high = Math.max(...known);
    return high > low ? [low, high] : [low - 0.005, high + 0.005];
  }

  function drawNetwork() {
    if (!net) return;
    const run = runs[state.run], values = accuracies(run), [low, high] = limits(run, values);
    const steps = data.palette.length - 1;
    const fill = values.map(v => v === null ? "#CBD2D9"
      : data.palette[Math.round(steps * Math.min(1, Math.max(0, (v - low) / (high - low))))]);
    const dots = source("network", "devices");
    dots.data = { ...dots.data, fill, said: values.map(percent) };
    const up = [], lost = [], touched = [];
    if (run.kind === "peers") for (let e = 0; e < count; e++) {
      if (masks.there.length && !bit(masks.there, state.round, e)) continue;
      const gone = masks.lost.length && bit(masks.lost, state.round, e);
      (gone ? lost : up).push(pair(e));
      if (!gone && [net.links[2 * e], net.links[2 * e + 1]].includes(state.device)) touched.push(pair(e));
    }
    const served = run.kind === "server";
    put("network", "links", segments(up));
    put("network", "lost", segments(lost));
    put("network", "touched", segments(touched));
    put("network", "spokes", segments(served ? values.map((_, k) => [spot(k), [0, 0]]) : []));
    put("network", "server", served ? { x: [0], y: [0] } : { x: [], y: [] });
    const [x, y] = state.device === null ? [[], []] : spot(state.device).map(v => [v]);
    put("network", "ring", { x, y });
    at("scale-low").textContent = percent(low);
    at("scale-high").textContent = percent(high);
    at("network-note").textContent = note(run, up.length, lost.length);
    at("key-lost").hidden = !masks.lost.length;
  }

  function note(run, up, lost) {
    const n = net.places.length / 2;
    if (run.kind === "server") return `With ${run.label}, ${n} devices send their models to a server, and all have the one that it makes of them.`;
    if (run.kind === "one") return `With ${run.label}, one place has all data: there is one model.`;
    if (run.kind === "alone") return `With ${run.label}, devices train alone: nothing is sent.`;
    const many = number => number.toLocaleString("en");
    const drawn = count < net.total ? `, of which ${many(count)} are drawn` : "";
    const when = net.changes ? `; it changes: ${up + lost} links in this round` : "";
    const gone = masks.lost.length ? `; ${many(lost)} of ${many(up + lost)} were down in this round` : "";
    return `${net.name}: ${many(n)} devices, ${many(net.total)} links${drawn}${when}${gone}. The darker a device, the better its model.`;
  }

  function drawLines() {
    const run = runs[state.run];
    for (const axis in plots) {
      if (axis === "network") continue;
      const x = run.places[axis] || [], wide = x.length && run.table.length ? run.table[0].length : 0;
      const line = k => run.table.map(row => row[k] ?? NaN);
      const all = Array.from({ length: wide }, (_, k) => k);
      put(axis, "lines", { xs: all.map(() => x), ys: all.map(line), device: all });
      const one = state.device !== null && state.device < wide;
      put(axis, "own", one ? { x, y: line(state.device) } : { x: [], y: [] });
      for (const renderer of plots[axis].renderers) {
        const found = /^run-(\d+)$/.exec(renderer.name || "");
        if (found) renderer.visible = state.shown[+found[1]];
        if (renderer.name === "devices") {
          renderer.visible = state.shown[state.run];
          renderer.glyph.line_color = run.color;
          renderer.glyph.line_alpha = Math.min(0.3, Math.max(0.04, 12 / wide));
        }
      }
      const where = scoredAt(run), now = plots[axis].center.find(model => model.name === "now");
      if (now) now.location = axis === "round" ? state.round : (x[where] ?? null);
    }
  }

  function drawNow() {
    const run = runs[state.run], r = scoredAt(run);
    const since = r >= 0 && run.rounds[r] < state.round ? ` (round ${run.rounds[r]})` : "";
    const said = r < 0 ? "not scored yet" : percent(run.mean[r]) + since;
    at("now").textContent = `round ${state.round} of ${rounds}: ${said}`;
  }

  function draw() { drawNetwork(); drawLines(); drawNow(); }

  function choose(device) {
    if (device === state.device) return;
    state.device = device;
    drawNetwork();
    drawLines();
  }

  // Figures tell which device is pointed at, and a figure that is left tells nothing.
  window.p2pl = { state, plots, draw, choose, point: indices => { if (indices.length) choose(indices[0]); } };
  for (const figure of document.querySelectorAll(".figure")) figure.addEventListener("mouseleave", () => choose(null));

  for (const [axis, item] of Object.entries(data.figures)) {
    const before = Bokeh.documents.length;
    await Bokeh.embed.embed_item(item, `figure-${axis}`);
    plots[axis] = Bokeh.documents[before].roots()[0];
  }

  // What is chosen on the page.
  const words = { round: "by round", bytes: "by bytes", seconds: "by time", clock: "by simulated time" };
  for (const axis of Object.keys(words).filter(name => plots[name])) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words[axis];
    button.dataset.axis = axis;
    button.onclick = () => {
      for (const other of document.querySelectorAll(".tabs button")) {
        other.setAttribute("aria-pressed", other === button);
        at(`figure-${other.dataset.axis}`).hidden = other !== button;
      }
    };
    document.querySelector(".tabs").append(button);
  }
  document.querySelector(".tabs button")?.click();
  runs.forEach((run, k) => {
    at("who").add(new Option(run.label, k));
    const label = document.createElement("label"), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = state.shown[k];
    box.onchange = () => { state.shown[k] = box.checked; drawLines(); };
    label.style.setProperty("--paint", run.color);
    label.append(box, run.label);
    at("contenders").append(label);
    const swatch = document.createElement("span"), cell = document.querySelectorAll("tbody tr")[k].cells[0];
    swatch.className = "swatch";
    swatch.style.background = run.color;
    cell.prepend(swatch);
  });
  at("who").onchange = () => { state.run = +at("who").value; state.device = null; draw(); };
  at("one-scale").onchange = drawNetwork;
  at("round").max = rounds;
  at("round").oninput = () => { state.round = +at("round").value; draw(); };
  at("copy").onclick = async () => {
    getSelection().selectAllChildren(at("configuration"));
    try { await navigator.clipboard.writeText(at("configuration").textContent); } catch { document.execCommand("copy"); }
    at("copy").textContent = "copied";
  };
  let playing = null;
  at("play").onclick = () => {
    if (playing === null && state.round === rounds) state.round = 0;
    const step = () => {
      if (state.round >= rounds) return stop();
      at("round").value = state.round += 1;
      draw();
    };
    const stop = () => { clearInterval(playing); playing = null; at("play").innerHTML = "&#9654;"; };
    if (playing !== null) return stop();
    playing = setInterval(step, Math.max(60, Math.min(400, 6000 / rounds)));
    at("play").innerHTML = "&#10074;&#10074;";
  };
  if (net) {
    at("network-card").hidden = false;
    const pen = at("scale").getContext("2d");
    data.palette.forEach((paint, k) => {
      const step = 256 / data.palette.length;
      pen.fillStyle = paint;
      pen.fillRect(k * step, 0, step + 1, 1);
    });
  } else document.querySelector("main").classList.add("alone");
  const best = runs.findIndex(run => run.kind === "peers" && run.each);
  state.run = Math.max(0, best);
  at("who").value = state.run;
  if (runs.some(run => run.trained)) at("note-trained").textContent = "; dashed by round: after training, before models are mixed";
  at("note-each").hidden = !runs.some(run => run.each);
  state.round = runs[state.run].rounds.at(-1) ?? rounds;
  at("round").value = state.round;
  draw();
  document.body.dataset.ready = "yes";
})();
