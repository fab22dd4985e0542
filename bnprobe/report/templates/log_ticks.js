"use strict";
/* Ticks of logarithmic axes, each number in full, for the range that is shown: plotly would write 5 for 0.5, and the ticks that a figure
   comes with end where it does. */
const logTicks = (() => {
  const KEYS = ["tickmode", "dtick", "tickvals", "ticktext"];
  const auto = { tickmode: "auto", dtick: null, tickvals: null, ticktext: null };
  /* Between two powers of ten, as log_ticks of scales.py: whole decades where there are some, else 1, 2, 5 of each; below a decade plotly
     finds ticks in full itself, where 1, 2, 5 may all lie outside. */
  function of(low, high, most = 5) {
    if (high - low > 2) return { ...auto, tickmode: "linear", dtick: Math.max(1, Math.round((high - low) / most)) };
    if (!(high - low > 0.8)) return auto;
    const places = [];
    for (let power = Math.floor(low); power <= high; power += 1) for (const digit of [1, 2, 5]) places.push(Number(`${digit}e${power}`));
    const tickvals = places.filter((place) => Math.log10(place) >= low && Math.log10(place) <= high);
    return { ...auto, tickmode: "array", tickvals, ticktext: tickvals.map(words) };
  }
  function words(value) {
    if (value > 9e-4 && value < 1e5) return String(Number(value.toPrecision(1)));
    const [digit, power] = value.toExponential(0).split("e");
    return `${digit === "1" ? "" : `${digit}×`}10<sup>${String(Number(power)).replace("-", "−")}</sup>`;
  }
  /* The ticks that an axis has, every key of them. */
  const given = (axis) => ({ ...auto, ...Object.fromEntries(KEYS.filter((key) => axis[key] != null).map((key) => [key, axis[key]])),
    tickmode: axis.tickmode ?? (axis.tickvals ? "array" : axis.dtick ? "linear" : "auto") });
  /* The logarithmic axes of a figure as it comes, by the names that plotly has for them: range, if it has one, and ticks. */
  const kept = (layout) => Object.fromEntries(Object.entries(layout)
    .filter(([name, axis]) => /^[xy]axis\d*$/.test(name) && axis.type === "log")
    .map(([name, axis]) => [name.replace(/axis1$/, "axis"), { range: axis.range?.slice(), ticks: given(axis) }]));
  /* Change the ticks of a drawn figure to those of the ranges that it shows; a whole axis has those that it came with. */
  function renew(plot, axes) {
    const change = Object.fromEntries(Object.entries(axes).flatMap(([name, { range, ticks }]) => {
      const shown = plot._fullLayout[name].range.slice().sort((one, other) => one - other);
      const isWhole = !range ? plot._fullLayout[name].autorange : range.every((end, place) => Math.abs(end - shown[place]) < 1e-6);
      const wanted = isWhole ? ticks : of(...shown);
      const now = given(plot.layout[name]);
      return KEYS.filter((key) => String(now[key]) !== String(wanted[key])).map((key) => [`${name}.${key}`, wanted[key]]);
    }));
    if (Object.keys(change).length) Plotly.relayout(plot, change);
  }
  return { of, given, kept, renew };
})();
