// Small behaviours of every page: theme button, copy buttons, running clocks, menus.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  // Words in the reader's language; an English page has none, and says them as they are here.
  const words = JSON.parse(document.querySelector('meta[name="fedstudy-words"]')?.content || "{}");
  const say = (text, values = {}) =>
    Object.entries(values).reduce((said, [name, value]) => said.replace(`{${name}}`, value), words[text] || text);
  globalThis.fedstudy = { say };

  const currentTheme = () => root.dataset.bsTheme || (dark.matches ? "dark" : "light");

  const labelThemeButtons = () => {
    const text = say(currentTheme() === "dark" ? "Switch to the light theme" : "Switch to the dark theme");
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-label", text);
      button.title = text;
    }
  };

  const toggleTheme = () => {
    const next = currentTheme() === "dark" ? "light" : "dark";
    root.dataset.bsTheme = next;
    try {
      localStorage.setItem("fedstudy-theme", next);
    } catch {
      // the choice then lasts for this page only
    }
    labelThemeButtons();
    document.dispatchEvent(new CustomEvent("fedstudy:theme"));
  };

  const selectNext = (button) => {
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling || button);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };

  const announce = (text) => {
    const region = document.getElementById("announcer");
    if (region) {
      region.textContent = text;
    }
  };

  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.dataset.copied = "";
      announce(say("Copied."));
      setTimeout(() => delete button.dataset.copied, 1600);
    } catch {
      selectNext(button); // no clipboard over plain HTTP: leave the text selected
      announce(say("Selected. Press Control and C to copy."));
    }
  };

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-theme-toggle], [data-copy], [data-print], [data-back]");
    if (target?.matches("[data-theme-toggle]")) {
      toggleTheme();
    } else if (target?.matches("[data-copy]")) {
      copy(target);
    } else if (target?.matches("[data-print]")) {
      print();
    } else if (target?.matches("[data-back]")) {
      history.back();
    }
    for (const menu of document.querySelectorAll("details.fs-menu[open]")) {
      if (!menu.contains(event.target)) {
        menu.open = false;
      }
    }
  });

  // Clocks: <time data-relative> holds a <small> with "3 min ago" or "in 20 s".
  const UNITS = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ];

  const relative = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 1) {
      return say("now");
    }
    const [unit, length] = UNITS.find(([, each]) => size >= each) || UNITS[3];
    const time = `${Math.floor(size / length)} ${unit}`;
    return say(seconds > 0 ? "in {time}" : "{time} ago", { time });
  };

  const tick = () => {
    for (const element of document.querySelectorAll("time[data-relative]")) {
      const moment = new Date(element.dateTime);
      const text = relative((moment - Date.now()) / 1000);
      const small = element.querySelector("small");
      if (small && small.textContent !== text) {
        small.textContent = text;
      }
      if (!element.dataset.local) {
        element.dataset.local = "1";
        element.title = `${element.title} · ${say("here: {time}", { time: moment.toLocaleString() })}`;
      }
    }
  };

  for (const button of document.querySelectorAll("[data-back]")) {
    button.hidden = history.length < 2;
  }
  labelThemeButtons();
  dark.addEventListener("change", labelThemeButtons);
  tick();
  setInterval(tick, 1000);
  document.addEventListener("htmx:afterSettle", tick);
})();
