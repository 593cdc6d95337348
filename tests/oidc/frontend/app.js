// A front end that signs in with a provider, as docs/guide/oidc.md describes it. The service's URL
// is in ?api= the first time.

const query = new URLSearchParams(location.search);
const service = query.get("api") ?? sessionStorage.getItem("api");
sessionStorage.setItem("api", service);
const redirectUri = `${location.origin}/`;

const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function signIn(provider) {
  const [verifier, state] = [random(), random()];
  sessionStorage.setItem("sign-in", JSON.stringify({ verifier, state }));
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  const parameters = new URLSearchParams({
    redirect_uri: redirectUri,
    code_challenge: base64url(hash),
    code_challenge_method: "S256",
    state,
  });
  location.href = `${service}/auth/oidc/${provider}/authorize?${parameters}`;
}

async function signedIn() {
  const begun = JSON.parse(sessionStorage.getItem("sign-in") ?? "{}");
  sessionStorage.removeItem("sign-in");
  history.replaceState(null, "", "/");
  if (query.get("state") !== begun.state) {
    return "Another sign-in";
  }
  if (query.has("error")) {
    return query.get("error");
  }
  const response = await fetch(`${service}/auth/oidc/token`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ code: query.get("code"), code_verifier: begun.verifier }),
  });
  const body = await response.json();
  if (!response.ok) {
    return body.code;
  }
  const me = await fetch(`${service}/auth/me`, {
    headers: { Authorization: `Bearer ${body.access_token}` },
  });
  document.querySelector("#who").textContent = (await me.json()).email;
  return "Signed in";
}

const { providers } = await (await fetch(`${service}/auth/oidc/providers`)).json();
for (const { name } of providers) {
  const button = document.createElement("button");
  button.textContent = `Sign in with ${name}`;
  button.addEventListener("click", () => signIn(name));
  document.querySelector("#providers").append(button);
}
if (query.has("state")) {
  document.querySelector("#message").textContent = await signedIn();
}
