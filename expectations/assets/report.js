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
  /* Hides what does not hold the words: cards of rules, and rows of tables that have no card of their own. Nothing leaves the page. */
  function search() {
    var field = document.getElementById("search");
    if (!field) { return; }
    field.closest(".search").hidden = false;
    var parts = document.querySelectorAll("section.rule, #all-rules tbody tr, section:not(.rule):not(#all-rules) tbody tr");
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/).filter(Boolean), found = 0;
      parts.forEach(function (part) {
        var text = part.textContent.toLowerCase();
        var holds = words.every(function (word) { return text.indexOf(word) >= 0; });
        part.classList.toggle("sought-out", !holds);
        found += holds;
      });
      document.getElementById("nothing").hidden = found > 0;
    });
  }
  var asked = new URLSearchParams(location.search).get("lang"), kept = null;
  try { kept = localStorage.getItem("photopeak-language"); } catch (ignored) { /* as above */ }
  var first = asked || kept || (navigator.language || "en").slice(0, 2);
  first = first === "zh" ? "zh" : "en";
  root.setAttribute("data-language", first);
  /* While a demo runs the clock of releases stands still: every page says so, as long as it does. Pages that are opened as files cannot know. */
  function pinned(moment) {
    var p = document.createElement("p");
    p.id = "pinned";
    [["zh", "演示正在运行：在其结束前，数据均以此刻为准："], ["en", "A demo is running: until it has ended, releases speak of "]].forEach(function (text) {
      var span = document.createElement("span");
      span.lang = text[0];
      span.textContent = text[1] + new Date(moment).toLocaleString(text[0]);
      p.appendChild(span);
    });
    document.querySelector("main").prepend(p);
  }
  document.addEventListener("DOMContentLoaded", function () {
    if (location.protocol !== "file:" && document.querySelector("main")) { /* not on pages of Great Expectations */
      fetch("/clock.json").then(function (a) { return a.ok ? a.json() : {}; }).then(function (said) {
        if (said.pinned_as_of_utc) { pinned(said.pinned_as_of_utc); }
      }).catch(function () { /* the page is served by something else */ });
    }
    var nav = document.getElementById("languages");
    if (nav) { /* pages of Great Expectations have no choice of their own: they follow ours */
      nav.hidden = false;
      nav.addEventListener("click", function (e) { if (e.target.dataset.language) { choose(e.target.dataset.language); } });
    }
    choose(first);
    var rule = location.hash && document.getElementById(location.hash.slice(1));
    var rows = rule && rule.querySelector("details");
    if (rows) { rows.open = true; }
    search();
  });
})();
