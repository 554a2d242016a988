/** Starts the page. */

import { render } from "preact";
import { start } from "./state";
import { App } from "./ui/app";

const host = document.getElementById("app")!;
host.replaceChildren();
await start();
render(<App />, host);
