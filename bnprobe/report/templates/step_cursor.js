"use strict";
/* A line at the step that is looked at, over the fields of a figure whose axis is that of steps. It stands above the drawing and below what
   plotly says of the place under the pointer; plotly would draw the figure anew to move one of its own. */
const stepCursor = (() => {
  /* `axes` are the numbers of the axes of steps, as plotly has them: "" is the first. */
  function place(plot, axes, step) {
    const lines = Array.from(plot.querySelectorAll(".cursor"));
    const layout = plot._fullLayout;
    const hovering = Array.from(plot.querySelectorAll(".main-svg")).at(-1);
    axes.forEach((number, nth) => {
      const line = lines[nth] ?? Object.assign(document.createElement("div"), { className: "cursor" });
      if (!lines[nth]) hovering.before(line);
      const x = layout[`xaxis${number}`];
      const fields = layout._subplots.cartesian.map((name) => name.split("y")).filter(([ofX]) => ofX === `x${number}`).map(([, y]) => layout[`yaxis${y}`]);
      const top = Math.min(...fields.map(({ _offset: edge }) => edge));
      const bottom = Math.max(...fields.map(({ _offset: edge, _length: length }) => edge + length));
      const at = x.l2p(step);
      line.hidden = !(at >= 0 && at <= x._length);
      Object.assign(line.style, { left: `${x._offset + at}px`, top: `${top}px`, height: `${bottom - top}px` });
    });
    lines.slice(axes.length).forEach((line) => line.remove());
  }
  return { place };
})();
