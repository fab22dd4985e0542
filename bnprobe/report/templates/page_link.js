"use strict";
/* What is being looked at, as the page's own address has it: `#run=0&step=14&layer=conv1&zoom=3,9`. A link to a section is left as it is. */
const pageLink = (() => {
  /* A layer is told by its name; where an earlier one has the same name, by its place as well. */
  function keep({ run, step, names, index, zoom }) {
    const state = new URLSearchParams();
    if (run) state.set("run", run);
    if (step !== undefined) state.set("step", step);
    if (names) {
      state.set("layer", names[index]);
      if (names.indexOf(names[index]) !== index) state.set("place", index + 1);
    }
    if (zoom) state.set("zoom", zoom.map((end) => Number(end.toPrecision(6))).join(","));
    history.replaceState(null, "", `#${state}`);
  }
  /* The same read back; null what the address does not say. */
  function read() {
    const state = new URLSearchParams(location.hash.slice(1));
    const zoom = (state.get("zoom") ?? "").split(",").map(Number);
    const name = state.get("layer");
    const place = Number(state.get("place")) - 1;
    return {
      run: Number(state.get("run") ?? 0),
      step: state.has("step") ? Number(state.get("step")) : null,
      zoom: zoom.length === 2 && zoom[0] < zoom[1] ? zoom : null,
      indexIn: name === null ? null : (names) => (names[place] === name ? place : names.indexOf(name)),
    };
  }
  return { keep, read };
})();
