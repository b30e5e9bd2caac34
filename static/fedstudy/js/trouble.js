// What went wrong with a part of the page is said at its top. Live parts are not asked for by the reader: live.js tells of them.
"use strict";
(() => {
  const HEADER = "FedStudy-Error";
  const place = () => document.getElementById("trouble");
  const isLive = (event) => event.detail.elt?.closest?.("[data-live]") ?? false;

  const show = (...nodes) => {
    place()?.replaceChildren(...nodes);
    place()?.scrollIntoView({ block: "nearest" });
  };

  const ready = (name) => document.getElementById(name).content.cloneNode(true);

  const failed = (xhr) => {
    const words = ready("trouble-failed");
    words.querySelector("[data-status]").textContent = xhr.status;
    const request = words.querySelector("[data-request]");
    request.querySelector("code").textContent = xhr.getResponseHeader("X-Request-ID") ?? "";
    request.hidden = !xhr.getResponseHeader("X-Request-ID");
    return words;
  };

  const told = (xhr) => new DOMParser().parseFromString(xhr.responseText, "text/html").body.childNodes;

  document.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    if (!isLive(event) && xhr.status !== 401) {
      show(...(xhr.getResponseHeader(HEADER) ? told(xhr) : [failed(xhr)]));
    }
  });

  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => isLive(event) || show(ready("trouble-away")));
  }

  document.addEventListener("htmx:beforeRequest", (event) => isLive(event) || show());
})();
