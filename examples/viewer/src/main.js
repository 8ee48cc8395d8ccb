// One script for the page and for its worker.

import { start } from "./app.js";
import style from "./style.css";
import { serve } from "./worker.js";

if (typeof document === "undefined") {
  serve();
} else {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  document.adoptedStyleSheets = [sheet];
  start();
}
