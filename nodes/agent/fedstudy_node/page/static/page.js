// Passkeys: registering, signing in, signing. Everything else on this page works without a script.
"use strict";

const encoder = new TextEncoder();

function fromBase64Url(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
}

function toBase64Url(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function withBytes(options) {
  const made = { ...options, challenge: fromBase64Url(options.challenge) };
  for (const name of ["allowCredentials", "excludeCredentials"]) {
    if (made[name]) {
      made[name] = made[name].map((item) => ({ ...item, id: fromBase64Url(item.id) }));
    }
  }
  if (made.user) {
    made.user = { ...made.user, id: fromBase64Url(made.user.id) };
  }
  return made;
}

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    credentials: "same-origin",
    headers: {
      "Content-Type": "application/json",
      "X-FedStudy-Token": document.querySelector("meta[name=token]").content,
    },
    body: JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({ detail: "The node's answer cannot be read." }));
  if (!answer.ok) {
    throw new Error(said.code ? `${said.detail} (${said.code})` : said.detail);
  }
  return said;
}

function asJson(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature"]) {
    if (credential.response[name]) {
      response[name] = toBase64Url(credential.response[name]);
    }
  }
  return { id: credential.id, rawId: toBase64Url(credential.rawId), type: credential.type, response };
}

async function askForSignature(options) {
  return asJson(await navigator.credentials.get({ publicKey: options }));
}

async function signIn(form) {
  const options = withBytes(await post("/sign-in/options", {}));
  const assertion = await askForSignature(options);
  return post("/sign-in", { ...assertion, next: form.dataset.next });
}

async function register(form) {
  const offered = await post("/register/options", { code: form.elements.code.value });
  const credential = await navigator.credentials.create({ publicKey: withBytes(offered.options) });
  return post("/register", asJson(credential));
}

// What is signed is computed from the text that stands on this page, not from anything that came beside it.
async function sign(form) {
  const type = encoder.encode(form.dataset.type);
  const payload = encoder.encode(document.getElementById("signed-text").textContent);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", payload));
  const written = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (written !== document.getElementById("signed-digest").textContent.trim()) {
    throw new Error("The text on this page is not the document. Nothing was signed.");
  }
  const head = encoder.encode(`DSSEv1 ${type.length} ${form.dataset.type} ${payload.length} `);
  const toSign = new Uint8Array([...head, ...payload]);
  const assertion = await askForSignature({
    challenge: await crypto.subtle.digest("SHA-256", toSign),
    rpId: location.hostname,
    allowCredentials: JSON.parse(form.dataset.passkey).map((item) => ({ ...item, id: fromBase64Url(item.id) })),
    userVerification: "required",
    timeout: 300000,
  });
  return post(location.pathname, assertion);
}

const ceremonies = { "sign-in": signIn, register, sign };

function explain(error) {
  if (error.name === "NotAllowedError") {
    return "The passkey was not used: it was cancelled, took too long, or is not on this device.";
  }
  if (error.name === "InvalidStateError") {
    return "This device holds a passkey of this node already. Sign in with it.";
  }
  return error.message;
}

async function run(form) {
  const button = form.querySelector("button[type=submit]");
  const problem = form.querySelector("[data-problem]");
  problem.hidden = true;
  button.disabled = true;
  try {
    if (!window.PublicKeyCredential) {
      throw new Error("This browser has no passkeys, or this page was not opened by its own host name.");
    }
    location.assign((await ceremonies[form.dataset.ceremony](form)).go);
  } catch (error) {
    problem.textContent = explain(error);
    problem.hidden = false;
    button.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-ceremony]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run(form);
  });
}

// Who came from another site goes on from here, so that the session's cookie comes along.
const onward = document.querySelector("a[data-onward]");
if (onward) {
  location.replace(onward.href);
}

// A link to a line opens the file that it is in.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  const file = target && target.closest("details");
  if (file && !file.open) {
    file.open = true;
    target.scrollIntoView();
  }
}
window.addEventListener("hashchange", openTarget);
openTarget();
