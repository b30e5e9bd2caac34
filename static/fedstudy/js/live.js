// Live parts of a page, [data-live]: each fetches itself again when the portal says on a stream of events that something
// changed which it shows (data-about). Without a stream it asks by itself, every data-every ms; with one it does so
// all the same, every data-slow ms, as news may get lost. Hidden tabs rest. What the reader opened stays open.
"use strict";
(() => {
  const { say } = globalThis.fedstudy;
  const TICK_MS = 250;
  const GAP_MS = 1_000;
  const ANSWER_MS = 30_000;
  const DEAF_MS = 45_000; // three times the portal's "alive"
  const LONGEST_WAIT_MS = 60_000;
  const REMEMBERED_MS = 30 * 60_000;
  const TYPED = "input:not([type=hidden], [type=radio], [type=checkbox]), textarea";

  const isReaders = (name, node) =>
    (name === "open" && node.matches("details")) ||
    (name === "value" && node.matches(TYPED)) ||
    ((name === "checked" || name === "selected") && node.matches("input, option"));

  if (window.Idiomorph) {
    Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) => !isReaders(name, node);
    Idiomorph.defaults.callbacks.beforeNodeMorphed = (node) =>
      !(node instanceof Element && node.hasAttribute("data-keep"));
  }

  const isPart = (event) => event.detail.elt?.matches?.("[data-live]") ?? false;
  const known = new WeakMap();
  const stateOf = (part) => {
    if (!known.has(part)) {
      known.set(part, { askedAt: Date.now(), isStale: false, busyUntil: 0 });
    }
    return known.get(part);
  };
  const parts = () => document.querySelectorAll("[data-live]");
  const wordsOf = (part) => (part.dataset.about ?? "").split(" ").filter(Boolean);

  // --- what the reader is told of the connection
  let updatedAt = new Date();

  const showConnection = (isLost) => {
    if (!isLost) {
      updatedAt = new Date();
    }
    for (const sign of document.querySelectorAll(".fs-live")) {
      sign.classList.toggle("is-lost", isLost);
      sign.textContent = isLost ? say("Connection lost, trying again") : sign.dataset.text || say("Live");
    }
    const time = updatedAt.toLocaleTimeString();
    showStale(isLost ? say("Not up to date since {time}: no connection. Trying again.", { time }) : "");
  };

  const showStale = (text) => {
    const sign = document.getElementById("stale");
    if (sign && sign.textContent !== text) {
      sign.textContent = text;
      sign.hidden = !text;
    }
  };

  // --- the stream
  let stream = null;
  let about = "";
  let since = document.body.dataset.at || "";
  let heardAt = Date.now();
  let opensAt = Date.now() + 500;
  let wait = 1_000;
  let hasHeard = false;
  let isOver = false;

  const isHearing = () => stream?.readyState === EventSource.OPEN;

  const makeStale = (word) => {
    for (const part of parts()) {
      if (!word || wordsOf(part).includes(word)) {
        stateOf(part).isStale = true;
      }
    }
  };

  const close = () => {
    stream?.close();
    stream = null;
  };

  const heard = (event) => {
    heardAt = Date.now();
    since = event.lastEventId;
    wait = 1_000;
    hasHeard = true;
    showConnection(false);
  };

  // Refused or broken off: until it is tried again, the parts ask by themselves.
  const lose = () => {
    close();
    if (hasHeard) {
      makeStale();
      hasHeard = false;
    }
    opensAt = Date.now() + wait * (1 + Math.random());
    wait = Math.min(wait * 4, LONGEST_WAIT_MS);
  };

  const open = () => {
    about = aboutAll();
    const query = new URLSearchParams([["since", since], ...about.split(" ").map((word) => ["about", word])]);
    stream = new EventSource(`${document.body.dataset.events}?${query}`);
    heardAt = Date.now();
    stream.addEventListener("alive", heard);
    stream.addEventListener("changed", (event) => {
      heard(event);
      makeStale(event.data);
      tick();
    });
    stream.addEventListener("over", (event) => {
      heard(event);
      close();
      opensAt = Date.now() + wait * Math.random();
    });
    stream.addEventListener("error", lose);
  };

  const aboutAll = () => [...new Set([...parts()].flatMap(wordsOf))].sort().join(" ");

  const attend = (now) => {
    const wanted = aboutAll();
    if (stream && about !== wanted) {
      close();
      opensAt = now;
    }
    if (stream && now - heardAt > DEAF_MS) {
      lose();
    } else if (!stream && wanted && now >= opensAt && document.body.dataset.events) {
      open();
    }
  };

  // --- the parts
  const isDue = (part, now) => {
    const { askedAt, isStale, busyUntil } = stateOf(part);
    const { every, slow, gap } = part.dataset;
    const rest = isStale ? Number(gap || GAP_MS) : Number(isHearing() ? slow : every);
    return now >= busyUntil && now - askedAt >= rest;
  };

  const tick = () => {
    if (document.hidden || isOver) {
      return;
    }
    const now = Date.now();
    attend(now);
    for (const part of parts()) {
      if (isDue(part, now)) {
        Object.assign(stateOf(part), { askedAt: now, isStale: false, busyUntil: now + ANSWER_MS });
        htmx.trigger(part, "refresh");
      }
    }
  };

  // By this the portal knows that nobody asked: it does not count as use of the session.
  document.addEventListener("htmx:configRequest", (event) => {
    if (isPart(event)) {
      event.detail.headers["FedStudy-Live"] = "1";
    }
  });

  document.addEventListener("htmx:afterRequest", (event) => {
    if (isPart(event)) {
      Object.assign(stateOf(event.detail.elt), { askedAt: Date.now(), busyUntil: 0 });
      if (event.detail.successful) {
        showConnection(false);
      }
    }
  });

  for (const trouble of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(trouble, (event) => isPart(event) && showConnection(true));
  }

  document.addEventListener("htmx:responseError", (event) => {
    if (!isPart(event)) {
      return;
    }
    if (![401, 403, 404].includes(event.detail.xhr.status)) {
      showConnection(true);
    } else if (event.detail.elt.hasAttribute("data-aside")) {
      isOver = true; // nothing that the reader may be writing on the page is taken from them
      close();
      showStale(say("You are signed out. Reload the page to sign in again."));
    } else {
      location.reload(); // signed out or no longer allowed: the full page explains it
    }
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
    } else {
      opensAt = Date.now();
      if (Date.now() - heardAt > REMEMBERED_MS) {
        makeStale();
      }
      tick();
    }
  });
  addEventListener("offline", () => showConnection(true));
  addEventListener("online", () => makeStale());
  addEventListener("pagehide", close);

  setInterval(tick, TICK_MS);
})();
