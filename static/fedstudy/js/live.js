// Live regions: what the reader opened stays open, hidden tabs rest, a lost connection is said.
"use strict";
(() => {
  const keepReaderState = (name, node) =>
    !((node.matches("details") && name === "open") || (node.matches("time") && name === "title"));

  if (window.Idiomorph) {
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = keepReaderState;
    Idiomorph.defaults.callbacks.beforeNodeMorphed = (node) =>
      !(node instanceof Element && node.hasAttribute("data-keep"));
  }

  const isPoll = (event) => event.detail.elt?.matches?.("[data-live]") ?? false;

  const showConnection = (isLost) => {
    for (const sign of document.querySelectorAll(".fs-live")) {
      sign.classList.toggle("is-lost", isLost);
      sign.textContent = isLost ? "Connection lost, trying again" : sign.dataset.text || "Live";
    }
  };

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && isPoll(event)) {
      event.preventDefault();
    }
  });

  document.addEventListener("htmx:sendError", (event) => isPoll(event) && showConnection(true));

  document.addEventListener("htmx:responseError", (event) => {
    if (!isPoll(event)) {
      return;
    }
    if ([401, 403, 404].includes(event.detail.xhr.status)) {
      location.reload(); // signed out or no longer allowed: the full page explains it
    } else {
      showConnection(true);
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (isPoll(event) && event.detail.successful) {
      showConnection(false);
    }
  });
})();
