/* One of two languages; without this script both are shown. */
(function () {
  "use strict";
  var root = document.documentElement;
  function choose(language) {
    root.setAttribute("data-language", language);
    root.lang = language;
    try { localStorage.setItem("photopeak-language", language); } catch (ignored) { /* private window: the choice lasts for this page */ }
    document.querySelectorAll("[data-language][type=button]").forEach(function (b) {
      b.setAttribute("aria-pressed", String(b.dataset.language === language));
    });
  }
  var asked = new URLSearchParams(location.search).get("lang"), kept = null;
  try { kept = localStorage.getItem("photopeak-language"); } catch (ignored) { /* as above */ }
  var first = asked || kept || (navigator.language || "en").slice(0, 2);
  first = first === "zh" ? "zh" : "en";
  root.setAttribute("data-language", first);
  document.addEventListener("DOMContentLoaded", function () {
    var nav = document.getElementById("languages");
    nav.hidden = false;
    nav.addEventListener("click", function (e) { if (e.target.dataset.language) { choose(e.target.dataset.language); } });
    choose(first);
    var rule = location.hash && document.getElementById(location.hash.slice(1));
    var rows = rule && rule.querySelector("details");
    if (rows) { rows.open = true; }
  });
})();
