"use strict";

/* global SwaggerUIBundle */
{
  const place = document.getElementById("document");

  /** Whoever logs in through the page is authorized on it, and no longer after logging out. */
  const followTheSession = (response) => {
    const path = new URL(response.url, location.href).pathname;
    if (response.ok && /\/auth\/(register|login|refresh)$/.test(path)) {
      authorize(response.body?.access_token);
    } else if (response.ok && /\/auth\/(logout|delete)$/.test(path)) {
      authorize(undefined);
    }
    return response;
  };

  /** Sets the token of the document's bearer scheme, as the Authorize dialog would; or drops it. */
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

  const ui = SwaggerUIBundle({
    url: place.dataset.url,
    domNode: place,
    layout: "BaseLayout",
    deepLinking: true,
    docExpansion: "list",
    tryItOutEnabled: true,
    persistAuthorization: true,
    displayRequestDuration: true,
    displayOperationId: false,
    defaultModelsExpandDepth: 0,
    filter: false,
    // Null: the document is not sent to the validator on its maker's host.
    validatorUrl: null,
    responseInterceptor: followTheSession,
  });
}
