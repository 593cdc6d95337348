"use strict";

/* global Redoc */
{
  const place = document.getElementById("document");
  const family = getComputedStyle(document.body).fontFamily;

  Redoc.init(
    place.dataset.url,
    {
      // Scroll targets must end up below the sticky bar.
      scrollYOffset: ".bar",
      expandResponses: "200,201",
      requiredPropsFirst: true,
      hideDownloadButton: false,
      jsonSampleExpandLevel: 3,
      theme: {
        colors: { primary: { main: "#23805a" } },
        typography: {
          fontFamily: family,
          fontSize: "15px",
          headings: { fontFamily: family, fontWeight: "600" },
          code: { fontFamily: "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" },
        },
        sidebar: { backgroundColor: "#f6f8f7" },
        rightPanel: { backgroundColor: "#263a37" },
      },
    },
    place,
  );
}
