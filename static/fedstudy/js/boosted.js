// Forms and links inside [hx-boost] change a part of the page: what was wrong with a form is shown there too. Other trouble
// is said at the top of the page (trouble.js); who is signed out signs in again.
"use strict";
(() => {
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status === 400 && !xhr.getResponseHeader("FedStudy-Error")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    } else if (xhr.status === 401) {
      location.reload();
    }
  });

  document.addEventListener("htmx:afterSettle", () => document.getElementById("problems")?.focus());
})();
