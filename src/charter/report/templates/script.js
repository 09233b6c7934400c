"use strict";
// The pages are complete without this. It marks the section in view, opens examples together, sorts
// and filters tables, and switches between light and dark.
(function () {
  function each(list, work) { Array.prototype.forEach.call(list, work); }
  function made(name, text) {
    var element = document.createElement(name);
    if (text) { element.textContent = text; }
    if (name === "button") { element.type = "button"; }
    return element;
  }

  // The section in view.
  var links = document.querySelectorAll("nav a");
  if ("IntersectionObserver" in window) {
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (entry) {
        if (!entry.isIntersecting) { return; }
        each(links, function (link) {
          var here = link.getAttribute("href") === "#" + entry.target.id;
          if (here) { link.setAttribute("aria-current", "true"); }
          else { link.removeAttribute("aria-current"); }
        });
      });
    }, { rootMargin: "-15% 0px -75% 0px" });
    each(document.querySelectorAll("main section"), function (s) { seen.observe(s); });
  }

  // Light, dark, or what the system says. Kept for the next visit where the browser allows it.
  var themes = ["system", "light", "dark"], key = "charter-theme", theme = "system";
  try { theme = localStorage.getItem(key) || theme; } catch (refused) { /* the page still works */ }
  if (themes.indexOf(theme) < 0) { theme = "system"; }
  var toggle = made("button");
  toggle.className = "theme";
  function dress() {
    if (theme === "system") { document.documentElement.removeAttribute("data-theme"); }
    else { document.documentElement.setAttribute("data-theme", theme); }
    toggle.textContent = "Colours: " + theme;
  }
  toggle.addEventListener("click", function () {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem(key, theme); } catch (refused) { /* for this visit only */ }
    dress();
  });
  dress();
  var nav = document.querySelector("nav");
  if (nav) { nav.appendChild(toggle); }

  // A key is a number where every known key of the column is one; what is not known sorts last.
  function keyOf(row, column) {
    var cell = row.cells[column], given = cell.getAttribute("data-sort");
    return (given === null ? cell.textContent : given).trim();
  }
  function number(text) {
    var plain = text.replace(/[\s\u202f]/g, "").replace("\u2212", "-").replace(/%$/, "");
    return plain === "" ? NaN : Number(plain);
  }
  function known(text) { return text !== "" && text !== "\u2013"; }
  function sort(table, column, way) {
    var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows);
    var keys = rows.map(function (row) { return keyOf(row, column); });
    var numeric = keys.filter(known).every(function (k) { return !isNaN(number(k)); });
    rows.map(function (row, i) { return { row: row, key: keys[i], place: i }; })
      .sort(function (a, b) {
        if (known(a.key) !== known(b.key)) { return known(a.key) ? -1 : 1; }
        var order = numeric && known(a.key) ? number(a.key) - number(b.key)
          : a.key.localeCompare(b.key);
        return way * order || a.place - b.place;
      })
      .forEach(function (one) { body.appendChild(one.row); });
  }
  each(document.querySelectorAll("table.sortable"), function (table) {
    var heads = table.tHead.rows[0].cells;
    each(heads, function (head, column) {
      if (head.tagName !== "TH") { return; }
      var button = made("button");
      button.className = "sort";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () {
        var up = head.getAttribute("aria-sort") !== "ascending";
        each(heads, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        sort(table, column, up ? 1 : -1);
      });
    });
  });

  // A field that hides the rows, or the examples, that do not hold every word in it.
  var fields = 0;
  each(document.querySelectorAll("[data-filter]"), function (list) {
    var table = list.tagName === "TABLE";
    var items = table ? list.tBodies[0].rows : list.querySelectorAll(":scope > details");
    if (items.length < 5) { return; }
    var box = made("p"), label = made("label", list.getAttribute("data-filter"));
    var field = made("input"), status = made("span");
    fields += 1;
    field.type = "search";
    field.id = label.htmlFor = "filter-" + fields;
    status.setAttribute("role", "status");
    box.className = "filter";
    box.appendChild(label);
    box.appendChild(field);
    box.appendChild(status);
    var place = table && list.parentNode.className === "wide" ? list.parentNode : list;
    place.parentNode.insertBefore(box, place);
    field.addEventListener("input", function () {
      var words = field.value.toLowerCase().split(/\s+/), shown = 0;
      each(items, function (item) {
        var source = table ? item : item.querySelector("summary");
        var text = source.textContent.toLowerCase();
        item.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
        shown += item.hidden ? 0 : 1;
      });
      status.textContent = field.value ? shown + " of " + items.length : "";
    });
  });

  // Harmless examples open together; what may harm is opened by hand, one at a time.
  each(document.querySelectorAll(".examples"), function (list) {
    var harmless = list.querySelectorAll("details.example:not(.sensitive)");
    if (!harmless.length) { return; }
    var button = made("button"), open = false;
    function label() { button.textContent = (open ? "Close" : "Open") + " the harmless examples"; }
    button.addEventListener("click", function () {
      open = !open;
      each(harmless, function (d) { d.open = open; });
      label();
    });
    label();
    list.parentNode.insertBefore(button, list);
  });

  // A link to an example opens it, unless it may harm: then its line gets the focus.
  function follow() {
    var found = location.hash && document.getElementById(location.hash.slice(1));
    if (!found || !found.classList.contains("example")) { return; }
    found.hidden = false;
    if (!found.classList.contains("sensitive")) { found.open = true; }
    found.querySelector("summary").focus();
  }
  window.addEventListener("hashchange", follow);
  follow();
})();
