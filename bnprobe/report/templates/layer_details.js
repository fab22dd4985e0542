"use strict";
/* The fields of a layer's panel that are no curves over all steps: what layer_details.py counted, ready to be drawn; and all of them beside
   each other. */
const layerDetails = (() => {
  const MEAN = "#2f7fc1";
  const DEVIATION = "#d58a00";
  const nearest = (steps, step) => steps.reduce((best, one, place) => (Math.abs(one - step) < Math.abs(steps[best] - step) ? place : best), 0);

  function bars(counts, [low, high], look) {
    const width = (high - low) / counts.length;
    return { type: "bar", x: counts.map((_, bar) => low + (bar + 0.5) * width), y: counts, width: counts.map(() => width), marker: { color: look.colour },
      opacity: 0.65, showlegend: false, hovertemplate: look.hover };
  }
  /* Channels by mean and standard deviation, at the snapshot next to the step. */
  function histogram(layer, steps, step) {
    const place = nearest(steps, step);
    const shown = layer.histograms[place];
    if (!shown) return null;
    const total = shown.means.reduce((sum, one) => sum + one, shown.broken);
    const broken = shown.broken ? `, ${shown.broken} of ${total} not finite` : "";
    const key = (colour, words) => `<span style="color:${colour}">■</span> ${words}`;
    return {
      title: `Channels at step ${steps[place]}${broken}<br>${key(MEAN, "mean")} ${key(DEVIATION, "deviation")}`,
      words: `histogram of the channels' means and standard deviations at step ${steps[place]}`,
      traces: shown.means.length ? [
        bars(shown.means, shown.ends, { colour: MEAN, hover: "%{y} channels have a mean of about %{x:.3~g}<extra></extra>" }),
        bars(shown.deviations, shown.ends, { colour: DEVIATION, hover: "%{y} channels have a standard deviation of about %{x:.3~g}<extra></extra>" }),
      ] : [],
      x: { range: shown.ends, exponentformat: "power", nticks: 4 },
      y: { rangemode: "tozero", nticks: 4, ...(shown.means.length ? {} : { range: [0, 1] }) },
    };
  }
  /* The worst slice mean of each kernel; `runs` are the same layer of each run, with its colour. */
  function kernels(runs, range) {
    const traces = runs.flatMap(({ layer, colour }) => layer.kernels.map(({ steps, slice_mean: y, cmrr }) => ({
      x: steps, y, customdata: cmrr.map((ratio) => ratio ?? "infinite"), mode: "lines+markers", marker: { size: 4 }, line: { color: colour, width: 1.6 }, showlegend: false,
      hovertemplate: "step %{x}: slice mean %{y:.3~g} of the rms, CMRR %{customdata:.4~g}<extra></extra>" })));
    if (!traces.length) return null;
    return { title: "Kernel, worst slice<br>mean over its rms", words: "common mode of the kernel over steps", isOverSteps: true, traces,
      x: { range, nticks: 4 }, y: { type: "log", exponentformat: "power", nticks: 5 } };
  }
  const gradients = (layer) => (layer.gradient ?? []).map(({ name, step, rms, largest, counts }) => {
    const ends = [-largest / rms, largest / rms];
    return { title: `Gradient of ${name.split(".").at(-1).replace(/[<&]/g, "")}<br>at step ${step}, in its rms`, words: `histogram of the gradient of ${name}`,
      traces: [bars(counts, ends, { colour: MEAN, hover: "%{y} entries at about %{x:.3~g} rms<extra></extra>" })],
      x: { range: ends, nticks: 4 }, y: { type: "log", exponentformat: "power", nticks: 4 } };
  });
  /* What is not there, and how it would be. */
  function lacking(layer) {
    const words = [];
    if (!layer.histograms.some(Boolean)) words.push("no histogram: no snapshot holds its channels");
    if (layer.unmeasuredKernel) words.push("the common mode of its kernel was not measured");
    if (layer.weights && !layer.gradient) words.push("record --figures tails adds the histogram of its weight’s gradient");
    return words;
  }
  function fields(runs, own, steps, step, range) {
    return [histogram(own, steps, step), kernels(runs, range), ...gradients(own)].filter(Boolean);
  }
  /* A title in two lines, broken near its middle, where it is wider than a field. */
  function inTwo(title) {
    if (title.length < 22) return title;
    const gaps = Array.from(title.matchAll(/ /g), ({ index }) => index);
    const middle = gaps.reduce((best, one) => (Math.abs(one - title.length / 2) < Math.abs(best - title.length / 2) ? one : best), 0);
    return `${title.slice(0, middle)}<br>${title.slice(middle + 1)}`;
  }
  /* A few ticks of a logarithmic axis over some values, each written in full. */
  function ticksOf(values) {
    const known = values.filter((value) => value > 0 && Number.isFinite(value)).map(Math.log10);
    return known.length ? logTicks.of(Math.min(...known), Math.max(...known), 4) : {};
  }
  /* Fields of at least FIELD pixels in as many rows as they need. */
  const [FIELD, ROW] = [165, 200];
  function sideBySide(fields, width) {
    const columns = Math.min(fields.length, Math.max(1, Math.floor(width / FIELD)));
    const rows = Math.ceil(fields.length / columns);
    const height = rows * ROW;
    const layout = { margin: { l: 48, r: 8, t: 38, b: 28 }, height, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 11 }, annotations: [], hovermode: "closest", barmode: "overlay", bargap: 0 };
    const inner = height - 66;
    const look = { gridcolor: "rgba(128,128,128,0.25)", zeroline: false, automargin: false, tickfont: { size: 9.5 } };
    const traces = fields.flatMap((field, place) => {
      const [axis, column, row] = [place + 1, place % columns, Math.floor(place / columns)];
      const from = column / columns + (column ? 58 / width : 0);
      const top = 1 - (row * ROW) / inner;
      layout[`xaxis${axis}`] = { ...look, domain: [from, (column + 1) / columns], anchor: `y${axis}`, ...field.x, range: field.x.range.slice() };
      const ticks = field.y.type === "log" ? ticksOf(field.traces.flatMap(({ y }) => Array.from(y))) : {};
      const tickfont = { size: ticks.tickmode === "linear" ? 8 : 9.5 }; /* plotly draws powers a quarter larger */
      layout[`yaxis${axis}`] = { ...look, domain: [Math.max(0, top - (ROW - 66) / inner), top], anchor: `x${axis}`, tickfont, ...field.y, ...ticks };
      layout.annotations.push({ text: field.title, align: "left", x: from, xanchor: "left", xref: "paper", y: top, yanchor: "bottom", yref: "paper", showarrow: false });
      return field.traces.map((trace) => ({ ...trace, xaxis: `x${axis}`, yaxis: `y${axis}` }));
    });
    return [traces, layout];
  }
  return { fields, inTwo, lacking, nearest, sideBySide };
})();
