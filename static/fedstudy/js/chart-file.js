// Charts as files: a button with data-chart-file ("svg" or "png") makes a picture of the chart in its figure, in the light
// theme. A chart with a table is drawn from the table; what is on the page as SVG already is taken with its looks.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 720;
  const HEIGHT = 360;
  const MARGIN = { left: 64, right: 24, top: 48, bottom: 48 };
  const LINE_HEIGHT = 20;
  const FONT = "sans-serif";
  const PNG_SCALE = 2;
  const LOOKS = ["fill", "stroke", "stroke-width", "stroke-dasharray", "font-size", "text-anchor", "opacity"];
  const DASHES = ["", "", "8 3", "2 3", "8 3 2 3", "12 4", "4 2", "1 4", "12 3 2 3 2 3"];

  const make = (parent, name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) {
      element.setAttribute(key, value);
    }
    if (text !== undefined) {
      element.textContent = text;
    }
    parent?.append(element);
    return element;
  };

  // Read colours as the light theme has them; nothing is painted in between.
  const inLight = (read) => {
    const root = document.documentElement;
    const theme = root.dataset.bsTheme;
    root.dataset.bsTheme = "light";
    try {
      return read();
    } finally {
      if (theme === undefined) {
        delete root.dataset.bsTheme;
      } else {
        root.dataset.bsTheme = theme;
      }
    }
  };

  const coloursOf = (names) => {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    const found = names.map((name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    });
    probe.remove();
    return found;
  };

  const sheet = (width, height) => {
    const svg = make(null, "svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": FONT });
    make(svg, "rect", { width, height, fill: "#fff" });
    return svg;
  };

  const toNumber = (cell) => {
    const value = Number.parseFloat(cell.dataset.value ?? cell.textContent);
    return Number.isFinite(value) ? value : null;
  };

  const readTable = (figure) => {
    const table = figure.querySelector(".fs-table table");
    const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map(toNumber));
    return { axis: names[0], names: names.slice(1), rows };
  };

  // Steps of 1, 2 or 5 times a power of ten, some five of them.
  const ticks = (low, high) => {
    const rough = (high - low || 1) / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
    const first = Math.ceil(low / step);
    const count = Math.floor(high / step + 1e-9) - first + 1;
    return Array.from({ length: count }, (_, index) => Number(((first + index) * step).toPrecision(12)));
  };

  const scale = (low, high, from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);

  const drawAxes = (svg, [xs, x], [ys, y], { axis, ink, line }) => {
    const bottom = HEIGHT - MARGIN.bottom;
    for (const value of ys) {
      make(svg, "line", { x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: y(value), y2: y(value), stroke: line });
      make(svg, "text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end", "font-size": 12, fill: ink }, value);
    }
    for (const value of xs) {
      make(svg, "text", { x: x(value), y: bottom + 18, "text-anchor": "middle", "font-size": 12, fill: ink }, value);
    }
    const middle = (MARGIN.left + WIDTH - MARGIN.right) / 2;
    make(svg, "text", { x: middle, y: bottom + 38, "text-anchor": "middle", "font-size": 12, fill: ink }, axis);
  };

  const drawKey = (svg, entries, ink) => {
    entries.forEach(({ name, look }, index) => {
      const y = HEIGHT + 8 + index * LINE_HEIGHT;
      make(svg, "line", { x1: MARGIN.left, x2: MARGIN.left + 28, y1: y, y2: y, ...look });
      make(svg, "text", { x: MARGIN.left + 36, y: y + 4, "font-size": 12, fill: ink }, name);
    });
  };

  const fromTable = (figure) => {
    const { axis, names, rows } = readTable(figure);
    const isEqual = "equal" in figure.dataset;
    const series = names.map((_, index) => (index === 0 && !isEqual ? 0 : ((index - (isEqual ? 0 : 1)) % 8) + 1));
    const variables = series.map((number) => (number ? `--fs-series-${number}` : "--fs-series-pooled"));
    const [ink, line, ...colours] = coloursOf(["--fs-ink", "--fs-line", ...variables]);
    const svg = sheet(WIDTH, HEIGHT + 16 + names.length * LINE_HEIGHT);
    const values = rows.flatMap((row) => row.slice(1)).filter((value) => value !== null);
    const rounds = rows.map((row) => row[0]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const x = scale(rounds[0], rounds.at(-1), MARGIN.left, WIDTH - MARGIN.right);
    const y = scale(low, high, HEIGHT - MARGIN.bottom, MARGIN.top);
    make(svg, "text", { x: MARGIN.left, y: 28, "font-size": 16, "font-weight": 600, fill: ink }, titleOf(figure));
    const whole = ticks(rounds[0], rounds.at(-1)).filter(Number.isInteger);
    drawAxes(svg, [whole.length ? whole : rounds, x], [ticks(low, high), y], { axis, ink, line });
    const looks = series.map((number, index) => ({
      fill: "none",
      stroke: colours[index],
      "stroke-width": number ? 1.8 : 3,
      "stroke-dasharray": DASHES[number],
    }));
    names.forEach((_, index) => {
      const known = rows.filter((row) => row[index + 1] !== null);
      const points = known.map((row) => `${x(row[0]).toFixed(1)},${y(row[index + 1]).toFixed(1)}`);
      make(svg, "polyline", { points: points.join(" "), ...looks[index] });
    });
    drawKey(svg, names.map((name, index) => ({ name, look: looks[index] })), ink);
    return svg;
  };

  // What is styled from outside carries its looks with it.
  const fromPage = (figure) => {
    const shown = figure.querySelector("svg[viewBox][role=img]");
    const [left, top, width, height] = shown.getAttribute("viewBox").split(" ").map(Number);
    const keys = [...figure.querySelectorAll(".fs-key li")].map((item) => {
      const swatch = item.querySelector("svg line");
      const words = [...item.querySelectorAll("span")].map((part) => part.textContent.trim());
      return { text: words.join("  "), stroke: swatch ? getComputedStyle(swatch).stroke : "none" };
    });
    const [ink] = coloursOf(["--fs-ink"]);
    const svg = sheet(width * 2, height * 2 + 32 + keys.length * LINE_HEIGHT);
    make(svg, "text", { x: 16, y: 24, "font-size": 16, "font-weight": 600, fill: ink }, titleOf(figure));
    put(svg, shown, { x: 0, y: 32, width: width * 2, height: height * 2, viewBox: `${left} ${top} ${width} ${height}` });
    keys.forEach(({ text, stroke }, index) => {
      const y = height * 2 + 40 + index * LINE_HEIGHT;
      make(svg, "line", { x1: 16, x2: 44, y1: y, y2: y, stroke, "stroke-width": 3 });
      make(svg, "text", { x: 52, y: y + 4, "font-size": 12, fill: ink }, text);
    });
    return svg;
  };

  const withLooks = (shown) => {
    const copy = shown.cloneNode(true);
    const originals = [shown, ...shown.querySelectorAll("*")];
    [copy, ...copy.querySelectorAll("*")].forEach((element, index) => {
      const looks = getComputedStyle(originals[index]);
      LOOKS.forEach((name) => element.setAttribute(name, looks.getPropertyValue(name)));
      element.removeAttribute("class");
    });
    return copy;
  };

  const put = (svg, shown, place) => {
    const copy = withLooks(shown);
    Object.entries(place).forEach(([key, value]) => copy.setAttribute(key, value));
    svg.append(copy);
  };

  // Drawings in the rows of a table (a forest plot) or in a list (small multiples): one line each, its words before it.
  const fromRows = (figure) => {
    const rows = [...figure.querySelectorAll("tr:has(svg:not(.fs-swatch)), .fs-multiples > li")];
    const lineHeight = figure.querySelector(".fs-multiples") ? 56 : 28;
    const [ink] = coloursOf(["--fs-ink"]);
    const svg = sheet(WIDTH, 48 + rows.length * lineHeight);
    make(svg, "text", { x: 16, y: 28, "font-size": 16, "font-weight": 600, fill: ink }, titleOf(figure));
    rows.forEach((row, index) => {
      const top = 44 + index * lineHeight;
      const drawn = [...row.querySelectorAll("svg")].at(-1);
      const parts = row.cells ? [...row.cells].filter((cell) => !cell.contains(drawn)) : [...row.querySelectorAll("span > *")];
      const words = parts.map((part) => part.textContent.trim().replace(/\s+/g, " "));
      const places = [16, 190, 306];
      words.forEach((text, at) => {
        make(svg, "text", { x: places[at], y: top + lineHeight / 2 + 4, "font-size": 12, fill: ink }, text);
      });
      put(svg, drawn, { x: 460, y: top + 2, width: WIDTH - 476, height: lineHeight - 4 });
    });
    return svg;
  };

  const drawingOf = (figure) => {
    if (figure.hasAttribute("data-chart")) {
      return fromTable(figure);
    }
    return figure.hasAttribute("data-chart-rows") ? fromRows(figure) : fromPage(figure);
  };

  const titleOf = (figure) => figure.dataset.title || figure.querySelector("h3").textContent.trim().replace(/\s+/g, " ");

  const save = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  const toPng = async (text, { width, height }) => {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = width * PNG_SCALE;
    canvas.height = height * PNG_SCALE;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-chart-file]");
    if (!button) {
      return;
    }
    const figure = button.closest("[data-chart-source]");
    const svg = inLight(() => drawingOf(figure));
    const text = new XMLSerializer().serializeToString(svg);
    const name = titleOf(figure).toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
    const size = { width: Number(svg.getAttribute("width")), height: Number(svg.getAttribute("height")) };
    const blob = button.dataset.chartFile === "svg" ? new Blob([text], { type: "image/svg+xml" }) : await toPng(text, size);
    save(blob, `${name}.${button.dataset.chartFile}`);
  });
})();
