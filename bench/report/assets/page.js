(() => {
  "use strict";
  const view = JSON.parse(document.getElementById("view").textContent);
  const themes = {
    light: { back: "#fff", ink: "#1c2127", soft: "#56606c", rule: "#e3e7ec", colours: view.light },
    dark: { back: "#14171b", ink: "#e6e9ed", soft: "#a3adb9", rule: "#2b3139", colours: view.dark },
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const family = getComputedStyle(document.body).fontFamily;
  const tip = document.getElementById("tip");
  const hidden = new Set(); // looks, by number
  const aside = new Set(view.looks.filter((l) => l.aside).map((l) => l.number)); // from the curves alone
  const drawn = (number) => !hidden.has(number) && !aside.has(number);
  const plots = new Map(); // element → what is drawn in it
  let printing = false;

  // What a chart needs to know of one of its lines, in the order of the lines.
  // In uPlot a line is three series: lowest, highest, and the median over their band.
  const middle = (i) => 3 * i + 3;

  function columns(chart) {
    const xs = [...new Set(chart.lines.flatMap((l) => l.x))].sort((a, b) => a - b);
    const place = new Map(xs.map((x, i) => [x, i]));
    const data = [xs];
    for (const l of chart.lines) {
      for (const values of [l.min, l.max, l.mid]) {
        const column = new Array(xs.length).fill(null);
        l.x.forEach((x, i) => (column[place.get(x)] = values[i]));
        data.push(column);
      }
    }
    return data;
  }

  // draw makes a chart anew: for another width, theme or paper. On paper it is
  // made twice as large and shown at half its size, so that it is sharp.
  function draw(chart, box) {
    const old = plots.get(box);
    if (old) old.u.destroy();
    const theme = printing || !dark.matches ? themes.light : themes.dark;
    const k = printing ? 2 : 1;
    const inner = printing ? 680 : box.clientWidth;
    const narrow = inner < 480;
    const height = chart.small ? 320 : narrow ? 360 : 440;
    const font = (px) => `${px * k}px ${family}`;
    const looks = chart.lines.map((l) => view.looks[l.look]);
    const label = (i) => (narrow ? String(looks[i].number) : looks[i].name);
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = font(12);
    const widest = (texts) => Math.max(0, ...texts.map((t) => pen.measureText(t).width));
    const right = Math.min(widest(looks.map((_, i) => label(i))), inner * k * 0.3) + 22 * k;
    const state = { chart, box, inner, focus: -1 };

    const series = [{}];
    const band = [];
    chart.lines.forEach((l, i) => {
      const look = looks[i];
      const colour = theme.colours[look.colour];
      const show = drawn(look.number);
      const edge = { show, spanGaps: true, width: 0, stroke: "transparent", points: { show: false } };
      series.push({ ...edge }, { ...edge }, {
        show, spanGaps: true, width: look.width * k, stroke: colour, points: { show: false },
        dash: look.dash ? look.dash.map((d) => d * k) : undefined,
      });
      band.push({ series: [middle(i) - 1, middle(i) - 2], fill: colour + "30" });
    });

    const axis = (a, extra) => ({
      label: a.label, labelFont: font(12), labelSize: 22 * k, labelGap: 2 * k, font: font(11), stroke: theme.soft,
      gap: 4 * k, grid: { stroke: theme.rule, width: k }, ticks: { show: false },
      splits: () => a.ticks.map((t) => t.at), filter: (u, s) => s, values: () => a.ticks.map((t) => t.text), ...extra,
    });
    // A label that would run into the one before is left out, its line is kept.
    const roomy = (u, a) => {
      let end = -Infinity;
      return a.ticks.map((t) => {
        const half = pen.measureText(t.text).width / 2, at = u.valToPos(t.at, "x");
        if (t.text === "" || at - half < end + 6 * k) return "";
        end = at + half;
        return t.text;
      });
    };
    const scale = (a) => ({ time: false, distr: a.log ? 3 : 1, range: () => [a.min, a.max] });
    const u = new uPlot({
      width: inner * k, height: height * k, padding: [10 * k, right, 0, 4 * k],
      legend: { show: false }, focus: { alpha: 0.25 },
      cursor: { show: !printing, y: false, drag: { x: false, y: false }, points: { show: false } },
      scales: { x: scale(chart.x), y: scale(chart.y) },
      axes: [
        axis(chart.x, { size: 24 * k, values: (u) => roomy(u, chart.x) }),
        // Beside the marks of the first point, which reach over the edge.
        axis(chart.y, { gap: 9 * k, size: widest(chart.y.ticks.map((t) => t.text)) + 15 * k }),
      ],
      series, bands: band,
      hooks: {
        draw: [(u) => marks(u, state, looks, theme, k, label, font)],
        setCursor: [(u) => point(u, state, looks)],
      },
    }, columns(chart), box);
    u.root.style.zoom = 1 / k;
    state.u = u;
    plots.set(box, state);
  }

  // marks draws what uPlot has no word for: a marker of its own shape for each
  // strategy, and its name where its line ends, moved apart from the others'.
  function marks(u, state, looks, theme, k, label, font) {
    const { ctx, bbox } = u;
    const px = uPlot.pxRatio;
    const ends = [];
    ctx.save();
    state.chart.lines.forEach((l, i) => {
      if (!drawn(looks[i].number)) return;
      const colour = theme.colours[looks[i].colour];
      const shape = new Path2D(looks[i].marker);
      ctx.globalAlpha = state.focus < 0 || state.focus === i ? 1 : 0.25;
      let last;
      l.x.forEach((x, j) => {
        last = [u.valToPos(x, "x", true), u.valToPos(l.mid[j], "y", true)];
        if (state.chart.percentile && !round(x)) return;
        ctx.save();
        ctx.translate(...last);
        ctx.scale(px * k, px * k);
        ctx.fillStyle = colour;
        ctx.strokeStyle = theme.back;
        ctx.lineWidth = 1;
        ctx.fill(shape);
        ctx.stroke(shape);
        ctx.restore();
      });
      ends.push({ i, colour, x: last[0], from: last[1], y: last[1] });
    });
    const gap = 14 * px * k;
    const bottom = bbox.top + bbox.height;
    ends.sort((a, b) => a.y - b.y);
    ends.forEach((e, n) => n && (e.y = Math.max(e.y, ends[n - 1].y + gap)));
    for (let n = ends.length - 1, most = bottom; n >= 0; n--, most -= gap) ends[n].y = Math.min(ends[n].y, most);
    ctx.font = font(12).replace(/^[\d.]+/, (v) => v * px);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    const edge = bbox.left + bbox.width;
    for (const e of ends) {
      ctx.globalAlpha = state.focus < 0 || state.focus === e.i ? 1 : 0.25;
      ctx.fillStyle = ctx.strokeStyle = e.colour;
      ctx.lineWidth = px * k;
      ctx.setLineDash([px * k, 2 * px * k]);
      ctx.beginPath();
      ctx.moveTo(e.x + 6 * px * k, e.from);
      ctx.lineTo(Math.max(edge, e.x + 6 * px * k), e.from + (e.x < edge - 2 ? e.y - e.from : 0));
      ctx.lineTo(edge + 14 * px * k, e.y);
      ctx.stroke();
      ctx.fillText(label(e.i), edge + 17 * px * k, e.y, u.width * px - edge - 18 * px * k);
    }
    ctx.restore();
  }

  // round says whether 1/(1-q) is that of 0, 50, 90, 99, … %.
  function round(x) {
    const p = Math.log10(x);
    return Math.abs(x - 2) < 1e-6 || Math.abs(p - Math.round(p)) < 1e-6;
  }

  function focus(state, i) {
    if (state.focus === i) return;
    state.focus = i;
    state.u.setSeries(i < 0 ? null : middle(i), { focus: true }, false);
    state.u.redraw(false);
  }

  // point finds the nearest point of any line and says what it is.
  function point(u, state, looks) {
    const { left, top } = u.cursor;
    let best = 40, found;
    if (left >= 0) {
      state.chart.lines.forEach((l, i) => {
        if (!drawn(looks[i].number)) return;
        l.x.forEach((x, j) => {
          const away = Math.hypot(u.valToPos(x, "x") - left, u.valToPos(l.mid[j], "y") - top);
          if (away < best) [best, found] = [away, { i, j, x, y: l.mid[j] }];
        });
      });
    }
    focus(state, found ? found.i : -1);
    tip.hidden = !found;
    if (!found) return;
    const name = document.createElement("b");
    name.textContent = looks[found.i].name;
    tip.replaceChildren(name, state.chart.lines[found.i].text[found.j]);
    const over = u.over.getBoundingClientRect();
    const x = over.left + u.valToPos(found.x, "x"), y = over.top + u.valToPos(found.y, "y");
    tip.style.left = Math.max(4, Math.min(x + 12, document.documentElement.clientWidth - tip.offsetWidth - 6)) + scrollX + "px";
    tip.style.top = y + scrollY - tip.offsetHeight - 10 + "px";
  }

  const boxes = view.charts.map((chart) => {
    const figure = document.querySelector(`[data-chart="${chart.id}"]`);
    return { chart, box: figure.querySelector(".plot") };
  });
  const drawAll = () => boxes.forEach(({ chart, box }) => draw(chart, box));

  // A strategy is shown or hidden everywhere at once.
  function apply() {
    for (const e of document.querySelectorAll(".chip")) {
      e.setAttribute("aria-pressed", String(drawn(+e.dataset.look)));
      e.classList.toggle("aside", aside.has(+e.dataset.look));
    }
    for (const e of document.querySelectorAll("tr[data-look]")) e.classList.toggle("out", hidden.has(+e.dataset.look));
    for (const { u, chart } of plots.values()) {
      u.batch(() => chart.lines.forEach((l, i) => {
        for (const s of [middle(i) - 2, middle(i) - 1, middle(i)]) u.setSeries(s, { show: drawn(view.looks[l.look].number) });
      }));
    }
    document.getElementById("all").hidden = hidden.size + aside.size === 0;
  }
  for (const chip of document.querySelectorAll(".chip")) {
    const number = +chip.dataset.look;
    chip.addEventListener("click", () => {
      if (!aside.delete(number) && !hidden.delete(number)) hidden.add(number);
      apply();
    });
    const light = (on) => {
      for (const state of plots.values()) {
        const i = state.chart.lines.findIndex((l) => view.looks[l.look].number === number);
        focus(state, on && drawn(number) ? i : -1);
      }
    };
    chip.addEventListener("mouseenter", () => light(true));
    chip.addEventListener("mouseleave", () => light(false));
  }
  document.getElementById("all").addEventListener("click", () => (hidden.clear(), aside.clear(), apply()));

  const save = document.getElementById("save");
  save.hidden = false;
  save.addEventListener("click", async () => {
    const bytes = Uint8Array.from(atob(document.getElementById("raw").content.textContent), (c) => c.charCodeAt(0));
    const json = new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")));
    const a = document.createElement("a");
    a.href = URL.createObjectURL(new Blob([await json.text()], { type: "application/json" }));
    a.download = save.dataset.name;
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
  });

  // On a phone the key would fill the screen.
  if (matchMedia("(max-width: 720px)").matches) document.querySelector(".key").open = false;
  drawAll();
  apply();
  const watch = new ResizeObserver((seen) => {
    if (printing) return;
    for (const { target } of seen) {
      const state = plots.get(target);
      if (Math.abs(state.inner - target.clientWidth) > 1) draw(state.chart, target);
    }
  });
  boxes.forEach(({ box }) => watch.observe(box));
  dark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => ((printing = true), drawAll()));
  addEventListener("afterprint", () => ((printing = false), drawAll()));
})();
