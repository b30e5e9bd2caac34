// Passkeys: a button with data-passkey asks the browser, puts its answer into its form, and sends the form.
// data-options names an address with the options, or an element that holds them.
"use strict";
(() => {
  const toBytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
  const toText = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const known = (list) => (list ?? []).map((item) => ({ ...item, id: toBytes(item.id) }));

  const create = ({ publicKey: given }) =>
    navigator.credentials.create({
      publicKey: {
        ...given,
        challenge: toBytes(given.challenge),
        user: { ...given.user, id: toBytes(given.user.id) },
        excludeCredentials: known(given.excludeCredentials),
      },
    });

  const get = ({ publicKey: given }) =>
    navigator.credentials.get({
      publicKey: {
        ...given,
        challenge: toBytes(given.challenge),
        allowCredentials: known(given.allowCredentials),
      },
    });

  const told = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) {
        response[name] = toText(credential.response[name]);
      }
    }
    return JSON.stringify({
      id: credential.id,
      rawId: toText(credential.rawId),
      type: credential.type,
      response,
      clientExtensionResults: credential.getClientExtensionResults(),
    });
  };

  const optionsOf = async (button) => {
    const answer = await fetch(button.dataset.options, { headers: { Accept: "application/json" } });
    if (!answer.ok) {
      throw new Error(`options: ${answer.status}`);
    }
    return answer.json();
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-passkey]");
    if (!button) {
      return;
    }
    event.preventDefault();
    const sign = button.form.querySelector("[data-passkey-trouble]");
    try {
      const options = await optionsOf(button);
      const credential = await (button.dataset.passkey === "create" ? create(options) : get(options));
      button.form.querySelector("[name$=credential]").value = told(credential);
      button.form.requestSubmit();
    } catch {
      sign.hidden = false; // the reader closed the browser's question, or has no passkey for this portal
    }
  });
})();
