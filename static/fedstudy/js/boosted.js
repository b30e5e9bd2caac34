// Forms and links inside [hx-boost] change a part of the page: what was wrong is shown there too,
// and where the reader may not go on, the whole page says why.
"use strict";
(() => {
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { status } = event.detail.xhr;
    if (status === 400) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    } else if ([401, 403, 404].includes(status)) {
      location.reload();
    }
  });

  document.addEventListener("htmx:afterSettle", () => document.getElementById("problems")?.focus());
})();
