// Draws each <figure data-chart> from the table inside it. The table is the truth: it is what
// screen readers, print and a page without script show, and what a live update changes.
"use strict";
(() => {
  const DASHES = [[], [], [8, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 2], [1, 4], [12, 3, 2, 3, 2, 3]];
  const charts = new Map();

  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };

  const toNumber = (text) => {
    const value = Number.parseFloat(text);
    return Number.isFinite(value) ? value : null;
  };

  const readTable = (figure) => {
    const table = figure.querySelector(".fs-table table");
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const columns = names.map(() => []);
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, index) => columns[index].push(toNumber(cell.dataset.value ?? cell.textContent)));
    }
    return { names, columns };
  };

  const format = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

  // Sites count from the third column on, after the rounds and all sites together; where no column is all sites, all count.
  const seriesOf = (names, isEqual) =>
    names.map((name, index) => {
      if (index === 0) {
        return { label: name };
      }
      const isPooled = index === 1 && !isEqual;
      const number = ((index - (isEqual ? 1 : 2)) % 8) + 1;
      return {
        label: name,
        stroke: colour(isPooled ? "--fs-series-pooled" : `--fs-series-${number}`),
        width: isPooled ? 3 : 1.5,
        dash: isPooled ? [] : DASHES[number],
        points: { show: isPooled || isEqual, size: 5 },
        spanGaps: true,
        value: (_, value) => format(value),
      };
    });

  const axis = (label, extra) => ({
    label,
    labelSize: 20,
    labelFont: "12px 'Plex Sans', sans-serif",
    font: "12px 'Plex Sans', sans-serif",
    stroke: colour("--fs-muted"),
    grid: { stroke: colour("--fs-line"), width: 1 },
    ticks: { show: false },
    ...extra,
  });

  const whole = (_, splits) => splits.map((value) => (Number.isInteger(value) ? value : ""));

  // A dashed line at the best round; the table marks its row.
  const markBest = (figure) => (chart) => {
    const row = figure.querySelector("tr[data-best]");
    if (!row) {
      return;
    }
    const x = chart.valToPos(Number(row.cells[0].textContent), "x", true);
    const { ctx, bbox } = chart;
    if (x < bbox.left || x > bbox.left + bbox.width) {
      return;
    }
    ctx.save();
    ctx.strokeStyle = colour("--fs-ok");
    ctx.setLineDash([4, 4]);
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  };

  // Shares and areas end at 0 and 1, and so does their axis.
  const heights = (_, low, high) => {
    if (low === null) {
      return [null, null];
    }
    const [bottom, top] = uPlot.rangeNum(low, high, 0.1, true);
    return low >= 0 && high <= 1 ? [Math.max(bottom, 0), Math.min(top, 1)] : [bottom, top];
  };

  const optionsOf = (figure, plot, names) => ({
    width: Math.max(plot.clientWidth, 200),
    height: 240,
    cursor: { drag: { x: true, y: false }, points: { size: 7 } },
    legend: { live: true },
    scales: { x: { time: false }, y: { range: heights } },
    series: seriesOf(names, "equal" in figure.dataset),
    hooks: { draw: [markBest(figure)] },
    axes: [axis(names[0], { values: whole, size: 30 }), axis("", { size: 48 })],
  });

  const draw = (figure) => {
    const plot = figure.querySelector("[data-chart-plot]");
    const { names, columns } = readTable(figure);
    const shape = names.join("\n");
    const known = charts.get(plot);
    if (known && known.shape === shape) {
      const isZoomed = known.chart.scales.x.min > known.first || known.chart.scales.x.max < known.last;
      known.chart.setData(columns, !isZoomed);
      known.first = columns[0][0];
      known.last = columns[0].at(-1);
      return;
    }
    known?.chart.destroy();
    charts.delete(plot);
    if (columns[0].length < 2) {
      return; // a line needs two rounds; the table already shows the first
    }
    plot.replaceChildren();
    const chart = new uPlot(optionsOf(figure, plot, names), columns, plot);
    charts.set(plot, { chart, shape, first: columns[0][0], last: columns[0].at(-1) });
  };

  const drawAll = () => document.querySelectorAll("figure[data-chart]").forEach(draw);

  const redrawAll = () => {
    for (const [plot, { chart }] of charts) {
      chart.destroy();
      charts.delete(plot);
    }
    drawAll();
  };

  const resizeAll = () => {
    for (const [plot, { chart }] of charts) {
      if (plot.clientWidth > 0) {
        chart.setSize({ width: plot.clientWidth, height: 240 });
      }
    }
  };

  // Paper is white, whatever the theme.
  const root = document.documentElement;
  let themeOnScreen;
  addEventListener("beforeprint", () => {
    themeOnScreen = root.dataset.bsTheme;
    root.dataset.bsTheme = "light";
    redrawAll();
  });
  addEventListener("afterprint", () => {
    if (themeOnScreen === undefined) {
      delete root.dataset.bsTheme;
    } else {
      root.dataset.bsTheme = themeOnScreen;
    }
    redrawAll();
  });

  let pending = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(resizeAll);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  document.addEventListener("fedstudy:theme", redrawAll);
  document.addEventListener("htmx:afterSettle", drawAll);
  drawAll();
})();
