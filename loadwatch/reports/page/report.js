// Draws the charts of a report one above the other on one time axis, with steps and marks as lines.
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
addEventListener("resize", () => {
  const width = document.querySelector("main").clientWidth - 32;
  for (const plot of charts) plot.setSize({ width, height: 180 });
});
