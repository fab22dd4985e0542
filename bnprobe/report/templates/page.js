"use strict";
/* Draws the page's figures as they come into view, keeps those over steps in step with each other, and moves the depth profiles along the
   run. */
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  let details = JSON.parse(document.getElementById("details")?.textContent ?? "[]"); /* of each layer, by run */
  const config = {
    displaylogo: false,
    responsive: true,
    showSendToCloud: false,
    /* A list of what is wanted, not of what is not: plotly's default bar holds a button that sends the figure to its maker. */
    modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
  };
  const place = (id) => document.getElementById(id);

  /* A figure unpacked, at its first use. */
  function ready(id) {
    const figure = figures[id];
    if (figure.isReady) return figure;
    figure.isReady = true;
    figure.data = figure.data.map(packed.unpack);
    figure.heights = figure.course?.heights.map(packed.unpackHeights);
    figure.logAxes = logTicks.kept(figure.layout);
    figure.whole = figure.layout.xaxis?.range?.slice();
    /* Ranges are copied wherever they are kept or handed on: plotly writes into those that it is given. */
    const scaleOf = ({ range, ...rest }) => ({ ...rest, range: range?.slice() });
    figure.scales = Object.fromEntries(["yaxis", "yaxis2"].flatMap((axis) => (figure.layout[axis] ? [[axis, scaleOf(figure.layout[axis])]] : [])));
    figure.layout = { ...figure.layout, uirevision: "kept", modebar: { bgcolor: "rgba(0,0,0,0)", color: "#8a929c", activecolor: "#5c90c8" } };
    return figure;
  }
  /* What plotly is given of a figure: its traces, but of maps the columns of the screen within the range of steps. */
  function tracesOf(id, range = figures[id].layout.xaxis.range) {
    if (!isMap(id)) return figures[id].data;
    const pixels = Math.max(50, place(id).clientWidth - 180);
    return figures[id].data.map((trace) => ({ ...trace, ...packed.onScreen(trace, range, pixels) }));
  }
  /* The columns of a map whose range of steps has changed. */
  function columnsOf(id, range) {
    const found = isMap(id) ? figures[id].data.map((trace) => packed.onScreen(trace, range, Math.max(50, place(id).clientWidth - 180))) : [];
    const changed = found.flatMap((columns, trace) => (columns ? [trace] : []));
    const keys = ["x", "z", "text", "customdata", "hovertext"];
    return [Object.fromEntries(keys.map((key) => [key, changed.map((trace) => found[trace][key])])), changed];
  }
  const drawn = new Set(); /* those that plotly knows; `isShown` is a figure that it shows as it is now */
  function draw(id) {
    const figure = ready(id);
    figure.isShown = true;
    if (zoomed && isOverSteps(id)) {
      figure.layout.xaxis.range = zoomed.slice();
      if (hasOwnScale(id)) Object.entries(ownScale.of(figure, zoomed)).forEach(([axis, scale]) => Object.assign(figure.layout[axis], scale));
    }
    const slider = sliders.find(({ ids }) => ids.includes(id));
    if (slider && (drawn.has(id) || slider.input.value !== slider.input.defaultValue)) heightsAt(figure, slider).forEach(({ y }, trace) => { figure.data[trace].y = y; });
    figure.width = makeRoom(figure.layout, place(id).clientWidth);
    return Plotly.react(place(id), tracesOf(id), figure.layout, config).then(() => {
      /* A double-click goes back to all steps that there are now. */
      const { xaxis } = place(id)._fullLayout;
      if (figure.whole && xaxis) [xaxis._rangeInitial0, xaxis._rangeInitial1] = figure.whole;
      logTicks.renew(place(id), figure.logAxes);
      if (drawn.has(id)) return;
      drawn.add(id);
      place(id).on("plotly_relayout", () => logTicks.renew(place(id), ready(id).logAxes));
      if (!isOverSteps(id)) return;
      follow(id);
      placeCursor(id);
      place(id).on("plotly_afterplot", () => placeCursor(id));
    });
  }

  /* Names take their share of the width that there is now. */
  const isOtherWidth = (id) => figures[id].width && figures[id].width !== place(id).clientWidth;
  let resized = null;
  window.addEventListener("resize", () => {
    clearTimeout(resized);
    resized = setTimeout(() => { Array.from(drawn).filter(isOtherWidth).forEach((id) => { figures[id].isShown = false; }); drawNear(); }, 200);
  });

  /* Drawn is what is in the window or close to it; what is in a hidden group never is. */
  const near = new Set();
  let drawing = null;
  function drawNear() {
    const draws = async () => {
      for (let id; (id = ordered.find((one) => near.has(one) && !figures[one].isShown)); ) {
        await draw(id);
        await new Promise((resolve) => setTimeout(resolve));
      }
    };
    drawing ??= draws().finally(() => { drawing = null; });
    return drawing;
  }
  /* All that is not hidden, at once: plotly has drawn when it returns. */
  function drawAll() {
    return Promise.all(ordered.filter((id) => place(id).offsetParent !== null && !figures[id].isShown).map(draw));
  }
  function watch() {
    if (!window.IntersectionObserver) { /* all that is not hidden is near */
      const look = () => ordered.filter((id) => place(id).offsetParent !== null).forEach((id) => near.add(id));
      choice?.addEventListener("change", () => { look(); drawNear(); });
      return look();
    }
    return new Promise((seen) => {
      const observer = new IntersectionObserver((entries) => {
        for (const { target, isIntersecting } of entries) near[isIntersecting ? "add" : "delete"](target.id);
        seen();
        if (!isOpening) drawNear();
      }, { rootMargin: "60% 0px" });
      ordered.forEach((id) => observer.observe(place(id)));
      if (!ordered.length) seen();
    });
  }

  /* Figures over steps share the step axis; heat maps of one run that show the same layers share the layer axis, too. */
  const isMap = (id) => id.startsWith("map-") || id.startsWith("difference-");
  const rows = (id) => ready(id).data[0].z.length;
  const isOverSteps = (id) => isMap(id) || id.startsWith("loss-") || id.startsWith("kernels-") || id.startsWith("tolerance-");
  /* Figures of losses show what there is in the steps that are looked at; the others keep a scale that runs share. */
  const hasOwnScale = (id) => id.startsWith("loss-");
  let following = false;
  let zoomed = null;
  const isWhole = (id, range) => ready(id).whole.every((end, place) => Math.abs(end - range[place]) < 1e-6);
  function follow(id) {
    place(id).on("plotly_relayout", async (change) => {
      if (following || !Object.keys(change).some((key) => /^[xy]axis\./.test(key))) return;
      const { range } = place(id).layout.xaxis;
      const isOfSteps = Object.keys(change).some((key) => key.startsWith("xaxis."));
      if (isOfSteps) zoomed = change["xaxis.autorange"] || isWhole(id, range) ? null : range.slice();
      const others = () => Object.keys(figures)
        .filter(isOverSteps)
        .map((other) => {
          const sameRows = isMap(id) && isMap(other) && figures[id].run === figures[other].run && rows(id) === rows(other);
          if (!figures[other].isShown) {
            if (sameRows) ready(other).layout.yaxis.range = place(id).layout.yaxis.range.slice();
            return null;
          }
          const kept = Object.fromEntries(Object.entries(change).filter(([key]) => other !== id && (key.startsWith("xaxis.") || (sameRows && key.startsWith("yaxis.")))));
          const isByHand = other === id && zoomed && Object.keys(change).some((key) => key.startsWith("yaxis"));
          if (isOfSteps && hasOwnScale(other) && !isByHand) Object.assign(kept, ownScale.change(figures[other], zoomed));
          const [columns, traces] = isOfSteps ? columnsOf(other, range) : [{}, []];
          if (traces.length) return Plotly.update(place(other), columns, kept, traces);
          return Object.keys(kept).length ? Plotly.relayout(place(other), kept) : null;
        });
      following = true;
      try {
        await Promise.all(others());
      } finally {
        following = false;
        placeCursors();
        if (isOfSteps && opened) openLayer(opened.run, opened.index);
        keepInLink();
      }
    });
    if (isMap(id)) place(id).on("plotly_click", (event) => {
      /* By place, not by number: what is not finite and what is exactly 0 are traces of their own that begin elsewhere. */
      const { x, y } = event.points[0];
      const [shown] = place(id).data;
      const row = Math.round(y);
      const column = shown.x.findLastIndex((edge) => edge <= x);
      const { run: own } = figures[id];
      const run = id.startsWith("map-") ? own : firstRun;
      goTo(run, shown.text[row]?.[column]);
      openLayer(run, keysOf(run).indexOf(keysOf(own)[shown.meta[row]]));
    });
    else place(id).on("plotly_click", (event) => goTo(figures[id].run, event.points[0].x));
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
    if (!moved.size) requestAnimationFrame(() => { moved.forEach(move); moved.clear(); placeCursors(); stepInPanel(); });
    moved.add(slider);
  }
  const nearest = (slider, step) => slider.steps.reduce((best, one, place) => (Math.abs(one - step) < Math.abs(slider.steps[best] - step) ? place : best), 0);
  /* The step is one for the whole page: the other runs go to the nearest that they have. */
  function lead(slider) {
    for (const other of sliders) {
      if (other === slider) continue;
      other.input.value = nearest(other, stepOf(slider));
      show(other);
    }
    show(slider);
  }
  /* A line at the step in every figure over steps. Plotly would draw a figure anew to move one; this costs nothing. */
  const placeCursors = () => drawn.forEach(placeCursor);
  function placeCursor(id) {
    const slider = sliders.find((one) => one.run === figures[id].run) ?? sliders[0];
    if (isOverSteps(id) && slider) stepCursor.place(place(id), [""], stepOf(slider));
  }
  const atOnce = { mode: "immediate", frame: { duration: 0, redraw: false }, transition: { duration: 0 } };
  const heightsAt = (figure, slider) => figure.heights.map((steps) => ({ y: steps[Number(slider.input.value)] }));
  function move(slider) {
    for (const id of slider.ids) {
      if (!figures[id].isShown || !drawn.has(id)) continue;
      if (!near.has(id)) { /* drawn as it then is when it comes into view */
        figures[id].isShown = false;
        continue;
      }
      const data = heightsAt(figures[id], slider);
      Plotly.animate(place(id), { data, traces: data.map((_, trace) => trace) }, atOnce);
    }
  }
  function goTo(run, step) {
    const slider = sliders.find((one) => one.run === run);
    if (!slider || step === undefined) return;
    slider.input.value = nearest(slider, step);
    lead(slider);
  }
  const stepOf = (slider) => slider.steps[Number(slider.input.value)];
  for (const slider of sliders) slider.input.addEventListener("input", () => lead(slider));

  /* One layer by itself: its row of every heat map as a curve over steps, beside the same layer in the other runs. */
  const panel = place("layer-panel");
  const chart = panel?.querySelector(".chart");  // pages of trials have no layers
  const maps = Array.from(document.querySelectorAll('.plot[id^="map-"]'), (element) => element.id);
  const kindOf = (id) => id.replace(/-\d+$/, "");
  const colours = (document.body.dataset.colours ?? "").split(" ");
  const labels = Array.from(document.querySelectorAll(".verdict > .run"), (element) => element.textContent);
  const layersOf = (run) => ready(`map-activation-rms-${run}`).data[0].customdata.map((row) => row[0]);
  /* Names may be alike, in a run and where they are cut; a layer's number is its own, and the same in all runs. */
  const keysOf = (run) => figures[`map-activation-rms-${run}`].layers;
  const rowOf = (id, key) => figures[id].data[0].meta.indexOf(keysOf(figures[id].run).indexOf(key));
  const firstRun = maps.length ? figures[maps[0]].run : 0;
  const choice = place("channel-layer");
  const toChannels = panel?.querySelector(".to-channels");
  let opened = null;
  function curve(id, key, colour) {
    const row = rowOf(id, key);
    if (row < 0) return [];
    const { z, text } = ready(id).data[0];
    const y = Array.from(z[row], (value) => (Number.isNaN(value) ? null : figures[id].logarithmic ? 10 ** value : value));
    return [{ x: text[row], y, mode: y.length > 60 ? "lines" : "lines+markers", marker: { size: 4 },
      line: { color: colour, width: 1.6 }, showlegend: false, hovertemplate: "step %{x}: %{y:.4~g}<extra></extra>" }];
  }
  function fieldOf(id, key, range) {
    const isLog = figures[id].logarithmic;
    return {
      title: layerDetails.inTwo(figures[id].quantity), words: figures[id].quantity, isOverSteps: true,
      traces: maps.filter((other) => kindOf(other) === kindOf(id)).flatMap((other) => curve(other, key, colours[figures[other].run % colours.length])),
      x: { range, nticks: 4 },
      y: { type: isLog ? "log" : "linear", exponentformat: "power", nticks: 5, ...(isLog ? {} : { range: [-0.05, 1.05] }) },
    };
  }
  /* The step in the fields over steps, and the histogram of the snapshot next to it. */
  function stepInPanel() {
    const slider = opened && sliders.find((one) => one.run === opened.run);
    if (!slider || !chart._fullLayout) return;
    if (layerDetails.nearest(details[opened.run].steps, stepOf(slider)) !== opened.snapshot) {
      openLayer(opened.run, opened.index);
      return;
    }
    stepCursor.place(chart, opened.overSteps.map((axis) => (axis === 1 ? "" : String(axis))), stepOf(slider));
  }
  function openLayer(run, index) {
    if (!maps.length || index < 0 || index >= layersOf(run).length) return;
    opened = { run, index };
    const key = keysOf(run)[index];
    panel.hidden = false; /* before its width is asked for */
    document.body.classList.add("with-layer");
    const kinds = maps.filter((id) => figures[id].run === run && rowOf(id, key) >= 0);
    const slider = sliders.find((one) => one.run === run);
    const { steps, layers } = details[run];
    const same = details.flatMap((one, other) => {
      const at = maps.some((id) => figures[id].run === other) ? keysOf(other).indexOf(key) : -1;
      return at < 0 ? [] : [{ layer: one.layers[at], colour: colours[other % colours.length] }];
    });
    const range = zoomed ?? figures[kinds[0]].layout.xaxis.range;
    const fields = [...kinds.map((id) => fieldOf(id, key, range)), ...layerDetails.fields(same, layers[index], steps, slider ? stepOf(slider) : 0, range)];
    opened.snapshot = slider ? layerDetails.nearest(steps, stepOf(slider)) : -1;
    const [traces, layout] = layerDetails.sideBySide(fields, chart.clientWidth);
    chart.style.height = `${layout.height}px`;
    opened.overSteps = fields.flatMap((field, place) => (field.isOverSteps ? [place + 1] : []));
    const line = document.querySelector(`tr[data-run="${run}"][data-layer="${index}"]`);
    const raw = line ? line.querySelector("th").textContent.trim() : "";
    const cells = line ? Array.from(line.querySelectorAll("td"), (cell) => cell.textContent) : [];
    const named = Array.from(document.querySelectorAll(`article.finding[data-run="${run}"]`))
      .filter((article) => JSON.parse(article.dataset.layers).includes(raw)).map((article) => article.querySelector(".title").textContent);
    panel.querySelector("h2").textContent = raw;
    panel.querySelector(".facts").textContent = [`layer ${cells[0]} of ${details[run].count}, ${cells[1]}`, ...(named.length ? [`named by: ${named.join(", ")}`] : []),
      ...layerDetails.lacking(layers[index])].join(" · ");
    if (labels.length > 1) panel.querySelector(".keys").replaceChildren(...labels.map((label, number) => {
      const key = document.createElement("span");
      key.textContent = `● ${label}`;
      key.style.color = colours[number % colours.length];
      return key;
    }));
    const stored = Array.from(choice?.options ?? []).find((option) => option.textContent === raw);
    toChannels.hidden = !stored;
    toChannels.onclick = () => {
      choice.value = stored.value;
      choice.dispatchEvent(new Event("change"));
      choice.closest("section").scrollIntoView();
    };
    chart.setAttribute("aria-label", `${raw}: ${fields.map(({ words }) => words).join(", ")}`);
    keepInLink();
    opened.logAxes = logTicks.kept(layout);
    const isFirst = !chart._fullLayout;
    return Plotly.react(chart, traces, layout, { ...config, displayModeBar: false }).then(() => {
      if (isFirst) chart.on("plotly_relayout", () => opened && logTicks.renew(chart, opened.logAxes));
      document.body.style.setProperty("--panel", `${panel.offsetHeight}px`);
      stepInPanel();
    });
  }
  function closeLayer() {
    opened = null;
    panel.hidden = true;
    document.body.classList.remove("with-layer");
    keepInLink();
  }
  panel?.querySelector(".close").addEventListener("click", closeLayer);
  document.addEventListener("keydown", (event) => {
    if (opened === null || event.target.matches("input, select")) return;
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") closeLayer();
    if (by) { openLayer(opened.run, opened.index + by); event.preventDefault(); }
  });
  document.addEventListener("click", (event) => {
    const named = event.target.closest("button.layer")?.closest("[data-run][data-layer]");
    if (named) openLayer(Number(named.dataset.run), Number(named.dataset.layer));
  });

  /* What is being looked at stands in the link, once the page has followed the one that it was opened with. */
  let isOpening = true;
  function keepInLink() {
    if (isOpening) return;
    const run = opened ? opened.run : 0;
    const slider = sliders.find((one) => one.run === run);
    pageLink.keep({ run, step: slider && stepOf(slider), names: opened && layersOf(run), index: opened?.index, zoom: zoomed });
  }
  function followLink() {
    const { run, step, zoom, indexIn } = pageLink.read();
    if (zoom) zoomed = zoom;
    if (step !== null) goTo(run, step);
    if (indexIn && maps.some((id) => figures[id].run === run)) openLayer(run, indexIn(layersOf(run)));
  }

  choice?.addEventListener("change", () => {
    for (const group of document.querySelectorAll(".channel-layer")) group.hidden = group.dataset.layer !== choice.value;
  });

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

  const ordered = Array.from(document.querySelectorAll(".plot"), (element) => {
    element.style.minHeight = `${element.dataset.height}px`;
    return element.id;
  });
  for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
    window.addEventListener(event, () => {
      document.documentElement.classList.toggle("printing", printing);
      if (printing) drawAll();
      for (const id of drawn) {
        /* Unlike Plotly.Plots.resize, this has drawn when it returns; the printer does not wait. */
        if (!figures[id].isShown) continue;
        figures[id].width = makeRoom(figures[id].layout, place(id).clientWidth);
        Plotly.relayout(place(id), printing ? { width: place(id).clientWidth } : { width: null, autosize: true });
      }
    });
  }

  /* The next version of a page whose run goes on. A page that has other figures or sections is opened anew; in the others what has
     changed is replaced, and zoom, step, layer and what was unfolded stay as they are. */
  const shapeOf = (page) => Array.from(page.querySelectorAll("main > section, .plot, .slider, #channel-layer option"), (one) => one.id || one.value).join();
  const textOf = (page) => page.getElementById("figures").textContent;
  let shown = textOf(document);
  document.addEventListener("bnprobe:renew", async ({ detail: next }) => {
    if (shapeOf(next) !== shapeOf(document)) {
      location.reload();
      return;
    }
    if (textOf(next) !== shown) {
      shown = textOf(next);
      Object.assign(figures, JSON.parse(shown));
      details = JSON.parse(next.getElementById("details").textContent);
      next.querySelectorAll(".slider").forEach((label, number) => lengthen(sliders[number], label));
      await drawNear();
    }
    for (const section of next.querySelectorAll("main > section")) renewed.words(place(section.id), section);
    offerRest();
    document.dispatchEvent(new Event("bnprobe:renewed"));
    document.title = next.title;
    if (opened) openLayer(opened.run, opened.index);
  });
  function lengthen(slider, label) {
    const atEnd = Number(slider.input.value) === slider.steps.length - 1;
    const step = stepOf(slider);
    slider.steps = stepsOf(label);
    slider.input.max = slider.steps.length - 1;
    slider.input.defaultValue = label.querySelector("input").defaultValue;
    goTo(slider.run, atEnd ? slider.steps.at(-1) : step);
  }

  (async () => {
    if (sliders.length > 1) lead(sliders.reduce((first, one) => (stepOf(one) < stepOf(first) ? one : first)));
    followLink();
    await watch();
    await drawNear();
    placeCursors();
    isOpening = false;
    drawNear();
    document.documentElement.dataset.drawn = drawn.size;
  })();
})();
