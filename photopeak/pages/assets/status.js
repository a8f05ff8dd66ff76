/* Shows the page anew every 15 s while somebody looks at it, without a flash. */
(function () {
  "use strict";
  var live = document.getElementById("live"), lost = document.getElementById("lost");
  function refresh() {
    if (document.hidden) { return; }
    fetch(location.href, { headers: { Accept: "text/html" } }).then(function (answer) {
      if (!answer.ok) { throw new Error(answer.status); }
      return answer.text();
    }).then(function (text) {
      var next = new DOMParser().parseFromString(text, "text/html");
      var open = Array.prototype.map.call(live.querySelectorAll("details"), function (d) { return d.open; });
      live.innerHTML = next.getElementById("live").innerHTML;
      live.querySelectorAll("details").forEach(function (d, i) { d.open = !!open[i]; });
      document.title = next.title;
      lost.hidden = true;
    }).catch(function () { lost.hidden = false; });
  }
  setInterval(refresh, 15000);
  document.addEventListener("visibilitychange", refresh);
})();
