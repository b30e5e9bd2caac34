// Runs before the first paint: applies the theme the reader chose; without a choice the system decides.
"use strict";
(() => {
  const KEY = "fedstudy-theme";
  const root = document.documentElement;
  let choice = null;
  try {
    choice = localStorage.getItem(KEY);
  } catch {
    choice = null; // storage is closed to us: the system's theme stays
  }
  if (choice === "light" || choice === "dark") {
    root.dataset.bsTheme = choice;
  }
  root.classList.add("has-script");
})();
