"use strict";
/* Draws the page's figures, keeps those over steps in step with each other, and moves the depth profiles along the run. */
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = {
    displaylogo: false,
    responsive: true,
    showSendToCloud: false,
    /* A list of what is wanted, not of what is not: plotly's default bar holds a button that sends the figure to its maker. */
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };
  const place = (id) => document.getElementById(id);

  /* The inverse of packing.py: levels to values, one label a row or column to one a cell. */
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  function unpackLevels(packed) {
    const [rows, columns] = packed.shape;
    const raw = bytes(packed.levels);
    const view = new DataView(raw.buffer);
    const level = packed.type === "u1" ? (i) => raw[i] : (i) => view.getUint16(2 * i, true);
    return Array.from({ length: rows }, (_, row) =>
      Float32Array.from({ length: columns }, (_, column) => {
        const n = level(row * columns + column);
        return n === 0 ? NaN : packed.low + (n - 1) * packed.step;
      }));
  }
  function unpackGrid(grid) {
    if (!grid || Array.isArray(grid)) return grid;
    if (grid.columns !== undefined) return grid.each.map((label) => new Array(grid.columns).fill(label));
    return new Array(grid.rows).fill(grid.each);
  }
  function unpack(trace) {
    if (trace.type !== "heatmap") return trace;
    return { ...trace, z: unpackLevels(trace.z), customdata: unpackGrid(trace.customdata), text: unpackGrid(trace.text) };
  }

  function dress(figure) {
    figure.data = figure.data.map(unpack);
    figure.layout = { ...figure.layout, uirevision: "kept", modebar: { bgcolor: "rgba(0,0,0,0)", color: "#8a929c", activecolor: "#5c90c8" } };
  }
  function draw(id) {
    const figure = figures[id];
    dress(figure);
    return Plotly.newPlot(place(id), figure.data, figure.layout, config).then(() => {
      figure.drawn = true;
      if (isOverSteps(id)) follow(id);
    });
  }

  /* Figures over steps share the step axis; heat maps of one run that show the same layers share the layer axis, too. */
  const isMap = (id) => id.startsWith("map-");
  const rows = (id) => figures[id].data[0].z.length;
  const isOverSteps = (id) => isMap(id) || id.startsWith("loss-") || id.startsWith("kernels-") || id.startsWith("tolerance-");
  let following = false;
  function follow(id) {
    place(id).on("plotly_relayout", (change) => {
      if (following) return;
      following = true;
      const moved = Object.keys(figures)
        .filter((other) => other !== id && isOverSteps(other) && figures[other].drawn)
        .map((other) => {
          const sameRows = isMap(id) && isMap(other) && figures[id].run === figures[other].run && rows(id) === rows(other);
          const kept = Object.entries(change).filter(([key]) => key.startsWith("xaxis.") || (sameRows && key.startsWith("yaxis.")));
          return kept.length ? Plotly.relayout(place(other), Object.fromEntries(kept)) : null;
        });
      Promise.all(moved).finally(() => { following = false; });
    });
    if (isMap(id)) place(id).on("plotly_click", (event) => {
      const [row, column] = event.points[0].pointNumber;
      const { data, run } = figures[id];
      goTo(run, data[0].text[row]?.[column]);
      const name = data[0].customdata[row]?.[0];
      openLayer(run, layersOf(run).indexOf(name));
    });
  }

  const stepsOf = (label) => label.dataset.steps.split(" ").map(Number);
  const sliders = Array.from(document.querySelectorAll(".slider"), (label) => ({
    label,
    run: Number(label.dataset.run),
    steps: stepsOf(label),
    ids: label.dataset.figures.split(" "),
    input: label.querySelector("input"),
    output: label.querySelector("output"),
  }));
  /* A slider gives many events while it is dragged; one a frame of the screen is drawn, and nothing but the curves is. */
  const moved = new Set();
  function show(slider) {
    slider.output.value = stepOf(slider);
    keepInLink();
    if (!moved.size) requestAnimationFrame(() => { moved.forEach(move); moved.clear(); });
    moved.add(slider);
  }
  const atOnce = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };
  function move(slider) {
    for (const id of slider.ids) {
      if (!figures[id].drawn) continue;
      const { data } = figures[id].frames[Number(slider.input.value)];
      Plotly.animate(place(id), { data, traces: data.map((_, trace) => trace) }, atOnce);
    }
  }
  function goTo(run, step) {
    const slider = sliders.find((one) => one.run === run);
    if (!slider || step === undefined) return;
    const distances = slider.steps.map((one) => Math.abs(one - step));
    slider.input.value = distances.indexOf(Math.min(...distances));
    show(slider);
  }
  const stepOf = (slider) => slider.steps[Number(slider.input.value)];
  for (const slider of sliders) slider.input.addEventListener("input", () => show(slider));

  /* One layer by itself: its row of every heat map as a curve over steps, beside the layer of the same name in the other runs. */
  const panel = place("layer-panel");
  const chart = panel.querySelector(".chart");
  const maps = Array.from(document.querySelectorAll('.plot[id^="map-"]'), (element) => element.id);
  const kindOf = (id) => id.replace(/-\d+$/, "");
  const colours = ["#2f7fc1", "#d55e00", "#0f9d76", "#c765a0", "#c98a00", "#8a8a8a"];
  const labels = Array.from(document.querySelectorAll(".verdict > .run"), (element) => element.textContent);
  const labelsOf = (id) => figures[id].data[0].customdata.map((row) => row[0]);
  const layersOf = (run) => labelsOf(`map-activation-rms-${run}`);
  let opened = null;
  function curve(id, name, colour, axis) {
    const row = labelsOf(id).indexOf(name);
    if (row < 0) return [];
    const { z, text } = figures[id].data[0];
    const y = Array.from(z[row], (value) => (Number.isNaN(value) ? null : figures[id].logarithmic ? 10 ** value : value));
    return [{ x: text[row], y, xaxis: `x${axis}`, yaxis: `y${axis}`, mode: y.length > 60 ? "lines" : "lines+markers", marker: { size: 4 },
      line: { color: colour, width: 1.6 }, showlegend: false, hovertemplate: "step %{x}: %{y:.4~g}<extra></extra>" }];
  }
  function openLayer(run, index) {
    if (!maps.length || index < 0 || index >= layersOf(run).length) return;
    opened = { run, index };
    const name = layersOf(run)[index];
    const kinds = maps.filter((id) => figures[id].run === run && labelsOf(id).includes(name));
    const width = 1 / kinds.length;
    const traces = [];
    const layout = { margin: { l: 48, r: 8, t: 38, b: 28 }, height: 210, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 11 }, annotations: [], shapes: [], hovermode: "closest" };
    kinds.forEach((id, place) => {
      const axis = place + 1;
      const from = place * width + (place ? 0.035 : 0);
      for (const other of maps.filter((one) => kindOf(one) === kindOf(id))) traces.push(...curve(other, name, colours[figures[other].run % colours.length], axis));
      const look = { gridcolor: "rgba(128,128,128,0.25)", zeroline: false, automargin: false };
      layout[`xaxis${axis}`] = { ...look, domain: [from, (place + 1) * width], anchor: `y${axis}`, range: figures[id].layout.xaxis.range, nticks: 4 };
      layout[`yaxis${axis}`] = { ...look, anchor: `x${axis}`, type: figures[id].logarithmic ? "log" : "linear", exponentformat: "power", nticks: 5,
        ...(figures[id].logarithmic ? {} : { range: [-0.05, 1.05] }) };
      layout.annotations.push({ text: figures[id].quantity.replace(" of ", "<br>of "), align: "left", x: from, xanchor: "left", xref: "paper", y: 1, yanchor: "bottom", yref: "paper", showarrow: false });
    });
    const slider = sliders.find((one) => one.run === run);
    if (slider) layout.shapes = kinds.map((_, place) => ({ type: "line", xref: `x${place + 1}`, yref: "paper", x0: stepOf(slider), x1: stepOf(slider), y0: 0, y1: 1,
      line: { color: "rgba(128,128,128,0.6)", width: 1 } }));
    const line = document.querySelector(`tr[data-run="${run}"][data-layer="${index}"]`);
    const raw = line ? line.querySelector("th").textContent.trim() : "";
    const cells = line ? Array.from(line.querySelectorAll("td"), (cell) => cell.textContent) : [];
    const named = Array.from(document.querySelectorAll(`article.finding[data-run="${run}"]`))
      .filter((article) => JSON.parse(article.dataset.layers).includes(raw)).map((article) => article.querySelector("h4").textContent);
    panel.hidden = false;
    document.body.classList.add("with-layer");
    panel.querySelector("h2").textContent = raw;
    panel.querySelector(".facts").textContent = [`layer ${cells[0]} of ${layersOf(run).length}, ${cells[1]}`, ...(named.length ? [`named by: ${named.join(", ")}`] : [])].join(" · ");
    if (labels.length > 1) panel.querySelector(".keys").replaceChildren(...labels.map((label, number) => {
      const key = document.createElement("span");
      key.textContent = `● ${label}`;
      key.style.color = colours[number % colours.length];
      return key;
    }));
    chart.setAttribute("aria-label", `${raw}: ${kinds.map((id) => figures[id].quantity).join(", ")} over steps`);
    keepInLink();
    return Plotly.react(chart, traces, layout, { ...config, displayModeBar: false });
  }
  function closeLayer() {
    opened = null;
    panel.hidden = true;
    document.body.classList.remove("with-layer");
    keepInLink();
  }
  panel.querySelector("button").addEventListener("click", closeLayer);
  document.addEventListener("keydown", (event) => {
    if (opened === null || event.target.matches("input, select")) return;
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") closeLayer();
    if (by) { openLayer(opened.run, opened.index + by); event.preventDefault(); }
  });
  document.addEventListener("click", (event) => {
    const line = event.target.closest("button.layer")?.closest("tr");
    if (line) openLayer(Number(line.dataset.run), Number(line.dataset.layer));
  });

  /* What is being looked at stands in the link: `#run=0&step=14&layer=conv1`. A link to a section is left as it is. */
  let isOpening = true;
  function keepInLink() {
    if (isOpening) return;
    const state = new URLSearchParams();
    const run = opened ? opened.run : 0;
    const slider = sliders.find((one) => one.run === run);
    if (run) state.set("run", run);
    if (slider) state.set("step", stepOf(slider));
    if (opened) state.set("layer", layersOf(run)[opened.index]);
    history.replaceState(null, "", `#${state}`);
  }
  function followLink() {
    const state = new URLSearchParams(location.hash.slice(1));
    const run = Number(state.get("run") ?? 0);
    if (state.has("step")) goTo(run, Number(state.get("step")));
    if (state.has("layer") && maps.length && maps.some((id) => figures[id].run === run)) openLayer(run, layersOf(run).indexOf(state.get("layer")));
    isOpening = false;
  }

  const choice = place("channel-layer");
  if (choice) {
    choice.addEventListener("change", async () => {
      for (const group of document.querySelectorAll(".channel-layer")) group.hidden = group.dataset.layer !== choice.value;
      for (const id of waiting()) await draw(id);
    });
  }

  const unfolded = new Set();
  function unfold(button) {
    unfolded.add(button.closest("section").id);
    button.previousElementSibling.querySelector(".rest").hidden = false;
    button.remove();
  }
  function offerRest() {
    for (const button of document.querySelectorAll(".unfold")) {
      if (unfolded.has(button.closest("section").id)) unfold(button);
      else button.hidden = false;
    }
  }
  offerRest();
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.unfold");
    if (button) unfold(button);
  });

  /* A figure in a hidden group has no width yet; it is drawn when its group is shown. */
  const waiting = () => Object.keys(figures).filter((id) => !figures[id].drawn && place(id).offsetParent !== null);
  const ordered = Array.from(document.querySelectorAll(".plot"), (element) => {
    element.style.minHeight = `${element.dataset.height}px`;
    return element.id;
  });
  for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
      document.documentElement.classList.toggle("printing", printing);
      for (const id of ordered) {
        /* Unlike Plotly.Plots.resize, this has drawn when it returns; the printer does not wait. */
        if (figures[id].drawn) Plotly.relayout(place(id), printing ? { width: place(id).clientWidth } : { width: null, autosize: true });
      }
    });
  }

  /* The next version of a page whose run goes on. A page that has other figures or sections is opened anew; in the others what has
     changed is replaced, and zoom, step, layer and what was unfolded stay as they are. */
  const shapeOf = (page) => Array.from(page.querySelectorAll("main > section, .plot, #channel-layer option"), (one) => one.id || one.value).join();
  const textOf = (page) => page.getElementById("figures").textContent;
  let shown = textOf(document);
  document.addEventListener("bnprobe:renew", async ({ detail: next }) => {
    if (shapeOf(next) !== shapeOf(document)) {
      location.reload();
      return;
    }
    if (textOf(next) !== shown) {
      shown = textOf(next);
      for (const [id, figure] of Object.entries(JSON.parse(shown))) await redraw(id, figure);
      next.querySelectorAll(".slider").forEach((label, number) => lengthen(sliders[number], label));
    }
    for (const section of next.querySelectorAll("main > section")) {
      const own = place(section.id);
      if (!own.querySelector(".plot") && own.innerHTML !== section.innerHTML) own.innerHTML = section.innerHTML;
    }
    offerRest();
    document.title = next.title;
    if (opened) openLayer(opened.run, opened.index);
  });
  async function redraw(id, figure) {
    const { drawn } = figures[id];
    figures[id] = figure;
    if (!drawn) return;
    dress(figure);
    figure.drawn = true;
    await Plotly.react(place(id), figure.data, figure.layout, config);
  }
  function lengthen(slider, label) {
    const atEnd = Number(slider.input.value) === slider.steps.length - 1;
    const step = stepOf(slider);
    slider.steps = stepsOf(label);
    slider.input.max = slider.steps.length - 1;
    goTo(slider.run, atEnd ? slider.steps.at(-1) : step);
  }

  (async () => {
    for (const id of ordered) {
      if (place(id).offsetParent === null) continue;
      await draw(id);
      await new Promise((resolve) => setTimeout(resolve));
    }
    followLink();
    document.documentElement.dataset.drawn = Object.values(figures).filter((figure) => figure.drawn).length;
  })();
})();
