(function () {
  "use strict";
  var root = document.documentElement, theme = document.getElementById("theme"), said = document.getElementById("said");
  function stored(value) {
    try {
      if (value) { localStorage.setItem("tipc-theme", value); }
      return localStorage.getItem("tipc-theme");
    } catch (error) { return null; }
  }
  function isDark() {
    return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  }
  function label() { theme.textContent = isDark() ? "Light colours" : "Dark colours"; }
  var known = stored();
  if (known === "dark" || known === "light") { root.dataset.theme = known; }
  theme.hidden = false;
  label();
  theme.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored(root.dataset.theme);
    label();
  });
  function tell(button, words) {
    var before = "Copy";
    said.textContent = words;
    button.textContent = words;
    setTimeout(function () { button.textContent = before; said.textContent = ""; }, 2000);
  }
  function bySelection(element) {
    var range = document.createRange(), selection = getSelection();
    range.selectNodeContents(element);
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }
  document.querySelectorAll("button.copy").forEach(function (button) {
    var code = document.getElementById(button.dataset.copy);
    button.hidden = false;
    button.addEventListener("click", function () {
      function fallback() { tell(button, bySelection(code) ? "Copied" : "Selected"); }
      if (navigator.clipboard) {
        navigator.clipboard.writeText(code.textContent).then(function () { tell(button, "Copied"); }, fallback);
      } else { fallback(); }
    });
  });
  function openTarget() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target) { target.querySelectorAll(":scope > details.log").forEach(function (log) { log.open = true; }); }
  }
  addEventListener("hashchange", openTarget);
  openTarget();
})();
