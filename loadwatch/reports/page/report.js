// Draws the charts of a report one above the other on one time axis, with steps and marks as lines;
// what a search found, over the rate.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const sync = uPlot.sync("time");
const charts = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function clock(seconds) {
  const s = Math.floor(seconds), two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60), hours = Math.floor(minutes / 60);
  return hours ? hours + ":" + two(minutes % 60) + ":" + two(s % 60) : minutes + ":" + two(s % 60);
}

function shown(unit) {
  return (plot, value) => value == null ? "–" : Number(value.toPrecision(3)) + unit;
}

// Where a step begins: a line; where it has another mark than the one before, its text on top.
function lines(first) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.textAlign = "left";
    ctx.font = 12 * devicePixelRatio + "px system-ui, sans-serif";
    for (const step of data.steps) {
      const x = Math.round(plot.valToPos(step.at, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(step.mark ? "second" : "quiet");
      ctx.setLineDash(step.mark ? [] : [4, 4]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (step.mark && first) ctx.fillText(step.mark, x + 4, bbox.top + 12 * devicePixelRatio);
    }
    ctx.restore();
  };
}

// The rates that a search found: lines with their names.
function found(marks) {
  return (plot) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.font = 12 * devicePixelRatio + "px system-ui, sans-serif";
    ctx.strokeStyle = ctx.fillStyle = colour("second");
    ctx.setLineDash([4, 4]);
    marks.forEach((mark, place) => {
      const x = Math.round(plot.valToPos(mark.at, "x", true)), is_last = place === marks.length - 1;
      ctx.textAlign = is_last ? "left" : "right";
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(mark.text, x + (is_last ? 4 : -4), bbox.top + 12 * devicePixelRatio);
    });
    ctx.restore();
  };
}

function overRates(title, unit, marks, series) {
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 },
                 ticks: { stroke: colour("line"), width: 1 } };
  return {
    title, width: half(), height: 220, hooks: { draw: [found(marks)] },
    scales: { x: { time: false, distr: 3 }, y: { distr: 3 } },
    axes: [
      { ...axis, values: (plot, at) => at.map((v) => v == null ? "" : v + "/s") },
      { ...axis, size: 72, values: (plot, at) => at.map((v) => v == null ? "" : v + unit) },
    ],
    series: [{ label: "rate", value: shown("/s") },
             ...series.map((one) => ({ ...one, width: 1.5, value: shown(unit) }))],
  };
}

function half() {
  const width = document.querySelector("main").clientWidth - 32;
  return width > 700 ? (width - 16) / 2 : width;
}

// Of a log scale only the powers of ten.
function decades(plot, splits) {
  return splits.map((v) => Math.abs(Math.log10(v) - Math.round(Math.log10(v))) < 1e-9 ? v : null);
}

function options(chart, first) {
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 },
                 ticks: { stroke: colour("line"), width: 1 } };
  return {
    width: document.querySelector("main").clientWidth - 32,
    height: 180,
    cursor: { sync: { key: sync.key } },
    scales: { x: { time: false },
              y: chart.log ? { distr: 3 } : { range: (plot, low, high) => [0, high * 1.05 || 1] } },
    axes: [
      { ...axis, values: (plot, at) => at.map(clock) },
      { ...axis, size: 72, ...(chart.log ? { filter: decades, grid: { ...axis.grid, filter: decades } } : {}),
        values: (plot, at) => at.map((v) => v == null ? "" : v + chart.unit) },
    ],
    series: [
      { label: "time", value: (plot, v) => v == null ? "–" : clock(v) },
      ...chart.series.map((one) => ({
        label: one.label, stroke: colour(one.colour), width: 1.5, spanGaps: false,
        dash: one.dashed ? [6, 4] : undefined, value: shown(chart.unit),
      })),
    ],
    hooks: { draw: [lines(first)] },
  };
}

data.charts.forEach((chart, place) => {
  const box = document.getElementById("chart-" + place);
  const values = [data.time, ...chart.series.map((one) => one.values)];
  charts.push(new uPlot(options(chart, place === 0), values, box));
});
const pairs = data.searches.flatMap((one, place) => {
  const box = document.getElementById("search-" + place);
  if (one.rates.length < 2) return [];
  return [
    new uPlot(overRates("Answers per second", "/s", one.marks, [
      { label: "if all were answered", stroke: colour("quiet"), dash: [6, 4] },
      { label: "answered", stroke: colour("first"), points: { show: true } },
    ]), [one.rates, one.rates, one.answered], box),
    new uPlot(overRates("Response time p95", " ms", one.marks, [
      { label: "p95", stroke: colour("second"), points: { show: true }, spanGaps: true },
    ]), [one.rates, one.p95], box),
  ];
});
addEventListener("resize", () => {
  const width = document.querySelector("main").clientWidth - 32;
  for (const plot of charts) plot.setSize({ width, height: 180 });
  for (const plot of pairs) plot.setSize({ width: half(), height: 220 });
});
