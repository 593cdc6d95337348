// A certified OpenID Connect provider, for tests. It prints a line when it is ready.
//   node provider.mjs '{"port": 9000, "redirectUri": "http://...", "email": "...", "verified": true}'
// The subject of a user is the login; any password is accepted.

import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const { port, redirectUri, email, verified } = JSON.parse(process.argv[2]);

// Each start has new keys, as after a rotation.
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const kid = `key-${Date.now()}`;

const provider = new Provider(`http://127.0.0.1:${port}`, {
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" }] },
  clients: [
    {
      client_id: "taskapi",
      client_secret: "a secret of the client",
      redirect_uris: [redirectUri],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  cookies: { keys: ["a key of the provider's cookies"] },
  pkce: { required: () => true },
  findAccount: (_, sub) => ({
    accountId: sub,
    claims: () => ({ sub, email, email_verified: verified }),
  }),
});

provider.listen(port, "127.0.0.1", () => console.log("ready"));
