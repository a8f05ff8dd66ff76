/* Shows the page anew while somebody looks at it, without a flash; the page says after how many seconds. */
(function () {
  "use strict";
  var live = document.getElementById("live"), lost = document.getElementById("lost"), timer;
  function later() { clearTimeout(timer); timer = setTimeout(refresh, 1000 * live.dataset.again); }
  function refresh() {
    if (document.hidden) { return; }
    clearTimeout(timer);
    fetch(location.href, { headers: { Accept: "text/html" } }).then(function (answer) {
      if (!answer.ok) { throw new Error(answer.status); }
      return answer.text();
    }).then(function (text) {
      var next = new DOMParser().parseFromString(text, "text/html");
      var open = Array.prototype.map.call(live.querySelectorAll("details"), function (d) { return d.open; });
      live.innerHTML = next.getElementById("live").innerHTML;
      live.dataset.again = next.getElementById("live").dataset.again;
      live.querySelectorAll("details").forEach(function (d, i) { d.open = !!open[i]; });
      document.title = next.title;
      lost.hidden = true;
    }).catch(function () { lost.hidden = false; }).then(later);
  }
  later();
  document.addEventListener("visibilitychange", refresh);
})();
