"use strict";

// The page of the OpenAPI document. With a session, what changes something carries the CSRF token of this site's own cookie.
const place = document.getElementById("docs");

const csrf = () => (document.cookie.split("; ").find((one) => one.startsWith("csrftoken=")) || "=").split("=")[1];

SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: -1, // each operation shows its own; a list of all of them takes longer than everything else
  requestInterceptor: (request) => {
    if (request.method !== "GET" && new URL(request.url, location.href).origin === location.origin) {
      request.headers["X-CSRFToken"] = csrf();
    }
    return request;
  },
});
