// Charts stand in the page as SVG already; with scripts they gain tooltips.
for (const figure of document.querySelectorAll("figure.chart")) {
  const spec = JSON.parse(figure.querySelector("script[type='application/json']").textContent);
  const drawn = figure.querySelector(".drawn");
  const live = document.createElement("div");
  window.vegaEmbed(live, spec, { actions: false, renderer: "svg" }).then(() => {
    live.setAttribute("role", "img");
    live.setAttribute("aria-label", drawn.getAttribute("aria-label"));
    drawn.replaceWith(live);
  });
}
