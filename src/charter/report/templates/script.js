
"use strict";
// The page is complete without this: it marks the section in view, and opens examples together.
(function () {
  var links = Array.prototype.slice.call(document.querySelectorAll("nav a"));
  if ("IntersectionObserver" in window) {
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) { return; }
        links.forEach(function (link) {
          var here = link.getAttribute("href") === "#" + entry.target.id;
          if (here) { link.setAttribute("aria-current", "true"); }
          else { link.removeAttribute("aria-current"); }
        });
      });
    }, { rootMargin: "-15% 0px -75% 0px" });
    document.querySelectorAll("main section").forEach(function (s) { seen.observe(s); });
  }
  document.querySelectorAll(".examples").forEach(function (list) {
    var harmless = list.querySelectorAll("details.example:not(.sensitive)");
    if (!harmless.length) { return; }
    var button = document.createElement("button");
    button.type = "button";
    var open = false;
    function label() { button.textContent = (open ? "Close" : "Open") + " the harmless examples"; }
    button.addEventListener("click", function () {
      open = !open;
      harmless.forEach(function (d) { d.open = open; });
      label();
    });
    label();
    list.parentNode.insertBefore(button, list);
  });
})();
