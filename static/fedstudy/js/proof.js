// Checks an event's proof in the reader's own browser: leaf, texts, path to the root, signatures. Nothing is fetched.
"use strict";
(() => {
  const utf8 = new TextEncoder();
  const bytesOf = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const fromHex = (text) => Uint8Array.from(text.match(/../g) || [], (pair) => Number.parseInt(pair, 16));
  const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const isSame = (one, other) => toHex(one) === toHex(other);
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => Array.from(part)));
  const hash = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

  // RFC 9162, 2.1.3.2; places may be larger than what JavaScript shifts.
  const rootBy = async (leaf, position, size, path) => {
    let [place, last, root] = [position, size - 1, leaf];
    const up = () => {
      place = Math.floor(place / 2);
      last = Math.floor(last / 2);
    };
    for (const other of path) {
      if (last === 0) return null;
      if (place % 2 === 1 || place === last) {
        root = await hash([1], other, root);
        while (place % 2 === 0 && place !== 0) up();
      } else {
        root = await hash([1], root, other);
      }
      up();
    }
    return last === 0 ? root : null;
  };

  const keyOf = async (text) => {
    const [name, id, ...rest] = text.split("+");
    const data = bytesOf(rest.join("+"));
    const named = await hash(utf8.encode(`${name}\n`), data);
    if (toHex(named.slice(0, 4)) !== id) throw new Error("a key does not fit its number");
    const key = await crypto.subtle.importKey("raw", data.slice(1), { name: "Ed25519" }, false, ["verify"]);
    return { name, id: named.slice(0, 4), kind: data[0], key };
  };

  const noteOf = (whole) => {
    const cut = whole.lastIndexOf("\n\n") + 1;
    const lines = whole.slice(cut + 1, -1).split("\n");
    const signatures = lines.map((line) => {
      const [, name, encoded] = line.split(" ");
      const data = bytesOf(encoded);
      return { name, id: data.slice(0, 4), made: data.slice(4) };
    });
    const [origin, size, root] = whole.slice(0, cut).split("\n");
    return { text: whole.slice(0, cut), origin, size: Number(size), root: bytesOf(root), signatures };
  };

  const isSigned = async (note, told) => {
    const key = await keyOf(told);
    const found = note.signatures.find((item) => item.name === key.name && isSame(item.id, key.id));
    if (!found) return false;
    let [text, made] = [note.text, found.made];
    if (key.kind === 4) {
      const time = new DataView(made.slice(0, 8).buffer).getBigUint64(0);
      text = `cosignature/v1\ntime ${time}\n${text}`;
      made = made.slice(8);
    }
    return crypto.subtle.verify({ name: "Ed25519" }, key.key, made, utf8.encode(text));
  };

  const isBound = async (leaf, proof, name) => {
    const { salt, text } = proof[name];
    const found = await hash(utf8.encode("fedstudy-text-v1\n"), fromHex(salt), utf8.encode(text));
    return leaf[name] === toHex(found);
  };

  const checks = {
    leaf: async (proof) => JSON.parse(proof.leaf).event === proof.event,
    texts: async (proof) => {
      const leaf = JSON.parse(proof.leaf);
      const names = leaf.v === 2 ? ["names", "detail", "context"] : ["names", "detail"];
      if (leaf.v !== 1 && leaf.v !== 2) return false;
      for (const name of names) if (!(await isBound(leaf, proof, name))) return false;
      return names.length === 3 || !proof.context;
    },
    path: async (proof) => {
      const note = noteOf(proof.checkpoint);
      const leaf = await hash([0], utf8.encode(proof.leaf));
      const root = await rootBy(leaf, proof.position, note.size, proof.hashes.map(bytesOf));
      return root !== null && isSame(root, note.root);
    },
    log: async (proof) => {
      const note = noteOf(proof.checkpoint);
      return proof.key.startsWith(`${note.origin}+`) && isSigned(note, proof.key);
    },
    witnesses: async (proof) => {
      const note = noteOf(proof.checkpoint);
      for (const key of proof.witnesses) if (!(await isSigned(note, key))) return false;
      return true;
    },
  };

  const canEd25519 = async () => {
    try {
      await crypto.subtle.importKey("raw", new Uint8Array(32), { name: "Ed25519" }, false, ["verify"]);
      return true;
    } catch (error) {
      return error.name !== "NotSupportedError";
    }
  };

  const check = async (place) => {
    const proof = JSON.parse(place.dataset.proof);
    const signs = await canEd25519();
    let isWhole = true;
    for (const row of place.querySelectorAll("[data-check]")) {
      const name = row.dataset.check;
      const cannot = !signs && (name === "log" || name === "witnesses");
      let holds = false;
      try {
        holds = cannot || (await checks[name](proof));
      } catch {
        holds = false;
      }
      isWhole &&= holds;
      const state = cannot ? "cannot" : holds ? "holds" : "fails";
      row.dataset.state = state;
      row.querySelector("[data-said]").textContent = place.dataset[state];
    }
    const said = place.querySelector("[data-verdict]");
    said.textContent = isWhole ? (signs ? place.dataset.whole : place.dataset.part) : place.dataset.broken;
    place.dataset.verdict = isWhole ? (signs ? "whole" : "part") : "broken";
  };

  for (const place of document.querySelectorAll("[data-proof]")) {
    const button = place.querySelector("button");
    if (!globalThis.crypto?.subtle) {
      place.querySelector("[data-verdict]").textContent = place.dataset.insecure;
      continue;
    }
    button.disabled = false;
    button.addEventListener("click", () => check(place));
  }
})();
