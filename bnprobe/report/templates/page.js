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

  function draw(id) {
    const figure = figures[id];
    figure.data = figure.data.map(unpack);
    figure.layout = { ...figure.layout, uirevision: "kept", modebar: { bgcolor: "rgba(0,0,0,0)", color: "#8a929c", activecolor: "#5c90c8" } };
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
      goTo(figures[id].run, figures[id].data[0].text[row]?.[column]);
    });
  }

  const sliders = Array.from(document.querySelectorAll(".slider"), (label) => ({
    run: Number(label.dataset.run),
    steps: label.dataset.steps.split(" ").map(Number),
    ids: label.dataset.figures.split(" "),
    input: label.querySelector("input"),
    output: label.querySelector("output"),
  }));
  /* A slider gives many events while it is dragged; one a frame of the screen is drawn, and nothing but the curves is. */
  const moved = new Set();
  function show(slider) {
    slider.output.value = slider.steps[Number(slider.input.value)];
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
  for (const slider of sliders) slider.input.addEventListener("input", () => show(slider));

  const choice = place("channel-layer");
  if (choice) {
    choice.addEventListener("change", async () => {
      for (const group of document.querySelectorAll(".channel-layer")) group.hidden = group.dataset.layer !== choice.value;
      for (const id of waiting()) await draw(id);
    });
  }

  for (const button of document.querySelectorAll(".unfold")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      button.previousElementSibling.querySelector(".rest").hidden = false;
      button.remove();
    });
  }

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

  (async () => {
    for (const id of ordered) {
      if (place(id).offsetParent === null) continue;
      await draw(id);
      await new Promise((resolve) => setTimeout(resolve));
    }
    document.documentElement.dataset.drawn = Object.values(figures).filter((figure) => figure.drawn).length;
  })();
})();
