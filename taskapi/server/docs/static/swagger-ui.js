"use strict";

/* global SwaggerUIBundle */
{
  const place = document.getElementById("document");

  /** The key of the token in sessionStorage, which only this tab reads and which ends with it. */
  const TOKEN = "taskapi-token";

  /** Authorizes the page after a login through it, and revokes that after a logout. */
  const followSession = (response) => {
    const path = new URL(response.url, location.href).pathname;
    if (response.ok && /\/auth\/(register|login|refresh)$/.test(path)) {
      authorize(response.body?.access_token);
    } else if (response.ok && /\/auth\/(logout|delete)$/.test(path)) {
      authorize(undefined);
    }
    return response;
  };

  /** Sets or clears the token of the bearer scheme, like the Authorize dialog. */
  const authorize = (token) => {
    const schemes = ui.specSelectors.specJson().getIn(["components", "securitySchemes"]);
    const name = schemes?.findKey((scheme) => scheme.get("scheme") === "bearer");
    if (!name) {
      return;
    }
    if (token) {
      const schema = schemes.get(name);
      ui.authActions.authorizeWithPersistOption({ [name]: { name, schema, value: token } });
    } else {
      ui.authActions.logoutWithPersistOption([name]);
    }
  };

  /** Stores the token when it changes. Swagger UI would store it in localStorage, for good. */
  const storeInTab = () => ({
    statePlugins: {
      auth: {
        wrapActions: {
          authorizeWithPersistOption: (original) => (schemes) => {
            const [scheme] = Object.values(schemes);
            if (typeof scheme?.value === "string") {
              sessionStorage.setItem(TOKEN, scheme.value);
            }
            return original(schemes);
          },
          logoutWithPersistOption: (original) => (names) => {
            sessionStorage.removeItem(TOKEN);
            return original(names);
          },
        },
      },
    },
  });

  const restore = () => {
    // Earlier releases stored the token there.
    localStorage.removeItem("authorized");
    const token = sessionStorage.getItem(TOKEN);
    if (token) {
      authorize(token);
    }
  };

  const ui = SwaggerUIBundle({
    url: place.dataset.url,
    domNode: place,
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "list",
    tryItOutEnabled: true,
    persistAuthorization: false,
    plugins: [storeInTab],
    onComplete: restore,
    displayRequestDuration: true,
    displayOperationId: false,
    defaultModelsExpandDepth: 0,
    filter: false,
    // Do not send the document to the public validator.
    validatorUrl: null,
    responseInterceptor: followSession,
  });
}
