"use strict";
/* The vertical axes of a figure, fitted to what its curves are in a range of steps, and cut where it is over all; not where all of
   them lie beyond that, as behind a divergence. */
const ownScale = (() => {
  function of({ data, scales }, range) {
    return Object.fromEntries(Object.entries(scales).map(([axis, whole]) => {
      const values = range ? data.flatMap((trace) => (`y${axis.slice(5)}` === (trace.yaxis ?? "y") ? within(trace, range) : [])) : [];
      const isLog = whole.type === "log";
      const [low, high] = [Math.min(...values), Math.max(...values)].map((end) => (isLog ? Math.log10(end) : end));
      const keep = { range: whole.range?.slice(), ...logTicks.given(whole) };
      if (!Number.isFinite(high - low)) return [axis, keep];
      const room = 0.06 * (high - low || (isLog ? 0.5 : Math.abs(high) || 1));
      const fitted = [low - room, high + room];
      const cut = [Math.max(fitted[0], whole.range[0]), Math.min(fitted[1], whole.range[1])];
      const chosen = cut[0] < cut[1] ? cut : fitted;
      return [axis, { range: chosen, ...(isLog ? logTicks.of(...chosen) : logTicks.given({})) }];
    }));
  }
  /* The values of a curve in a range of steps, and the last before it where the curve comes in as a step. */
  function within(trace, [from, to]) {
    const [x, y] = [packed.valuesOf(trace.x), packed.valuesOf(trace.y)];
    const kept = y.filter((value, place) => Number.isFinite(value) && x[place] >= from && x[place] <= to);
    const last = trace.line?.shape === "hv" ? x.findLastIndex((step, place) => step < from && Number.isFinite(y[place])) : -1;
    return last < 0 ? kept : [y[last], ...kept];
  }
  /* The same as plotly's relayout takes it. */
  function change(figure, range) {
    const pairs = Object.entries(of(figure, range)).flatMap(([axis, scale]) => Object.entries(scale).map(([key, value]) => [`${axis}.${key}`, value]));
    return Object.fromEntries(pairs);
  }
  return { of, change };
})();
