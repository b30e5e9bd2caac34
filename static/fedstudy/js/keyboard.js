// Keys: / goes to the search, ? shows the keys, g and a letter opens a part of the portal (the dialog's list is the table of
// them), Escape closes menus. Letters can be switched off for this browser (WCAG 2.1.4), and never act while somebody writes.
"use strict";
(() => {
  const SETTING = "fedstudy-keys";
  const AFTER_G_MS = 1_500;
  const WRITING = "input:not([type=checkbox], [type=radio], [type=button], [type=submit]), textarea, select, [contenteditable]";
  const dialog = document.getElementById("keys");
  let waitsUntil = 0;

  const areOn = () => {
    try {
      return localStorage.getItem(SETTING) !== "off";
    } catch {
      return true;
    }
  };

  const switchTo = (isOn) => {
    try {
      localStorage.setItem(SETTING, isOn ? "on" : "off");
    } catch {
      // the choice then cannot be kept
    }
    showSetting();
  };

  const showSetting = () => {
    for (const box of document.querySelectorAll("[data-keys-setting]")) {
      box.checked = areOn();
    }
  };

  const search = () => {
    const field = document.getElementById("bar-search");
    if (field?.checkVisibility()) {
      field.focus();
      field.select();
    } else {
      document.querySelector(".fs-search-link")?.click();
    }
  };

  const closeMenus = () => {
    for (const menu of document.querySelectorAll("details.fs-menu[open]")) {
      const hadFocus = menu.contains(document.activeElement);
      menu.open = false;
      if (hadFocus) {
        menu.querySelector("summary").focus();
      }
    }
  };

  const go = (letter) => dialog?.querySelector(`a[data-key="${CSS.escape(letter)}"]`)?.click();

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      closeMenus();
      return;
    }
    const isTaken = event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing;
    if (isTaken || !areOn() || event.target.closest(WRITING)) {
      return;
    }
    if (Date.now() < waitsUntil) {
      waitsUntil = 0;
      go(event.key);
    } else if (event.key === "g") {
      waitsUntil = Date.now() + AFTER_G_MS;
    } else if (event.key === "/") {
      event.preventDefault();
      search();
    } else if (event.key === "?") {
      dialog?.togglePopover();
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-keys-setting]")) {
      switchTo(event.target.checked);
    }
  });

  showSetting();
})();
